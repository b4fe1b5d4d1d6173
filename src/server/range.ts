// range.ts: a RangeRequest, checked and put to the store. What is fetched of it, and in which order
// it comes, is the business of mvcc/range-order.ts.
import type { RangeRequest } from '../api/gen/rpc.js'
import {
  RangeRequest_SortOrder as Order,
  RangeRequest_SortTarget as Target,
} from '../api/gen/rpc.js'
import { EtcdError } from '../api/rpc-errors.js'
import type { Stored } from '../mvcc/key-index.js'
import { fetchLimit, selected } from '../mvcc/range-order.js'

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
  const revision = Number(request.revision)
  const { items, count } = reader.range(request.key, rangeEnd(request.range_end), {
    ...(revision > 0 ? { revision } : {}),
    limit: fetchLimit(request),
    countOnly: request.count_only,
  })
  if (request.count_only) return { items: [], more: false, count }
  return { ...selected(items, request), count }
}

/** An absent and an empty end are the same: a single key. */
export function rangeEnd(end: Buffer): Buffer | undefined {
  return end.length === 0 ? undefined : end
}
