// mirror.ts: copies the keys below a prefix to another cluster, and goes on copying as they change.
//
// First all keys, as they were at one revision; then every change from the next revision on, so
// that nothing is lost in between. Changes of one revision were made together and are made
// together: one transaction, as long as the destination takes one of that size. Leases are not
// copied: the lease of one cluster means nothing in another.
import { type Event, Event_EventType, type KeyValue } from '../api/gen/kv.js'
import type { DeepPartial, RangeResponse, RequestOp } from '../api/gen/rpc.js'
import { cancelReason } from './cancel-reason.js'
import type { Connection } from './connection.js'
import { prefixRange } from './key-range.js'

export interface MirrorOptions {
  prefix: Buffer
  /** What stands in the place of the prefix in the copy. */
  destinationPrefix: Buffer
  /** Copy only what changed at this revision or later; 0n: all keys first. */
  fromRevision: bigint
  /** Operations in a transaction of the destination; 0: no limit. */
  opsMax: number
  signal: AbortSignal
  /** Called for each number of keys or changes that the destination has now. */
  onCopied(count: number): void
}

type Source = Pick<Connection, 'kv' | 'watch'>
type Destination = Pick<Connection, 'kv'>

/** Keys in one answer of the source. */
const pageKeysMax = 1000

/** Ends when the signal is aborted; throws when either side fails or the history is gone. */
export async function mirror(
  source: Source,
  destination: Destination,
  options: MirrorOptions,
): Promise<void> {
  const { fromRevision } = options
  const start = fromRevision > 0n ? fromRevision : await copyAll(source, destination, options)
  await copyChanges(source, destination, { ...options, fromRevision: start })
}

/** The answer is the first revision that is not in the copy. */
async function copyAll(
  source: Source,
  { kv }: Destination,
  options: MirrorOptions,
): Promise<bigint> {
  const { signal, onCopied } = options
  let revision = '0'
  for await (const { kvs, header } of pages(source, options)) {
    revision = revision === '0' ? (header?.revision ?? '0') : revision
    for (const success of portions(kvs, options)) {
      await kv.txn({ success }, { signal })
      onCopied(success.length)
    }
  }
  return BigInt(revision) + 1n
}

/** Keys and values in a transaction of the base: well below the 1.5 MiB that servers take. */
const portionBytesMax = 512 * 1024

/** What servers take in a transaction unless they are told otherwise. */
const portionOpsMax = 128

/** Puts, as many at a time as make one transaction: one call a key would mostly be waiting. */
function* portions(
  kvs: readonly KeyValue[],
  options: MirrorOptions,
): Generator<DeepPartial<RequestOp>[]> {
  const opsMax = options.opsMax > 0 ? options.opsMax : portionOpsMax
  let portion: DeepPartial<RequestOp>[] = []
  let bytes = 0
  for (const kv of kvs) {
    const more = kv.key.length + kv.value.length
    if (portion.length > 0 && (portion.length === opsMax || bytes + more > portionBytesMax)) {
      yield portion
      portion = []
      bytes = 0
    }
    portion.push(put(kv, options))
    bytes += more
  }
  if (portion.length > 0) yield portion
}

/** All keys below the prefix as they were when the first page was read. */
async function* pages(
  { kv }: Source,
  { prefix, signal }: MirrorOptions,
): AsyncGenerator<RangeResponse, void, undefined> {
  const range = prefixRange(prefix)
  let revision = '0'
  for (let more = true; more; ) {
    const page = await kv.range({ ...range, revision, limit: String(pageKeysMax) }, { signal })
    yield page
    if (revision === '0') revision = page.header?.revision ?? '0'
    const last = page.kvs.at(-1)
    more = page.more && last !== undefined
    if (last !== undefined) range.key = Buffer.concat([last.key, Buffer.of(0)])
  }
}

async function copyChanges(
  { watch }: Source,
  { kv }: Destination,
  options: MirrorOptions,
): Promise<void> {
  const { prefix, fromRevision, opsMax, signal, onCopied } = options
  const create = { ...prefixRange(prefix), start_revision: String(fromRevision) }
  for await (const answer of watch(create, { signal })) {
    for (const success of batches(answer.events, options, opsMax)) {
      await kv.txn({ success }, { signal })
      onCopied(success.length)
    }
    if (answer.canceled) throw new Error(cancelReason(answer))
  }
}

/** The operations of each transaction: those of one revision, in parts where they are too many. */
function* batches(
  events: readonly Event[],
  options: Pick<MirrorOptions, 'prefix' | 'destinationPrefix'>,
  opsMax: number,
): Generator<DeepPartial<RequestOp>[]> {
  let batch: DeepPartial<RequestOp>[] = []
  let revision: string | undefined
  for (const { type, kv } of events) {
    if (kv === undefined) continue
    const isFull = opsMax > 0 && batch.length === opsMax
    if (batch.length > 0 && (isFull || kv.mod_revision !== revision)) {
      yield batch
      batch = []
    }
    revision = kv.mod_revision
    batch.push(type === Event_EventType.DELETE ? deletion(kv, options) : put(kv, options))
  }
  if (batch.length > 0) yield batch
}

type Prefixes = Pick<MirrorOptions, 'prefix' | 'destinationPrefix'>

const put = ({ key, value }: KeyValue, prefixes: Prefixes): DeepPartial<RequestOp> => ({
  request_put: { key: copied(key, prefixes), value },
})

const deletion = ({ key }: KeyValue, prefixes: Prefixes): DeepPartial<RequestOp> => ({
  request_delete_range: { key: copied(key, prefixes) },
})

/** The key in the copy; the key itself begins with the prefix. */
const copied = (key: Buffer, { prefix, destinationPrefix }: Prefixes): Buffer =>
  Buffer.concat([destinationPrefix, key.subarray(prefix.length)])
