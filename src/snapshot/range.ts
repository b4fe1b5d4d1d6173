// range.ts: a Range request answered from a snapshot file, as the server that it was taken from
// would answer it: any revision from the compaction on, every order, filter and limit. One pass
// over the file; memory is for the pairs of the answer.
import type { KeyValue } from '../api/gen/kv.js'
import { type DeepPartial, RangeRequest, RangeResponse } from '../api/gen/rpc.js'
import { EtcdError } from '../api/rpc-errors.js'
import { fetchLimit, type Orderable, selected } from '../mvcc/range-order.js'
import type { Files } from '../platform/files.js'
import type { Database, Leaf } from '../storage/bbolt/reader.js'
import {
  compactedAt,
  firstRevision,
  keyAt,
  openSnapshot,
  revisionAt,
  unreadable,
} from './history.js'
import { decodeRecord, type KeySpan } from './record.js'

/** Throws EtcdError as a server would, SnapshotError or CorruptionError for a damaged file. */
export async function snapshotRange(
  file: string,
  asked: DeepPartial<RangeRequest>,
  options: { files: Files },
): Promise<RangeResponse> {
  const request = RangeRequest.fromPartial(asked)
  if (request.key.length === 0) throw new EtcdError('emptyKey')
  const database = await openSnapshot(file, options)
  try {
    const compactRevision = await compactedAt(database)
    const revision = Number(request.revision)
    if (revision > 0 && revision < compactRevision) throw new EtcdError('compacted')
    const { pairs, lastRevision } = await pairsAt(database, request)
    const current = Math.max(lastRevision, compactRevision)
    if (revision > current) throw new EtcdError('futureRevision')
    return { ...answer(pairs, request), header: headerAt(current) }
  } finally {
    await database.close()
  }
}

/** A file has no leader and no member that answers. */
const headerAt = (revision: number) => ({
  ...{ cluster_id: '0', member_id: '0', revision: String(revision), raft_term: '0' },
})

interface Pair extends Orderable {
  readonly kv: KeyValue
}

function answer(pairs: Map<string, Pair>, request: RangeRequest): RangeResponse {
  const count = String(pairs.size)
  if (request.count_only) return RangeResponse.fromPartial({ count })
  // As text of one character a byte, keys have the order of their bytes.
  const keys = [...pairs.keys()].sort()
  const lowest = fetchLimit(request)
  const fetched = (lowest > 0 ? keys.slice(0, lowest) : keys).flatMap((key) => pairs.get(key) ?? [])
  const { items, more } = selected(fetched, request)
  const kvs = items.map(({ kv }) => (request.keys_only ? withoutValue(kv) : kv))
  return { header: undefined, kvs, more, count }
}

/** Nor does it have its lease, as 3.7 answers. */
const withoutValue = (kv: KeyValue): KeyValue => ({ ...kv, value: Buffer.alloc(0), lease: '0' })

/** The keys of the interval that live at the revision that was asked for. */
async function pairsAt(
  database: Database,
  { key, range_end, revision }: RangeRequest,
): Promise<{ pairs: Map<string, Pair>; lastRevision: number }> {
  const pairs = new Map<string, Pair>()
  const last = Number(revision) > 0 ? Number(revision) : Number.POSITIVE_INFINITY
  const isInside = intervalOf(key, range_end)
  let lastRevision = firstRevision
  for await (const leaf of database.leaves('key')) {
    for (let at = 0; at < leaf.count; at++) {
      const { main, tombstone } = revisionAt(database, leaf, at)
      lastRevision = main
      if (main > last) continue
      const span = keyAt(database, leaf, at)
      if (!isInside(leaf.bytes, span)) continue
      const text = leaf.bytes.toString('latin1', span.start, span.end)
      if (tombstone) pairs.delete(text)
      else pairs.set(text, pairAt(database, leaf, at))
    }
  }
  return { pairs, lastRevision }
}

/** Whether a key lies in the interval: of one key, up to an end, or (one NUL byte) without one. */
function intervalOf(key: Buffer, rangeEnd: Buffer): (bytes: Buffer, at: KeySpan) => boolean {
  const against = (bound: Buffer, bytes: Buffer, { start, end }: KeySpan): number =>
    bytes.compare(bound, 0, bound.length, start, end)
  if (rangeEnd.length === 0) return (bytes, at) => against(key, bytes, at) === 0
  if (rangeEnd.length === 1 && rangeEnd[0] === 0) {
    return (bytes, at) => against(key, bytes, at) >= 0
  }
  return (bytes, at) => against(key, bytes, at) >= 0 && against(rangeEnd, bytes, at) < 0
}

function pairAt(database: Database, leaf: Leaf, at: number): Pair {
  // A copy, so that a small value does not keep its page.
  const kv = decodeRecord(Buffer.from(leaf.value(at)))
  if (kv === undefined) throw unreadable(database, leaf, at)
  return {
    kv,
    key: kv.key,
    value: kv.value,
    main: Number(kv.mod_revision),
    createRevision: Number(kv.create_revision),
    version: Number(kv.version),
  }
}
