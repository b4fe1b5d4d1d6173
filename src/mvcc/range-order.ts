// range-order.ts: what a RangeRequest asks for beside the interval: filters by revision, order and
// limit. The order of steps is etcd's, and locks and elections depend on it: fetch, filter, sort,
// cut to the limit.
import type { RangeRequest } from '../api/gen/rpc.js'
import {
  RangeRequest_SortOrder as Order,
  RangeRequest_SortTarget as Target,
} from '../api/gen/rpc.js'

/** What pairs are filtered and sorted by. */
export interface Orderable {
  readonly key: Buffer
  readonly value: Buffer
  /** Of the last change. */
  readonly main: number
  readonly createRevision: number
  readonly version: number
}

/** How many of the lowest keys the request looks at; 0: all. */
export function fetchLimit(request: RangeRequest): number {
  const limit = limitOf(request)
  const isSorted = request.sort_order !== Order.NONE && !isKeyAscending(request)
  // One more than asked tells whether there is more. A filter or an order needs the whole range.
  return limit > 0 && !isSorted && revisionFilter(request) === undefined ? limit + 1 : 0
}

/** `items` are in key order, fetchLimit() of them. */
export function selected<T extends Orderable>(
  items: T[],
  request: RangeRequest,
): { items: T[]; more: boolean } {
  const limit = limitOf(request)
  const filter = revisionFilter(request)
  const kept = filter === undefined ? items : items.filter(filter)
  const sorted = inOrder(kept, request)
  const more = limit > 0 && sorted.length > limit
  return { items: more ? sorted.slice(0, limit) : sorted, more }
}

const limitOf = ({ limit }: RangeRequest): number => Math.max(Number(limit), 0)

function isKeyAscending(request: RangeRequest): boolean {
  return request.sort_order === Order.ASCEND && request.sort_target === Target.KEY
}

function revisionFilter(request: RangeRequest): ((item: Orderable) => boolean) | undefined {
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

const comparisons: Record<Target, (a: Orderable, b: Orderable) => number> = {
  [Target.KEY]: (a, b) => Buffer.compare(a.key, b.key),
  [Target.VERSION]: (a, b) => a.version - b.version,
  [Target.CREATE]: (a, b) => a.createRevision - b.createRevision,
  [Target.MOD]: (a, b) => a.main - b.main,
  [Target.VALUE]: (a, b) => Buffer.compare(a.value, b.value),
}

/** Without an order, a target other than the key still sorts, ascending, as in etcd. */
function inOrder<T extends Orderable>(items: T[], request: RangeRequest): T[] {
  const isByKey = request.sort_target === Target.KEY
  if (isByKey && request.sort_order !== Order.DESCEND) return items
  const compare = comparisons[request.sort_target]
  const sign = request.sort_order === Order.DESCEND ? -1 : 1
  return items.toSorted((a, b) => sign * compare(a, b))
}
