// main.ts: one run of tsctl. Finds the command in the table, builds its context, runs it, and is
// the only place where an error becomes text and an exit code:
//
//   0  done, or help               4  a value that is known and not supported
//   1  an error                    5  interrupted, or no snapshot saved
//   2  no connection               6  input or output
//   3  bad txn or watch input    128  words that make no sense
//
// An error class carries its code as `exitCode`; an error without one is a 1.
import { isatty } from 'node:tty'
import { typedWords } from './commands/argv.js'
import { bytes, type CommandLine, goQuote } from './commands/context.js'
import { type Found, find, UnknownCommandError } from './commands/find.js'
import { flagKey, ParseError, parse, parseServerWords } from './commands/parse.js'
import { OutputClosed, printingTo } from './commands/printing.js'
import { type Io, newSession, type Writing } from './commands/session.js'
import { table } from './commands/table.js'
import { titleWithoutSecrets } from './commands/title.js'
import { systemClock } from './platform/clock.js'
import { blockingFiles } from './platform/files.js'
import { systemRandom } from './platform/random.js'

export type { Io } from './commands/session.js'

/** Runs one command line; the answer is the exit code. All output is with its reader by then. */
export async function main(argv: readonly string[], io: Io): Promise<number> {
  const printing = printingTo(io.stdout)
  const warn = (text: string): void => {
    io.stderr.write(bytes(text))
  }
  const writing: Writing = { printing, warn, isDebug: false }
  try {
    await perform(argv, io, writing)
    await printing.flush()
    return 0
  } catch (error) {
    // A reader that has seen enough ends the command, whatever that made of it: no failure.
    if (error instanceof OutputClosed || printing.isReaderGone()) return 0
    await printing.flush().catch(() => undefined)
    warn(await errorText(error, argv, writing))
    return exitCode(error)
  }
}

async function perform(argv: readonly string[], io: Io, writing: Writing): Promise<void> {
  const found = await find(argv, table)
  const isServer = found.defined?.kind === 'command' && found.defined.isServer
  const parsed = (isServer ? parseServerWords : parse)(found.rest, found.flags)
  if (parsed.values.help === true || found.defined?.kind !== 'command') {
    const { helpText } = await import('./commands/help.js')
    return writing.printing.write(helpText(found, table))
  }
  const { given, beforeSeparator, positionals } = parsed
  const line: CommandLine = { argv, given, beforeSeparator, env: io.env }
  const run = found.defined.prepare(localFlags(found, parsed.values), positionals, line)
  const session = newSession(parsed, io, writing)
  const letSleep = io.stayAwake()
  try {
    await run(session.context)
  } finally {
    await session.close()
    letSleep()
  }
}

/** The flags that the command declares, given or by default, without the global ones. */
function localFlags(
  { declared, inherited }: Found,
  values: Readonly<Record<string, unknown>>,
): Record<string, unknown> {
  const options = [...(inherited?.options ?? []), ...declared.options]
  const entries = options.map((option) => {
    const key = flagKey(option)
    return [key, Object.hasOwn(values, key) ? values[key] : option.defaultValue]
  })
  return Object.fromEntries(entries)
}

async function errorText(
  error: unknown,
  argv: readonly string[],
  { isDebug }: Writing,
): Promise<string> {
  if (error instanceof UnknownCommandError) return unknownCommandText(error)
  const message = error instanceof Error ? error.message : String(error)
  const line = message === '' ? '' : `Error: ${message}\n`
  if (error instanceof ParseError) {
    const { usageText } = await import('./commands/help.js')
    return `${line}${usageText(await find(argv, table), table)}\n`
  }
  return `${explanation(error, { isDebug })}${line}`
}

function unknownCommandText({ typed, suggestions }: UnknownCommandError): string {
  const names = suggestions.map((name) => `\t${name}\n`).join('')
  const meant = names === '' ? '' : `\nDid you mean this?\n${names}\n`
  const line = `Error: unknown command ${goQuote(typed)} for "tsctl"\n`
  return `${line}${meant}Run 'tsctl --help' for usage.\n`
}

/**
 * What stands above the error line, for a person: why nothing was reached in time, or with
 * --debug the whole way down to the first cause.
 */
function explanation(error: unknown, { isDebug }: { isDebug: boolean }): string {
  const causes: Error[] = []
  for (let next = causeOf(error); next !== undefined; next = causeOf(next)) causes.push(next)
  if (isDebug) {
    const all = error instanceof Error ? [error, ...causes] : causes
    return all.map(({ stack, message }) => `${stack ?? message}\n`).join('')
  }
  const isTimeout = isObject(error) && error.code === 'deadlineExceeded'
  const reason = causes.find((cause) => cause.name !== 'RpcError')
  return isTimeout && reason !== undefined ? `no endpoint was reached: ${reason.message}\n` : ''
}

const causeOf = (error: unknown): Error | undefined =>
  error instanceof Error && error.cause instanceof Error ? error.cause : undefined

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null

function exitCode(error: unknown): number {
  return isObject(error) && typeof error.exitCode === 'number' ? error.exitCode : 1
}

/** The words that this process was started with, byte for byte; passwords leave its title. */
export function processWords(): readonly string[] {
  const words = typedWords(process.argv.slice(2))
  const title = titleWithoutSecrets(words)
  if (title !== undefined) process.title = title
  return words
}

/** Ends this process after main(), when standard error, too, has what was written to it. */
export function endProcess(code: number): void {
  const isWriting = isStderrOpen && process.stderr.writableLength > 0
  if (isWriting) process.stderr.write('', () => process.exit(code))
  else process.exit(code)
}

const ignore = (): void => undefined

let isStderrOpen = false

/** Opening it takes time that a command without a word to say there should not pay. */
function openedStderr(): NodeJS.WriteStream {
  // When nobody reads standard error any more, nobody needs to be told.
  if (!isStderrOpen) process.stderr.on('error', () => undefined)
  isStderrOpen = true
  return process.stderr
}

/** The process that this code runs in. Its streams are opened when they are asked for. */
export function processIo(): Io {
  return {
    get stdin() {
      return process.stdin
    },
    get stdout() {
      return process.stdout
    },
    get stderr() {
      return openedStderr()
    },
    leavesConnections: true,
    env: process.env,
    clock: systemClock,
    random: systemRandom,
    files: blockingFiles,
    onInterrupt(callback) {
      process.on('SIGINT', callback)
      process.on('SIGTERM', callback)
      return () => {
        process.off('SIGINT', callback)
        process.off('SIGTERM', callback)
      }
    },
    stayAwake() {
      const timer = setInterval(() => undefined, 2 ** 30)
      // Node takes back what nohup says, that a hang-up should be ignored. Where no stream is a
      // terminal there is none to hang up, as behind nohup.
      const hasTerminal = [0, 1, 2].some((stream) => isatty(stream))
      if (!hasTerminal) process.on('SIGHUP', ignore)
      return () => {
        clearInterval(timer)
        process.off('SIGHUP', ignore)
      }
    },
  }
}
