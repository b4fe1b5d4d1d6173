// txn-operation.ts: one operation of a transaction: a line that looks like a command line of put,
// get or del and follows the same rules, down to the exit codes. Global flags are not part of it.
import { Command } from 'commander'
import type { DeepPartial, RequestOp } from '../api/gen/rpc.js'
import {
  bytes,
  type CommandContext,
  CommandError,
  type DefinedCommand,
  UsageError,
} from './context.js'
import { type DelFlags, delCommand, delOptions, timeToThink } from './del.js'
import { type GetFlags, getCommand, getOptions } from './get.js'
import { flagOf, ParseError, parse } from './parse.js'
import { noValue, type PutFlags, putCommand, putOptions, putRequest } from './put.js'
import { SyntaxProblem, tokens } from './tokenise.js'

type Operation = DeepPartial<RequestOp>
type Context = Pick<CommandContext, 'warn' | 'clock'>

/** Throws etcdctl's errors for the line. A range that may be deleted by mistake takes its time. */
export async function parseOperation(ctx: Context, line: string): Promise<Operation> {
  const [word = '', ...rest] = lineWords(line)
  if (rest.length === 0) throw invalid(`invalid txn compare request: ${line}`)
  const kind = kindOf(word)
  if (kind === undefined) throw invalid(`invalid txn request: ${line}`)
  const declared = kind.command.words(new Command())
  try {
    const { values, positionals } = parse(rest, declared.options.map(flagOf))
    return await kind.operation({ ...declared.opts(), ...values }, positionals, ctx)
  } catch (error) {
    if (!(error instanceof ParseError)) throw error
    ctx.warn(`${error.message}\n`)
    throw invalid(`invalid txn request: ${line}`)
  }
}

function lineWords(line: string): string[] {
  try {
    return tokens(line)
  } catch (error) {
    if (error instanceof SyntaxProblem) throw invalid(error.message)
    throw error
  }
}

const invalid = (message: string): CommandError => new CommandError(message, { exitCode: 3 })

interface Kind {
  command: DefinedCommand
  operation(
    flags: Readonly<Record<string, unknown>>,
    args: readonly string[],
    ctx: Context,
  ): Operation | Promise<Operation>
}

function kind<Flags>(
  command: DefinedCommand,
  operation: (flags: Flags, args: readonly string[], ctx: Context) => ReturnType<Kind['operation']>,
): Kind {
  // The parser fills exactly the options that the command declares, each by its declared type.
  return { command, operation: (flags, args, ctx) => operation(flags as Flags, args, ctx) }
}

const kinds: Readonly<Record<string, Kind>> = {
  get: kind(getCommand, (flags: GetFlags, args) => {
    const { request, snapshot } = getOptions(flags, args)
    // A transaction is about one store, and a file is another.
    if (snapshot !== undefined) throw new ParseError('unknown flag: --snapshot')
    return { request_range: request }
  }),
  put: kind(putCommand, (flags: PutFlags, args) => {
    const options = putOptions(flags, args)
    // Standard input is where this line comes from: there is no value to be read from it.
    if (options.value === undefined && !options.ignoreValue) throw new UsageError(noValue)
    return { request_put: putRequest(options, bytes(options.value ?? '')) }
  }),
  del: kind(delCommand, async (flags: DelFlags, args, ctx) => {
    const options = delOptions(flags, args)
    await timeToThink(ctx, options)
    return { request_delete_range: { ...options.range, prev_kv: options.prevKv } }
  }),
}

/** By the whole word or its beginning. */
function kindOf(word: string): Kind | undefined {
  const name = Object.keys(kinds).find((one) => word !== '' && one.startsWith(word))
  return name === undefined ? undefined : kinds[name]
}
