// check-ground.ts: the ground that a check is done on: keys below a prefix of its own, which must
// be empty before and is empty again afterwards, and the connections that write there.
import type { PutResponse } from '../api/gen/rpc.js'
import type { Connection } from '../connection/connect.js'
import { prefixRange } from '../connection/key-range.js'
import { bytes, type CommandContext, goQuote, UsageError } from './context.js'
import { withEndpoint } from './endpoints.js'

export interface CheckGround {
  prefix: string
  autoCompact: boolean
  autoDefrag: boolean
}

/** More sockets would only measure this process: the clients share them. */
const connectionsMax = 50

/**
 * The connections of that many clients, all of them up. Throws when the prefix has keys; `hint`
 * is the command that removes them.
 */
export async function openGround(
  ctx: CommandContext,
  { prefix }: CheckGround,
  { clients, hint }: { clients: number; hint: string },
): Promise<readonly Connection[]> {
  const count = Math.min(clients, connectionsMax)
  const connections = await Promise.all(Array.from({ length: count }, () => ctx.connect({})))
  const request = { ...prefixRange(bytes(prefix)), limit: '1', keys_only: true }
  const answers = await Promise.all(connections.map(({ kv }) => kv.range(request)))
  if (answers.some(({ kvs }) => kvs.length > 0)) {
    throw new UsageError(`prefix ${goQuote(prefix)} has keys. Delete with ${hint} first`, 3)
  }
  return connections
}

/** One put below the prefix: a random suffix, a value of zeros. */
export function putSomewhere(
  ctx: CommandContext,
  { kv }: Pick<Connection, 'kv'>,
  { prefix, keyBytes, valueBytes }: { prefix: string; keyBytes: number; valueBytes: number },
): Promise<PutResponse> {
  const suffix = Buffer.alloc(keyBytes)
  suffix.writeUIntBE(ctx.random.below(2 ** 48 - 1), 0, 6)
  const key = Buffer.concat([bytes(prefix), suffix])
  // Without a limit a server that is gone would be waited for, and the check would never end.
  const deadlineMs = ctx.globals.commandTimeoutMs
  return kv.put({ key, value: Buffer.alloc(valueBytes) }, { deadlineMs })
}

/** Deletes what the check wrote; the flags say what else is to be tidied up. */
export async function clearGround(
  ctx: CommandContext,
  { kv }: Pick<Connection, 'kv'>,
  { prefix, autoCompact, autoDefrag }: CheckGround,
): Promise<void> {
  const { header } = await kv.deleteRange(prefixRange(bytes(prefix)))
  const revision = header?.revision ?? '0'
  if (autoCompact) {
    await ctx.write(`Compacting with revision ${revision}\n`)
    await kv.compact({ revision, physical: true })
    await ctx.write(`Compacted with revision ${revision}\n`)
  }
  if (!autoDefrag) return
  for (const endpoint of ctx.globals.endpoints) {
    await ctx.write(`Defragmenting ${goQuote(endpoint)}\n`)
    await withEndpoint(ctx, endpoint, ({ maintenance }) => maintenance.defragment())
    await ctx.write(`Defragmented ${goQuote(endpoint)}\n`)
  }
}

/** Lines about requests that failed; none when none did. */
export function failureLines(errors: ReadonlyMap<string, number>): string[] {
  if (errors.size === 0) return []
  const lines = [...errors].map(([text, count]) => `FAIL: ERROR(${text}) -> ${count}`)
  return ['FAIL: too many errors', ...lines]
}
