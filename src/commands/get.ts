// get <key> [range_end]: prints one key, or a range of keys, of a server or of a snapshot file. The
// answer of a server stays undecoded where the format can print it that way: a range of many keys
// is then as fast as the network is.
import type { Command } from 'commander'
import type { DeepPartial, RangeRequest } from '../api/gen/rpc.js'
import { fieldAt, rangeTag } from '../output/wire.js'
import { type CommandContext, defineCommand, UsageError } from './context.js'
import { checkRangeFlags, keyRange } from './ranges.js'
import { int64 } from './values.js'

export interface GetFlags {
  consistency: string
  order: string
  sortBy: string
  limit: bigint
  rev: bigint
  prefix: boolean
  fromKey: boolean
  keysOnly: boolean
  countOnly: boolean
  printValueOnly: boolean
  minCreateRev: bigint
  maxCreateRev: bigint
  minModRev: bigint
  maxModRev: bigint
  stream: boolean
  snapshot: string
}

export interface GetOptions {
  request: DeepPartial<RangeRequest>
  countOnly: boolean
  valuesOnly: boolean
  /** Ask for the answer in pieces. */
  stream: boolean
  /** The snapshot file to read instead of asking a server. */
  snapshot: string | undefined
}

const words = (command: Command): Command =>
  command
    .argument('<key>')
    .argument('[range_end]')
    .option('--consistency <string>', 'l: linearizable, s: serializable', 'l')
    .option('--order <string>', 'ASCEND or DESCEND', '')
    .option('--sort-by <string>', 'CREATE, KEY, MODIFY, VALUE or VERSION', '')
    .option('--limit <int>', 'most keys to print; 0: all of them', int64, 0n)
    .option('--prefix', 'all keys that begin with the key', false)
    .option('--from-key', 'all keys from the key on', false)
    .option('--rev <int>', 'the keys as they were at this revision', int64, 0n)
    .option('--keys-only', 'print no values', false)
    .option('--count-only', 'print only the number of keys', false)
    .option('--print-value-only', 'print only values (simple format)', false)
    .option('--min-create-rev <int>', 'only keys created at this revision or later', int64, 0n)
    .option('--max-create-rev <int>', 'only keys created at this revision or earlier', int64, 0n)
    .option('--min-mod-rev <int>', 'only keys changed last at this revision or later', int64, 0n)
    .option('--max-mod-rev <int>', 'only keys changed last at this revision or earlier', int64, 0n)
    .option('--stream', 'ask the server for the answer in pieces', false)
    .option('--snapshot <file>', 'look into this snapshot file instead of asking a server', '')

export function getOptions(flags: GetFlags, args: readonly string[]): GetOptions {
  const [key, end] = args
  if (key === undefined) {
    const problem = 'get command needs one argument as key and an optional argument as range_end'
    throw new UsageError(problem)
  }
  checkRangeFlags(flags)
  if (flags.keysOnly && flags.countOnly) {
    const problem = '`--keys-only` and `--count-only` cannot be set at the same time, choose one'
    throw new UsageError(problem)
  }
  const serializable = isSerializable(flags.consistency)
  const range = keyRange(flags, key, end)
  const request = {
    ...range,
    serializable,
    ...sorting(flags),
    limit: String(flags.limit),
    revision: positive(flags.rev),
    keys_only: flags.keysOnly,
    count_only: flags.countOnly,
    ...revisionFilters(flags),
  }
  const snapshot = flags.snapshot === '' ? undefined : flags.snapshot
  const { stream, countOnly, printValueOnly: valuesOnly } = flags
  return { request, countOnly, valuesOnly, stream, snapshot }
}

function isSerializable(consistency: string): boolean {
  if (consistency === 's') return true
  if (consistency === 'l') return false
  throw new UsageError(`unknown consistency flag "${consistency}"`, 4)
}

const orders = new Map([
  ['', 0],
  ['ASCEND', 1],
  ['DESCEND', 2],
] as const)

const targets = new Map([
  ['', 0],
  ['KEY', 0],
  ['VERSION', 1],
  ['CREATE', 2],
  ['MODIFY', 3],
  ['VALUE', 4],
] as const)

