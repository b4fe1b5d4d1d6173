// range.ts: what a RangeRequest asks of the store. The order of steps is etcd's, and locks and
// elections depend on it: fetch, filter by revisions, sort, cut to the limit, drop values.

import type { RangeRequest } from '../api/gen/rpc.js'
import {
  RangeRequest_SortOrder as Order,
  RangeRequest_SortTarget as Target,
} from '../api/gen/rpc.js'
import { EtcdError } from '../api/rpc-errors.js'
import type { Stored } from '../mvcc/key-index.js'

/** What a range reads from: the store, or a write transaction that sees its own writes. */
export interface Reader {
  range(
    key: Buffer,
    end: Buffer | undefined,
    at: { revision?: number; limit?: number; countOnly?: boolean },
  ): { items: Stored[]; count: number }
}

export interface RangeResult {
  items: Stored[]
  /** Matching pairs were cut off by the limit. */
  more: boolean
  /** Pairs in the interval at that revision, whatever limit and filters say. */
  count: number
}

/**
 * Refuses a request that no store could answer.
 * @throws EtcdError emptyKey, invalidSortOption
 */
export function checkRange(request: RangeRequest): void {
  if (request.key.length === 0) throw new EtcdError('emptyKey')
  const order: number = request.sort_order
  const target: number = request.sort_target
  if (order < 0 || order > Order.DESCEND || target < 0 || target > Target.VALUE) {
    throw new EtcdError('invalidSortOption')
  }
}

/** @throws EtcdError compacted, futureRevision */
export function executeRange(reader: Reader, request: RangeRequest): RangeResult {
  const limit = Math.max(Number(request.limit), 0)
  const revision = Number(request.revision)
  const filter = revisionFilter(request)
  const isSorted = request.sort_order !== Order.NONE && !isKeyAscending(request)
  // One more than asked tells whether there is more. A filter or an order needs the whole range.
  const fetchLimit = limit > 0 && !isSorted && filter === undefined ? limit + 1 : 0
  const { items, count } = reader.range(request.key, rangeEnd(request.range_end), {
    ...(revision > 0 ? { revision } : {}),
    limit: fetchLimit,
    countOnly: request.count_only,
  })
  if (request.count_only) return { items: [], more: false, count }
  const kept = filter === undefined ? items : items.filter(filter)
  const sorted = inOrder(kept, request)
  const more = limit > 0 && sorted.length > limit
  return { items: more ? sorted.slice(0, limit) : sorted, more, count }
}

/** An absent and an empty end are the same: a single key. */
export function rangeEnd(end: Buffer): Buffer | undefined {
  return end.length === 0 ? undefined : end
}

function isKeyAscending(request: RangeRequest): boolean {
  return request.sort_order === Order.ASCEND && request.sort_target === Target.KEY
}

function revisionFilter(request: RangeRequest): ((item: Stored) => boolean) | undefined {
  const minMod = Number(request.min_mod_revision)
  const maxMod = Number(request.max_mod_revision)
  const minCreate = Number(request.min_create_revision)
  const maxCreate = Number(request.max_create_revision)
  if (minMod === 0 && maxMod === 0 && minCreate === 0 && maxCreate === 0) return undefined
  return (item) =>
    (maxMod === 0 || item.main <= maxMod) &&
    (minMod === 0 || item.main >= minMod) &&
    (maxCreate === 0 || item.createRevision <= maxCreate) &&
    (minCreate === 0 || item.createRevision >= minCreate)
}

const comparisons: Record<Target, (a: Stored, b: Stored) => number> = {
  [Target.KEY]: (a, b) => Buffer.compare(a.key, b.key),
  [Target.VERSION]: (a, b) => a.version - b.version,
  [Target.CREATE]: (a, b) => a.createRevision - b.createRevision,
  [Target.MOD]: (a, b) => a.main - b.main,
  [Target.VALUE]: (a, b) => Buffer.compare(a.value, b.value),
}

/** Without an order, a target other than the key still sorts, ascending, as in etcd. */
function inOrder(items: Stored[], request: RangeRequest): Stored[] {
  const isByKey = request.sort_target === Target.KEY
  if (isByKey && request.sort_order !== Order.DESCEND) return items
  const compare = comparisons[request.sort_target]
  const sign = request.sort_order === Order.DESCEND ? -1 : 1
  return items.toSorted((a, b) => sign * compare(a, b))
}
