// lease-queue.ts: who comes first. Everybody puts a key of his own below a common name, bound to
// his lease; the order of creation is the order of the queue, and the key that is oldest is first.
//
//     NAME/694d81417acd4a0b   created at revision 7     first
//     NAME/694d81417acd4a12   created at revision 9     waits until the one before is gone
//
// The layout is that of Go's clients, to the letter: their locks and elections wait for ours, and
// ours for theirs. Everybody waits for the key just before his own only, so that an end wakes one
// client and not all of them.
import { Event_EventType } from '../api/gen/kv.js'
import type { RangeRequest, RangeResponse, ResponseHeader } from '../api/gen/rpc.js'
import { cancelReason } from './cancel-reason.js'
import type { Connection } from './connection.js'
import { ContextError } from './errors.js'
import { prefixRange } from './key-range.js'
import type { Session } from './session.js'

export interface Place {
  readonly key: Buffer
  /** At which the key was created: the smaller, the earlier. */
  readonly revision: bigint
  /** The answer that gave the place. */
  readonly header: ResponseHeader | undefined
  /** Nobody stood there before. */
  readonly isFirst: boolean
}

type Calls = Pick<Connection, 'kv' | 'watch'>
type Header = ResponseHeader | undefined

/** Below which the keys of a name are. */
export const queuePrefix = (name: Buffer): Buffer => Buffer.concat([name, Buffer.from('/')])

/** The key of a session; the lease in hexadecimal. */
export const placeKey = (name: Buffer, { leaseId }: Session): Buffer =>
  Buffer.concat([queuePrefix(name), Buffer.from(BigInt(leaseId).toString(16))])

/** Asks for the key that is first below a prefix. */
export const firstRange = (prefix: Buffer): Partial<RangeRequest> => ({
  ...prefixRange(prefix),
  sort_target: 2,
  sort_order: 1,
  limit: '1',
})

/** Joins the queue; a session that stands in it already keeps its place. */
export async function takePlace(
  { kv }: Calls,
  { name, session, value }: { name: Buffer; session: Session; value: Buffer },
  signal: AbortSignal,
): Promise<Place> {
  const key = placeKey(name, session)
  const first = { request_range: firstRange(queuePrefix(name)) }
  const { header, succeeded, responses } = await kv.txn(
    {
      compare: [{ key, target: 1, result: 0, create_revision: '0' }],
      success: [{ request_put: { key, value, lease: session.leaseId } }, first],
      failure: [{ request_range: { key } }, first],
    },
    { signal },
  )
  const [own, oldest] = responses.map(({ response_range }) => response_range?.kvs[0])
  const created = succeeded ? header?.revision : own?.create_revision
  const revision = BigInt(created ?? '0')
  const isFirst = oldest === undefined || BigInt(oldest.create_revision) === revision
  return { key, revision, header, isFirst }
}

/** Resolves when all who came before are gone. Throws a ContextError when the signal is aborted. */
export async function untilFirst(
  calls: Calls,
  { name, revision }: { name: Buffer; revision: bigint },
  signal: AbortSignal,
): Promise<void> {
  for (;;) {
    const { kvs, header } = await lastBefore(calls, { name, revision }, signal)
    const [before] = kvs
    if (before === undefined) return
    await untilDeleted(calls, before.key, header, signal)
  }
}

function lastBefore(
  { kv }: Calls,
  { name, revision }: { name: Buffer; revision: bigint },
  signal: AbortSignal,
): Promise<RangeResponse> {
  const request = {
    ...prefixRange(queuePrefix(name)),
    sort_target: 2,
    sort_order: 2,
    limit: '1',
    max_create_revision: String(revision - 1n),
  } as const
  return kv.range(request, { signal })
}

/** Resolves when the key, seen at the header's revision, may be gone. */
async function untilDeleted(
  { watch }: Calls,
  key: Buffer,
  header: Header,
  signal: AbortSignal,
): Promise<void> {
  for await (const answer of watch({ key, start_revision: after(header) }, { signal })) {
    if (answer.events.some(({ type }) => type === Event_EventType.DELETE)) return
    if (!answer.canceled) continue
    // What happened meanwhile is forgotten already: the caller looks again.
    if (answer.compact_revision !== '0') return
    throw new Error(cancelReason(answer))
  }
  throw new ContextError('canceled')
}

/** The first revision that the answer does not know of. */
export const after = (header: Header): string => String(BigInt(header?.revision ?? '0') + 1n)
