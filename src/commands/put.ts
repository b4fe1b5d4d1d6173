// put <key> [<value>]: stores one key. Without a value all of standard input is the value, so
// that `cat file | tsctl put k` keeps binary files intact.
import type { Command } from 'commander'
import type { DeepPartial, PutRequest } from '../api/gen/rpc.js'
import { bytes, type CommandContext, defineCommand, parseLeaseId, UsageError } from './context.js'

export interface PutFlags {
  lease: string
  prevKv: boolean
  ignoreValue: boolean
  ignoreLease: boolean
}

export interface PutOptions {
  key: string
  value: string | undefined // undefined: read standard input
  leaseId: bigint
  prevKv: boolean
  ignoreValue: boolean
  ignoreLease: boolean
}

const words = (command: Command): Command =>
  command
    .description(
      'Stores a key. Without a value, standard input is the value: tsctl put <key> < file.\n' +
        'A key or value that begins with a dash comes after two dashes: tsctl put -- <key> -1.',
    )
    .argument('<key>')
    .argument('[value]')
    .option('--lease <string>', 'lease ID in hexadecimal to attach to the key', '0')
    .option('--prev-kv', 'print the pair as it was before', false)
    .option('--ignore-value', 'keep the current value', false)
    .option('--ignore-lease', 'keep the current lease', false)

export const noValue = 'put command needs 1 argument and input from stdin or 2 arguments'

/** Further positionals are let pass, as etcdctl does. */
export function putOptions(flags: PutFlags, args: readonly string[]): PutOptions {
  const { lease, ...kept } = flags
  const [key, value] = args
  if (key === undefined) throw new UsageError(noValue)
  if (flags.ignoreValue && value !== undefined) {
    throw new UsageError("put command needs only 1 argument when 'ignore-value' is set")
  }
  return { ...kept, key, value, leaseId: parseLeaseId(lease, 'bad lease ID') }
}

export async function runPut(ctx: CommandContext, options: PutOptions): Promise<void> {
  const request = putRequest(options, await valueToStore(ctx, options))
  const budget = ctx.commandBudget()
  const { kv } = await ctx.connect()
  await ctx.print({ kind: 'put', response: await kv.put(request, budget()) })
}

/** The request for options whose value is known. */
export function putRequest(
  { key, leaseId, prevKv, ignoreValue, ignoreLease }: PutOptions,
  value: Buffer,
): DeepPartial<PutRequest> {
  return {
    key: bytes(key),
    value,
    lease: String(leaseId),
    prev_kv: prevKv,
    ignore_value: ignoreValue,
    ignore_lease: ignoreLease,
  }
}

async function valueToStore(
  ctx: CommandContext,
  { value, ignoreValue }: PutOptions,
): Promise<Buffer> {
  if (ignoreValue) return bytes('')
  if (value !== undefined) return bytes(value)
  const input = await ctx.readStdin()
  if (input.length === 0) throw new UsageError(noValue)
  return input
}

export const putCommand = defineCommand({ words, options: putOptions, run: runPut })
