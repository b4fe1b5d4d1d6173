// snapshot status|verify|hashkv: what a snapshot file holds and whether it is sound, without a
// server and without a change to the file.
import { digestProblem } from '../snapshot/digest.js'
import { snapshotHashKv } from '../snapshot/hashkv.js'
import { snapshotStatus } from '../snapshot/status.js'
import { together } from '../snapshot/together.js'
import { verifySnapshot } from '../snapshot/verify.js'
import { type CommandContext, CommandError, defineCommand, UsageError } from './context.js'
import { withSpinner } from './spinner.js'
import { int64 } from './values.js'

interface FileOptions {
  file: string
}

/** The one file that `what` is about. */
export function fileOptions(what: string, args: readonly string[]): FileOptions {
  const [file, ...rest] = args
  if (file === undefined || rest.length > 0) {
    throw new UsageError(`${what} requires exactly one argument`)
  }
  return { file }
}

export async function runStatus(ctx: CommandContext, { file }: FileOptions): Promise<void> {
  const { files } = ctx
  const [status, problem] = await withSpinner(ctx, `Reading ${file}`, (progress) =>
    together(snapshotStatus(file, { files, progress }), digestProblem(file, { files })),
  )
  await ctx.print({ kind: 'snapshotStatus', status })
  // The pages may be in order and a value damaged all the same: the figures are of what is there.
  if (problem !== undefined) throw new CommandError(problem, { exitCode: 1 })
}

export async function runVerify(ctx: CommandContext, { file }: FileOptions): Promise<void> {
  const { files } = ctx
  const report = await withSpinner(ctx, `Verifying ${file}`, (progress) =>
    verifySnapshot(file, { files, progress }),
  )
  await ctx.print({ kind: 'snapshotVerify', report })
  if (report.findingCount > 0) {
    const problem = `snapshot file verification failed. ${report.findingCount} problems found.`
    throw new CommandError(problem, { exitCode: 1 })
  }
}

export interface HashKvOptions extends FileOptions {
  revision: number
}

export function hashKvOptions({ rev }: { rev: bigint }, args: readonly string[]): HashKvOptions {
  const [file] = args
  if (file === undefined || args.length > 1) {
    throw new UsageError(`accepts 1 arg(s), received ${args.length}`, 1)
  }
  return { file, revision: Number(rev) }
}

export async function runHashKv(
  ctx: CommandContext,
  { file, revision }: HashKvOptions,
): Promise<void> {
  const hash = await snapshotHashKv(file, { files: ctx.files, revision })
  await ctx.print({ kind: 'snapshotHashKv', hash })
}

export const statusCommand = defineCommand({
  words: (command) => command.argument('<filename>'),
  options: (_flags, args) => fileOptions('snapshot status', args),
  run: runStatus,
})

export const verifyCommand = defineCommand({
  words: (command) => command.argument('<filename>'),
  options: (_flags, args) => fileOptions('snapshot verify', args),
  run: runVerify,
})

export const hashKvCommand = defineCommand({
  words: (command) =>
    command
      .argument('<filename>')
      .option('--rev <int>', 'history up to this revision; 0: all', int64, 0n),
  options: hashKvOptions,
  run: runHashKv,
})
