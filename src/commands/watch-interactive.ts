// watch-interactive.ts: `watch -i`. Each line of standard input starts one more watch or asks for
// a progress report; all watches share the connection and print as their events come. The input
// has no proper end: etcdctl takes it for an error, and so do scripts that were written for it.
import type { Watch } from '../connection/connect.js'
import { type CommandContext, CommandError, UsageError } from './context.js'
import { lines } from './lines.js'
import { type Flag, flagOf, ParseError, parse } from './parse.js'
import { SyntaxProblem, tokens } from './tokenise.js'
import { followWatch } from './watch-follow.js'
import {
  RangeProblem,
  type WatchEnvironment,
  type WatchFlags,
  type WatchOptions,
  watchOptions,
  watchWords,
} from './watch-options.js'

export async function runInteractiveWatch(
  ctx: CommandContext,
  environment: WatchEnvironment,
): Promise<void> {
  const connection = await ctx.connect()
  const ended = new AbortController()
  const signal = AbortSignal.any([ctx.signal, ended.signal])
  const watches = new Set<Watch>()
  const followed: Promise<void>[] = []
  // A command that fails for an event ends the session, whatever else is going on.
  let fail: (reason: unknown) => void = () => {}
  const failed = new Promise<never>((_resolve, reject) => {
    fail = reject
  })
  failed.catch(() => {})

  /** Resolves when the server has answered: until then a line `progress` would have no meaning. */
  const start = ({ create, command }: WatchOptions): Promise<void> => {
    const watch = connection.watch(create, { signal })
    watches.add(watch)
    return new Promise((resolve) => {
      const following = followWatch(ctx, watch, { command, onAnswer: resolve })
        .catch(fail)
        .finally(() => {
          watches.delete(watch)
          resolve()
        })
      followed.push(following)
    })
  }

  const { flags, defaults } = await watchFlags()
  try {
    for await (const line of untilFailure(lines(ctx.stdin), failed)) {
      const request = read(line, { flags, defaults, environment })
      if (request.kind === 'problem') ctx.warn(`${request.text}\n`)
      else if (request.kind === 'progress') {
        for (const watch of watches) await watch.requestProgress()
      } else await Promise.race([start(request.watch), failed])
    }
    if (ctx.signal.aborted) return
    throw new CommandError('error reading watch request line: EOF', { exitCode: 3 })
  } finally {
    ended.abort()
    await Promise.all(followed)
  }
}

type Request =
  | { kind: 'watch'; watch: WatchOptions }
  | { kind: 'progress' }
  /** The session goes on. */
  | { kind: 'problem'; text: string }

interface Reading {
  flags: readonly Flag[]
  defaults: WatchFlags
  environment: WatchEnvironment
}

function read(line: string, { flags, defaults, environment }: Reading): Request {
  const [word, ...rest] = words(line)
  if (word === undefined) {
    return { kind: 'problem', text: `Invalid command: ${line} (watch and progress supported)` }
  }
  const invalid = (why: string): Request => ({
    kind: 'problem',
    text: `Invalid command ${line} (${why})`,
  })
  if (word === 'progress') return { kind: 'progress' }
  if (word !== 'watch') return invalid('only support watch')
  if (rest.length === 0 && environment.key === '') {
    return invalid('command type or key is not provided')
  }
  try {
    const { values, positionals, beforeSeparator } = parse(rest, flags)
    // The parser fills the options that watchWords declares, each by its declared type.
    const given = { ...defaults, ...(values as Partial<WatchFlags>) }
    const watch = watchOptions(given, { args: positionals, beforeSeparator }, environment)
    return { kind: 'watch', watch }
  } catch (error) {
    if (error instanceof RangeProblem) return invalid(error.message)
    // Without the usage text that a bad flag has on the command line.
    if (error instanceof ParseError) throw new UsageError(error.message)
    throw error
  }
}

function words(line: string): string[] {
  try {
    return tokens(line)
  } catch (error) {
    if (!(error instanceof SyntaxProblem)) throw error
    throw new CommandError(error.message, { exitCode: 3, cause: error })
  }
}

async function watchFlags(): Promise<{ flags: readonly Flag[]; defaults: WatchFlags }> {
  const { Command } = await import('commander')
  const declared = watchWords(new Command())
  return { flags: declared.options.map(flagOf), defaults: declared.opts() }
}

/** The items until the promise fails; then its error. */
async function* untilFailure<T>(
  items: AsyncIterator<T>,
  failure: Promise<never>,
): AsyncGenerator<T> {
  for (;;) {
    const next = await Promise.race([items.next(), failure])
    if (next.done) return
    yield next.value
  }
}
