// snapshot save: stores the server's database as a file, or writes it to standard output for `-`.
// The stream, the check of its digest and the file are the business of others; here the words are
// checked and a person is kept informed.
import { EtcdError } from '../api/rpc-errors.js'
import { ConnectionError } from '../connection/errors.js'
import { type SaveProgress, saveSnapshot } from '../snapshot/save.js'
import { type CommandContext, CommandError, defineCommand, UsageError } from './context.js'
import { isFatal } from './endpoints.js'
import { withSpinner } from './spinner.js'

export interface SaveOptions {
  file: string
}

/** Writes to standard output instead of a file of this name. */
const standardOutput = '-'

export function saveOptions(args: readonly string[]): SaveOptions {
  const [file, ...rest] = args
  if (file === undefined || rest.length > 0) {
    throw new UsageError('snapshot save expects one argument <filename>')
  }
  return { file }
}

export async function runSave(ctx: CommandContext, { file }: SaveOptions): Promise<void> {
  const { endpoints } = ctx.globals
  if (endpoints.length !== 1) {
    const found = `not multiple [${endpoints.join(' ')}]`
    throw failure(`snapshot must be requested to one selected node, ${found}`)
  }
  // Ctrl-C ends the stream, and with it what there is of the file.
  ctx.catchInterrupts()
  const saved = await save(ctx, file).catch((error: Error) => {
    if (ctx.signal.aborted) throw failure('interrupted, nothing was saved', error)
    // Bad TLS files, formats and domains are words that make no sense, here as everywhere.
    const isRefused = error instanceof ConnectionError && error.exitCode === 2
    if (isFatal(error) && !isRefused) throw error
    throw failure(streamMessage(error), error)
  })
  const version = saved.version === '' ? '' : `Server version ${saved.version}\n`
  const text = `Snapshot saved at ${file}\n${version}`
  if (file === standardOutput) ctx.warn(text)
  else await ctx.write(text)
}

/** Go's client does not look for etcd's own texts in what ends this stream, and says all of it. */
function streamMessage(error: Error): string {
  const { cause } = error
  return error instanceof EtcdError && cause instanceof Error ? cause.message : error.message
}

/** Whatever goes wrong has the same exit code. */
const failure = (message: string, cause?: unknown): CommandError =>
  new CommandError(message, { exitCode: 5, cause })

async function save(ctx: CommandContext, file: string) {
  const { commandTimeoutMs, commandTimeoutGiven } = ctx.globals
  const timeout = commandTimeoutGiven ? { deadlineMs: commandTimeoutMs } : {}
  const connection = await ctx.connect()
  const pieces = connection.snapshot({ signal: ctx.signal, ...timeout })
  const target = file === standardOutput ? { write: ctx.write } : file
  return withSpinner(ctx, 'Saving a snapshot', (show) => {
    const progress = ({ receivedBytes, remainingBytes }: SaveProgress): void =>
      show({ doneBytes: receivedBytes, totalBytes: receivedBytes + remainingBytes })
    return saveSnapshot(pieces, target, { files: ctx.files, progress })
  })
}

export const saveCommand = defineCommand({
  words: (command) => command.argument('<filename>'),
  options: (_flags, args) => saveOptions(args),
  run: runSave,
})
