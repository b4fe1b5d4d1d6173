// context.ts: what every command is made of. A command declares its words, checks them in a pure
// options(), and does its work in run() through a CommandContext: the only way to a connection, to
// the streams and to the clock. main.ts builds the real context; tests build their own.
import type { Command } from 'commander'
import type { Connection, ConnectOptions } from '../connection/connect.js'
import type { Result } from '../output/format.js'
import type { Clock } from '../platform/clock.js'
import type { Files } from '../platform/files.js'
import type { Random } from '../platform/random.js'
import { goQuote } from './argument.js'
import type { GlobalOptions } from './global-flags.js'

export { argument, bytes, goQuote } from './argument.js'

export interface CommandContext {
  /**
   * The connection that the global flags describe: dialled on first use, then shared. With
   * `changes` another one, of its own. main closes them all.
   */
  connect(changes?: Partial<ConnectOptions>): Promise<Connection>
  /**
   * Starts the clock of --command-timeout; each call of the answer gives the call options for the
   * time that is left. Take it before connect() when the budget covers connecting and
   * authenticating too, after it when it covers the calls alone.
   */
  commandBudget(): () => { deadlineMs: number }
  /** Prints in the format of --write-out. Resolves when the reader has room for more. */
  print(result: Result): Promise<void>
  /** Like print(), for answers with a long time between them: see Printing.writeLines(). */
  printLines(result: Result): Promise<void>
  /** Prints an undecoded RangeResponse, as print() would the decoded one, in less memory. */
  printRange(message: Buffer, options: { valuesOnly: boolean }): Promise<void>
  /** Writes to standard output as it is. Resolves when the reader has room for more. */
  write(data: string | Uint8Array): Promise<void>
  /** Writes text, line feed included, to standard error. */
  warn(text: string): void
  /** All of standard input. */
  readStdin(): Promise<Buffer>
  /**
   * One line of standard input, white space around it cut; nothing of it is shown on a terminal.
   * Without a prompt nothing is written either.
   */
  askPassword(prompt?: string): Promise<string>
  /** Standard input piece by piece, for commands that answer while they read. */
  readonly stdin: AsyncIterable<Uint8Array>
  /** Standard error itself, for a spinner. `isTTY` says whether a person is watching. */
  readonly stderr: NodeJS.WritableStream & { readonly isTTY?: boolean }
  /**
   * Aborted when nobody reads standard output any more and, after catchInterrupts(), at the first
   * SIGINT or SIGTERM. Without catchInterrupts() those end the process at once, as by default.
   */
  readonly signal: AbortSignal
  catchInterrupts(): void
  /**
   * Calls back at each SIGINT and SIGTERM, which do not end the process until the answer is
   * called. For commands that have something to give back first: `signal` stays as it is, and
   * with it the connection.
   */
  onInterrupt(callback: (signal: Interrupt) => void): () => void
  readonly clock: Clock
  readonly random: Random
  /** Snapshot files and data directories; nothing else is read or written. */
  readonly files: Files
  readonly globals: GlobalOptions
  readonly env: Environment
}

/** What a person or a supervisor ends a process with. */
export type Interrupt = 'SIGINT' | 'SIGTERM'

export type Environment = Readonly<Record<string, string | undefined>>

/** What options() may look at beside flags and positionals. */
export interface CommandLine {
  /** Every word after `tsctl`, as typed. */
  readonly argv: readonly string[]
  /** Positionals that stand before the first `--`; undefined without one. */
  readonly beforeSeparator: number | undefined
  /** Long names of the flags that were given, global ones included: `prev-kv`. */
  readonly given: ReadonlySet<string>
  readonly env: Environment
}

/** Words that make no sense. Thrown before anything was done, unless etcdctl is late too. */
export class UsageError extends Error {
  override readonly name = 'UsageError'
  readonly exitCode: number

