// watch: prints changes as they happen, runs a command for each, or takes further watches from
// standard input (-i). It ends when it is interrupted or when the server cancels the watch.
//
//   watch [flags] <key> [range_end] [-- command args…]
import type { Command } from 'commander'
import type { WatchResponse } from '../api/gen/rpc.js'
import type { Watch, WatchCreate } from '../connection/connect.js'
import { prefixRange } from '../connection/key-range.js'
import {
  bytes,
  type CommandContext,
  CommandError,
  type CommandLine,
  defineCommand,
  type Environment,
  goQuote,
  UsageError,
} from './context.js'
import { int64 } from './values.js'

export interface WatchFlags {
  interactive: boolean
  prefix: boolean
  rev: bigint
  prevKv: boolean
  progressNotify: boolean
}

export interface WatchOptions {
  create: WatchCreate
  /** Run once for each event; empty: none. */
  command: readonly string[]
}

/** What the variables say about the keys of every watch that is started. */
export interface WatchEnvironment {
  key: string
  rangeEnd: string
}

export const watchWords = (command: Command): Command =>
  command
    .argument('[key or prefix]')
    .argument('[range_end]')
    .argument('[-- command…]', 'run for each event')
    .option('-i, --interactive', 'read watches from standard input', false)
    .option('--prefix', 'watch all keys that begin with the key', false)
    .option('--rev <revision>', 'start at this revision instead of now', int64, 0n)
    .option('--prev-kv', 'print the pair as it was before, too', false)
    .option('--progress-notify', 'ask the server to report its progress now and then', false)

export type WatchWork = { interactive: WatchEnvironment } | { watch: WatchOptions }

export function watchWork(
  flags: WatchFlags,
  args: readonly string[],
  { beforeSeparator, env }: CommandLine,
): WatchWork {
  const environment = watchEnvironment(env)
  if (flags.interactive) return { interactive: environment }
  return { watch: watchOptions(flags, { args, beforeSeparator }, environment) }
}

export function watchEnvironment(env: Environment): WatchEnvironment {
  const key = env.ETCDCTL_WATCH_KEY ?? ''
  const rangeEnd = env.ETCDCTL_WATCH_RANGE_END ?? ''
  if (key === '' && rangeEnd !== '') {
    const got = `got ETCDCTL_WATCH_RANGE_END=${goQuote(rangeEnd)}`
    throw new UsageError(`ETCDCTL_WATCH_KEY is empty but ${got}`)
  }
  return { key, rangeEnd }
}

export interface WatchWords {
  args: readonly string[]
  /** As CommandLine has it. */
  beforeSeparator: number | undefined
}

/** Throws a RangeProblem where -i goes on with the next line. */
export function watchOptions(
  { prefix, rev, prevKv, progressNotify }: WatchFlags,
  { args, beforeSeparator }: WatchWords,
  environment: WatchEnvironment,
): WatchOptions {
  if (beforeSeparator !== undefined && beforeSeparator === args.length) {
    throw new UsageError('bad number of arguments (found separator --, but no commands)')
  }
  const typed = args.slice(0, beforeSeparator)
  if (environment.key !== '' && typed.length > 0) {
    throw new UsageError('bad number of arguments (found conflicting environment key)')
  }
  const [key, ...more] = environment.key === '' ? typed : environmentKeys(environment)
  if (key === undefined) throw new UsageError('bad number of arguments')
  // Two words are a range; with more than two etcdctl looks at the first only.
  const rangeEnd = more.length === 1 ? more[0] : undefined
  if (prefix && rangeEnd !== undefined) {
    throw new RangeProblem('`range_end` and `--prefix` are mutually exclusive')
  }
  const create = {
    ...(prefix ? prefixRange(bytes(key)) : { key: bytes(key), range_end: bytes(rangeEnd ?? '') }),
    start_revision: rev.toString(),
    prev_kv: prevKv,
    progress_notify: progressNotify,
  }
  return { create, command: beforeSeparator === undefined ? [] : args.slice(beforeSeparator) }
}

/** Keys and flags that do not go together. */
export class RangeProblem extends UsageError {}

function environmentKeys({ key, rangeEnd }: WatchEnvironment): string[] {
  return rangeEnd === '' ? [key] : [key, rangeEnd]
}

async function runWatch(ctx: CommandContext, work: WatchWork): Promise<void> {
  if ('interactive' in work) {
    const { runInteractiveWatch } = await import('./watch-interactive.js')
    return runInteractiveWatch(ctx, work.interactive)
  }
  const { create, command } = work.watch
  const connection = await ctx.connect()
  await followWatch(ctx, connection.watch(create, { signal: ctx.signal }), { command })
  if (ctx.signal.aborted) return
  throw new CommandError('watch is canceled by the server', { exitCode: 5 })
}

/** Prints a watch until its end, running the command for each event. */
export async function followWatch(
  ctx: CommandContext,
  watch: Watch,
  { command, onAnswer }: { command: readonly string[]; onAnswer?: () => void },
): Promise<void> {
  for await (const answer of watch) {
    onAnswer?.()
    if (answer.created && !answer.canceled) continue
    if (answer.canceled) ctx.warn(`watch was canceled (${cancelReason(answer)})\n`)
    await ctx.print({ kind: 'watch', response: shownAnswer(answer) })
    if (command.length > 0 && answer.events.length > 0) {
      const { runForEvents } = await import('./watch-exec.js')
      await runForEvents(ctx, command, answer)
    }
  }
}

/** A refused watch is shown without what the refusal says about the store. */
function shownAnswer(answer: WatchResponse): WatchResponse {
  if (!answer.created) return answer
  return { ...answer, header: undefined, created: false, cancel_reason: '' }
}

/** The reason as Go's client words it. */
function cancelReason({ created, compact_revision, cancel_reason }: WatchResponse): string {
  if (compact_revision !== '0') return 'etcdserver: mvcc: required revision has been compacted'
  if (created || cancel_reason.startsWith('etcdserver: ')) return cancel_reason
  if (cancel_reason === '') return 'etcdserver: mvcc: required revision is a future revision'
  return `rpc error: code = FailedPrecondition desc = ${cancel_reason}`
}

export const watchCommand = defineCommand({
  words: watchWords,
  options: watchWork,
  run: runWatch,
})
