// claim.ts: the recipe that locks and elections share: a queue of keys under one prefix, in the
// order of their creation. Who stands first has the lock, or leads; everybody else waits until all
// keys in front of theirs are gone. Each key hangs on the lease of its owner and goes with it.
//
//     L/1a2b  created at 7   the owner
//     L/77    created at 9   waits for L/1a2b
//     L/3c    created at 12  waits for L/77, then looks again for what is older than 12

import type { KeyValue } from '../../api/gen/kv.js'
import type { ResponseHeader } from '../../api/gen/rpc.js'
import {
  RangeRequest_SortOrder as Order,
  RangeRequest_SortTarget as Target,
} from '../../api/gen/rpc.js'
import type { WatchableStore, WatchEvent } from '../../mvcc/watchable-store.js'
import type { Caller } from './caller.js'

/** As etcd's own sessions: long enough for a client to take over its keep-alive. */
const sessionTtlSeconds = '60'

/** The lease that was given, or a new one, which nobody keeps alive but the client. */
export async function sessionLease(caller: Caller, lease: string): Promise<string> {
  if (lease !== '0') return lease
  return (await caller.leaseGrant({ TTL: sessionTtlSeconds })).ID
}

/** Everything under `name/`. */
export function queueOf(name: Buffer): { key: Buffer; range_end: Buffer } {
  return {
    key: Buffer.concat([name, Buffer.from('/')]),
    range_end: Buffer.concat([name, Buffer.from('0')]),
  }
}

/** `name/` and the lease in hexadecimal, as Go prints a signed number. */
export function claimKey(name: Buffer, lease: string): Buffer {
  const id = BigInt(lease)
  const hex = id < 0n ? `-${(-id).toString(16)}` : id.toString(16)
  return Buffer.concat([name, Buffer.from(`/${hex}`)])
}

export interface Claim {
  key: Buffer
  /** At which the key was created, now or by an earlier call with the same lease. */
  revision: string
  header: ResponseHeader | undefined
  /** The key as it was found; undefined: it is new. */
  found: KeyValue | undefined
  /** The first in the queue. */
  owner: KeyValue | undefined
}

/** Takes a place in the queue, or finds the one that the lease already has. */
export async function claim(
  caller: Caller,
  { name, lease, value }: { name: Buffer; lease: string; value: Buffer },
): Promise<Claim> {
  const key = claimKey(name, lease)
  const first = { request_range: { ...queueOf(name), ...oldestFirst } }
  const { header, succeeded, responses } = await caller.txn({
    compare: [{ key, target: 1, result: 0, create_revision: '0' }],
    success: [{ request_put: { key, value, lease } }, first],
    failure: [{ request_range: { key } }, first],
  })
  const found = succeeded ? undefined : responses[0]?.response_range?.kvs[0]
  const revision = found?.create_revision ?? header?.revision ?? '0'
  return { key, revision, header, found, owner: responses[1]?.response_range?.kvs[0] }
}

export const oldestFirst = {
  sort_order: Order.ASCEND,
  sort_target: Target.CREATE,
  limit: '1',
} as const

/** Waits until no key of the queue is older than `revision`. @throws when the signal aborts */
export async function waitForTurn(
  caller: Caller,
  store: WatchableStore,
  { name, revision, signal }: { name: Buffer; revision: string; signal: AbortSignal },
): Promise<void> {
  const older = {
    ...queueOf(name),
    sort_order: Order.DESCEND,
    sort_target: Target.CREATE,
    limit: '1',
    max_create_revision: String(Number(revision) - 1),
  }
  for (;;) {
    const { kvs, header } = await caller.range(older)
    const last = kvs[0]
    if (last === undefined) return
    const from = Number(header?.revision ?? 0)
    for await (const { type } of changes(store, { key: last.key, from, signal })) {
      if (type === 'delete') break
    }
  }
}

/** What happens to a key, or in a range, from a revision on. @throws when the signal aborts */
export async function* changes(
  store: WatchableStore,
  range: { key: Buffer; end?: Buffer; from: number; signal: AbortSignal },
): AsyncGenerator<WatchEvent, void, void> {
  const { key, end, from: startRevision, signal } = range
  const stream = store.newWatchStream()
  const close = () => stream.close()
  signal.addEventListener('abort', close, { once: true })
  try {
    signal.throwIfAborted()
    stream.create({ key, end, startRevision })
    for await (const { events, notice } of stream) {
      if (notice?.canceled) throw new Error('lost watcher waiting for delete')
      yield* events
    }
    signal.throwIfAborted()
  } finally {
    signal.removeEventListener('abort', close)
    stream.close()
  }
}
