// election.ts: who leads, among the sessions that stand for a name: the one whose key is oldest.
// The key's value is what the leader has to say, its proposal. Key layout of Go's clients.
import { Event_EventType, type KeyValue } from '../api/gen/kv.js'
import { RangeResponse, type ResponseHeader, type WatchResponse } from '../api/gen/rpc.js'
import { cancelReason } from './cancel-reason.js'
import type { CallOptions } from './clients.js'
import type { Connection } from './connection.js'
import { prefixRange } from './key-range.js'
import { after, firstRange, placeKey, queuePrefix, takePlace, untilFirst } from './lease-queue.js'
import type { Session } from './session.js'

type Calls = Pick<Connection, 'kv' | 'watch'>

export interface Candidacy {
  readonly key: Buffer
  /** Resolves when this session leads. Throws a ContextError when the signal is aborted. */
  campaign(proposal: Buffer, signal: AbortSignal): Promise<void>
  /** Gives the place back, as leader or before; nothing when there is none. */
  resign(options?: CallOptions): Promise<void>
}

export function newCandidacy(connection: Calls, session: Session, name: Buffer): Candidacy {
  const { kv } = connection
  const key = placeKey(name, session)
  return {
    key,
    async campaign(value, signal) {
      const place = await takePlace(connection, { name, session, value }, signal)
      if (!place.isFirst) await untilFirst(connection, { name, revision: place.revision }, signal)
    },
    async resign(options) {
      // The lease is in the key's name: nobody else's key can be meant.
      await kv.deleteRange({ key }, options)
    },
  }
}

/**
 * The leader, then every other leader and every other proposal, each as an answer with one key.
 * Ends when the signal is aborted; throws what makes a read or a watch fail.
 */
export async function* leaders(
  connection: Calls,
  name: Buffer,
  signal: AbortSignal,
): AsyncGenerator<RangeResponse, void, undefined> {
  const prefix = queuePrefix(name)
  while (!signal.aborted) {
    const answer = await connection.kv.range(firstRange(prefix), { signal })
    const [leader] = answer.kvs
    const found =
      leader === undefined
        ? await firstToCome(connection, { prefix, header: answer.header }, signal)
        : { header: answer.header, kv: leader }
    if (found === undefined) continue
    yield shown(found)
    yield* proposals(connection, found, signal)
  }
}

interface Found {
  header: ResponseHeader | undefined
  kv: KeyValue
}

const shown = ({ header, kv }: Found): RangeResponse =>
  RangeResponse.fromPartial({ header, kvs: [kv] })

/** An event as an answer that was given when it happened. */
const at = (header: ResponseHeader | undefined, kv: KeyValue): Found => ({
  header: header && { ...header, revision: kv.mod_revision },
  kv,
})

/** The first key that appears below the prefix; undefined when the watch ends before. */
async function firstToCome(
  { watch }: Calls,
  { prefix, header }: { prefix: Buffer; header: ResponseHeader | undefined },
  signal: AbortSignal,
): Promise<Found | undefined> {
  const create = { ...prefixRange(prefix), start_revision: after(header) }
  for await (const answer of watch(create, { signal })) {
    const put = answer.events.find(({ type }) => type === Event_EventType.PUT)?.kv
    if (put !== undefined) return at(answer.header, put)
    checkGoesOn(answer)
  }
  return undefined
}

/** What else the leader proposes, until its key is gone. */
async function* proposals(
  { watch }: Calls,
  { header, kv: { key } }: Found,
  signal: AbortSignal,
): AsyncGenerator<RangeResponse, void, undefined> {
  for await (const answer of watch({ key, start_revision: after(header) }, { signal })) {
    for (const { type, kv } of answer.events) {
      if (type === Event_EventType.DELETE) return
      if (kv !== undefined) yield shown(at(answer.header, kv))
    }
    checkGoesOn(answer)
  }
}

/** A watch whose past was compacted meanwhile just ends: the caller looks again. */
function checkGoesOn(answer: WatchResponse): void {
  if (answer.canceled && answer.compact_revision === '0') throw new Error(cancelReason(answer))
}