  constructor(message: string, exitCode = 128) {
    super(message)
    this.exitCode = exitCode
  }
}

/** A failure at work, where etcdctl has an exit code of its own. Empty: all was said already. */
export class CommandError extends Error {
  override readonly name = 'CommandError'
  readonly exitCode: number

  constructor(message: string, options: { exitCode: number; cause?: unknown }) {
    super(message, 'cause' in options ? { cause: options.cause } : undefined)
    this.exitCode = options.exitCode
  }
}

/**
 * A command as its module writes it. `Flags` is what the declared options hold, by their camel
 * case name; `Options` is what run() needs.
 */
export interface CommandParts<Flags, Options> {
  /** Words as etcd's server takes them, without the global flags: see parse.ts. */
  readonly isServer?: boolean
  words(command: Command): Command
  options(flags: Flags, args: readonly string[], line: CommandLine): Options
  run(ctx: CommandContext, options: Options): Promise<void>
}

/** A command as main sees it: words checked by prepare() give the work to be done. */
export interface DefinedCommand {
  readonly kind: 'command'
  readonly isServer: boolean
  words(command: Command): Command
  prepare(
    flags: Readonly<Record<string, unknown>>,
    args: readonly string[],
    line: CommandLine,
  ): (ctx: CommandContext) => Promise<void>
}

/** A word with further words below it: `member list`. Its options are valid below it too. */
export interface DefinedGroup {
  readonly kind: 'group'
  words(command: Command): Command
  readonly commands: Readonly<Record<string, Subcommand>>
}

export type Defined = DefinedCommand | DefinedGroup

export interface Subcommand {
  readonly summary: string
  readonly command: DefinedCommand
}

export function defineCommand<Flags, Options>(parts: CommandParts<Flags, Options>): DefinedCommand {
  return {
    kind: 'command',
    isServer: parts.isServer === true,
    words: parts.words,
    prepare(flags, args, line) {
      // The parser fills exactly the options that words() declares, each by its declared type.
      const options = parts.options(flags as Flags, args, line)
      return (ctx) => parts.run(ctx, options)
    },
  }
}

/** `words` adds the options that all words below share; most groups have none. */
export function defineGroup(
  commands: Readonly<Record<string, Subcommand>>,
  words: (command: Command) => Command = (command) => command,
): DefinedGroup {
  return { kind: 'group', words, commands }
}

/** A lease ID: signed 64 bits in hexadecimal. `what` opens the message, as commands differ. */
export function parseLeaseId(text: string, what = 'bad lease ID arg'): bigint {
  const problem = hexProblem(text, 'signed')
  if (problem === undefined) return hexValue(text)
  throw new UsageError(`${what} (${problem}), expecting ID in Hex`)
}

/** A member ID: unsigned 64 bits in hexadecimal. */
export function parseMemberId(text: string): bigint {
  const problem = hexProblem(text, 'unsigned')
  if (problem === undefined) return hexValue(text)
  throw new UsageError(`bad member ID arg (${problem}), expecting ID in Hex`)
}

/** What Go's strconv says about a hexadecimal number; undefined when it is one. */
export function hexProblem(text: string, sign: 'signed' | 'unsigned'): string | undefined {
  const signed = sign === 'signed'
  const call = `strconv.${signed ? 'ParseInt' : 'ParseUint'}: parsing ${goQuote(text)}`
  if (!(signed ? /^[+-]?[0-9a-f]+$/i : /^[0-9a-f]+$/i).test(text)) return `${call}: invalid syntax`
  const value = hexValue(text)
  const fits = signed ? value === BigInt.asIntN(64, value) : value === BigInt.asUintN(64, value)
  return fits ? undefined : `${call}: value out of range`
}

/** The value of a text that hexProblem() accepts. */
export function hexValue(text: string): bigint {
  const digits = BigInt(`0x${text.replace(/^[+-]/, '')}`)
  return text.startsWith('-') ? -digits : digits
}
