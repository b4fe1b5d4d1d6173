// snapshot save: stores the server's database as a file. The stream, the check of its digest and
// the file are the business of others; here the words are checked and a person is kept informed.
import type { Connection } from '../connection/connect.js'
import { ConnectionError } from '../connection/errors.js'
import { humanSize } from '../output/humanize.js'
import { type SavedSnapshot, type SaveProgress, saveSnapshot } from '../snapshot/save.js'
import {
  type CommandContext,
  CommandError,
  defineCommand,
  defineGroup,
  UsageError,
} from './context.js'

export function saveOptions(args: readonly string[]): { file: string } {
  const [file, ...rest] = args
  if (file === undefined || rest.length > 0) {
    throw new UsageError('snapshot save expects one argument <filename>')
  }
  return { file }
}

async function runSave(ctx: CommandContext, { file }: { file: string }): Promise<void> {
  const { endpoints, commandTimeoutMs, commandTimeoutGiven } = ctx.globals
  if (endpoints.length !== 1) {
    const found = `not multiple [${endpoints.join(' ')}]`
    throw new CommandError(`snapshot must be requested to one selected node, ${found}`, {
      exitCode: 5,
    })
  }
  const timeout = commandTimeoutGiven ? { deadlineMs: commandTimeoutMs } : {}
  const saved = await orFailed(async () => {
    const connection = await ctx.connect()
    return await saveWithProgress(ctx, connection, { file, timeout })
  })
  await ctx.write(`Snapshot saved at ${file}\n`)
  if (saved.version !== '') await ctx.write(`Server version ${saved.version}\n`)
}

/** Whatever goes wrong has exit code 5, bad TLS files apart: those are words that make no sense. */
async function orFailed<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    if (error instanceof ConnectionError && error.exitCode === 128) throw error
    throw new CommandError((error as Error).message, { exitCode: 5, cause: error })
  }
}

interface Saving {
  file: string
  timeout: { deadlineMs?: number }
}

async function saveWithProgress(
  ctx: CommandContext,
  connection: Connection,
  { file, timeout }: Saving,
): Promise<SavedSnapshot> {
  const pieces = connection.snapshot({ signal: ctx.signal, ...timeout })
  if (!ctx.stderr.isTTY) return saveSnapshot(pieces, file, { files: ctx.files })
  const { default: ora } = await import('ora')
  const spinner = ora({ stream: ctx.stderr, discardStdin: false, text: 'Asking for a snapshot' })
  const startedAt = ctx.clock.now()
  spinner.start()
  try {
    const progress = (progress: SaveProgress): void => {
      spinner.text = progressText(progress, ctx.clock.now() - startedAt)
    }
    return await saveSnapshot(pieces, file, { files: ctx.files, progress })
  } finally {
    spinner.stop()
  }
}

/** `12 MB of 1.1 GB, 96 MB/s, 11 s left` */
export function progressText(
  { receivedBytes, remainingBytes }: SaveProgress,
  elapsedMs: number,
): string {
  const size = `${humanSize(receivedBytes)} of ${humanSize(receivedBytes + remainingBytes)}`
  if (elapsedMs <= 0 || receivedBytes === 0) return size
  const bytesPerSecond = Math.round((receivedBytes / elapsedMs) * 1000)
  const secondsLeft = Math.ceil(remainingBytes / Math.max(bytesPerSecond, 1))
  return `${size}, ${humanSize(bytesPerSecond)}/s, ${secondsLeft} s left`
}

const save = defineCommand({
  words: (command) => command.argument('<filename>'),
  options: (_flags, args) => saveOptions(args),
  run: runSave,
})

export const snapshotCommand = defineGroup({
  save: { summary: 'Stores a snapshot of the database of an endpoint in a file', command: save },
})