function sorting({ order, sortBy }: GetFlags): Pick<RangeRequest, 'sort_order' | 'sort_target'> {
  const sortOrder = lookup(orders, order)
  if (sortOrder === undefined) throw new UsageError(`bad sort order ${order}`, 4)
  const target = lookup(targets, sortBy)
  if (target === undefined) throw new UsageError(`bad sort target ${sortBy}`, 4)
  // Keys ascend by themselves: saying so would only make the server sort once more.
  return { sort_target: target, sort_order: target === 0 && sortOrder === 1 ? 0 : sortOrder }
}

/** By name, in any case of letters. */
function lookup<V>(values: ReadonlyMap<string, V>, name: string): V | undefined {
  return values.get(name.toUpperCase())
}

function revisionFilters(flags: GetFlags): DeepPartial<RangeRequest> {
  const { minCreateRev, maxCreateRev, minModRev, maxModRev } = flags
  checkRevisions('CreateRev', minCreateRev, maxCreateRev)
  checkRevisions('ModRev', minModRev, maxModRev)
  return {
    min_create_revision: positive(minCreateRev),
    max_create_revision: positive(maxCreateRev),
    min_mod_revision: positive(minModRev),
    max_mod_revision: positive(maxModRev),
  }
}

function checkRevisions(name: string, min: bigint, max: bigint): void {
  if (max > 0n && min > max) {
    throw new UsageError(`getMin${name}(=${min}) > getMax${name}(=${max})`, 4)
  }
}

/** A revision that is not positive is none. */
const positive = (revision: bigint): string => (revision > 0n ? String(revision) : '0')

export async function runGet(ctx: CommandContext, options: GetOptions): Promise<void> {
  const { request, valuesOnly, snapshot } = options
  if (snapshot !== undefined) return look(ctx, snapshot, options)
  const budget = ctx.commandBudget()
  const connection = await ctx.connect()
  if (options.stream) return printPieces(ctx, connection.rangeStream(request, budget()), options)
  const answer = await connection.rangeRaw(request, budget())
  checkFormat(ctx, options)
  await ctx.printRange(answer, { valuesOnly })
}

/**
 * Lines are printed as their pieces come, so that a range of any size takes little memory. Every
 * other format is of one message, and waits for the last piece.
 */
async function printPieces(
  ctx: CommandContext,
  pieces: AsyncIterable<Buffer>,
  options: GetOptions,
): Promise<void> {
  const { valuesOnly } = options
  const waiting: Buffer[] = []
  for await (const piece of pieces) {
    if (ctx.globals.writeOut !== 'simple') waiting.push(piece)
    else {
      checkFormat(ctx, options)
      await ctx.printRange(piece, { valuesOnly })
    }
  }
  checkFormat(ctx, options)
  if (ctx.globals.writeOut !== 'simple') await ctx.printRange(merged(waiting), { valuesOnly })
}

/** The header, which comes last, is moved to where it stands in an answer of one piece. */
function merged(pieces: readonly Buffer[]): Buffer {
  const last = pieces.at(-1) ?? Buffer.alloc(0)
  const field = { tag: 0, from: 0, to: 0 }
  if (last.length > 0) fieldAt(last, 0, last.length, field)
  const end = field.tag === rangeTag.header ? field.to : 0
  return Buffer.concat([last.subarray(0, end), ...pieces.slice(0, -1), last.subarray(end)])
}

async function look(ctx: CommandContext, file: string, options: GetOptions): Promise<void> {
  const { snapshotRange } = await import('../snapshot/range.js')
  const response = await snapshotRange(file, options.request, { files: ctx.files })
  checkFormat(ctx, options)
  await ctx.print({ kind: 'get', response, valuesOnly: options.valuesOnly })
}

/** As late as in etcdctl: after the answer. */
function checkFormat(ctx: CommandContext, { countOnly, valuesOnly }: GetOptions): void {
  const { writeOut } = ctx.globals
  if (countOnly && writeOut !== 'fields') {
    throw new UsageError('--count-only is only for `--write-out=fields`')
  }
  if (valuesOnly && writeOut !== 'simple') {
    throw new UsageError('print-value-only is only for `--write-out=simple`')
  }
}

export const getCommand = defineCommand({ words, options: getOptions, run: runGet })
