// watch-options.ts: the words of one watch, on the command line or on a line of `watch -i`, and
// what they ask the server for.
import type { Command } from 'commander'
import type { WatchCreate } from '../connection/connect.js'
import { prefixRange } from '../connection/key-range.js'
import { bytes, type Environment, goQuote, UsageError } from './context.js'
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
