// del <key> [range_end]: deletes one key, or a range of keys. Two positionals are easily two keys
// in the mind of the writer, so a range that is not confirmed by --range waits for two seconds.
import type { Command } from 'commander'
import type { KeyRange } from '../connection/key-range.js'
import { type CommandContext, defineCommand, goQuote, UsageError } from './context.js'
import { checkRangeFlags, keyRange } from './ranges.js'

export interface DelFlags {
  prefix: boolean
  fromKey: boolean
  prevKv: boolean
  range: boolean
}

export interface DelOptions {
  range: KeyRange
  prevKv: boolean
  /** What to say before waiting; undefined: go ahead. */
  warning: string | undefined
}

/** Time to think about a range that is to be deleted. */
const delayMs = 2000

const words = (command: Command): Command =>
  command
    .argument('<key>')
    .argument('[range_end]')
    .option('--prefix', 'all keys that begin with the key', false)
    .option('--from-key', 'all keys from the key on', false)
    .option('--prev-kv', 'print the pairs that were deleted', false)
    .option('--range', 'two arguments are a range: delete it without a delay', false)

export function delOptions(flags: DelFlags, args: readonly string[]): DelOptions {
  checkRangeFlags(flags)
  const [key, end, ...rest] = args
  if (key === undefined || rest.length > 0) {
    const problem = 'del command needs one argument as key and an optional argument as range_end'
    throw new UsageError(problem)
  }
  const range = keyRange(flags, key, end)
  const isDoubtful = end !== undefined && !flags.range
  return { range, prevKv: flags.prevKv, warning: isDoubtful ? doubt(key, end) : undefined }
}

const doubt = (key: string, end: string): string =>
  `Warning: Keys between ${goQuote(key)} and ${goQuote(end)} will be deleted. ` +
  'Please interrupt the command within next 2 seconds to cancel. ' +
  'You can provide `--range` flag to avoid the delay.\n'

export async function runDel(ctx: CommandContext, options: DelOptions): Promise<void> {
  const { range, prevKv } = options
  await timeToThink(ctx, options)
  const budget = ctx.commandBudget()
  const { kv } = await ctx.connect()
  const response = await kv.deleteRange({ ...range, prev_kv: prevKv }, budget())
  await ctx.print({ kind: 'del', response })
}

/** Says what is doubtful about the options, and waits. */
export async function timeToThink(
  ctx: Pick<CommandContext, 'warn' | 'clock'>,
  { warning }: DelOptions,
): Promise<void> {
  if (warning === undefined) return
  ctx.warn(warning)
  await new Promise<void>((resolve) => ctx.clock.after(delayMs, resolve))
}

export const delCommand = defineCommand({ words, options: delOptions, run: runDel })
