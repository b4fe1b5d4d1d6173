// range-stream.ts: one range in pieces, so that neither end holds a large answer at once. All
// pieces read at the revision of the first; merged field by field they are the unary answer.
import {
  RangeRequest_SortOrder as Order,
  type RangeRequest,
  RangeRequest_SortTarget as Target,
} from '../../api/gen/rpc.js'
import { RpcError, Status } from '../../grpc/status.js'
import { executeRange, type RangeResult, type Reader } from '../range.js'

const firstChunkKeys = 10

export interface Chunk {
  /** `more` and `count` are filled in the last chunk only. */
  result: RangeResult
  isLast: boolean
}

/**
 * The chunk size doubles while a chunk stays below half of `requestBytesMax`, and halves when one
 * is more than twice as large.
 * @throws RpcError unimplemented for what cannot be streamed in key order
 */
export function* rangeChunks(
  store: Reader & { revision: number },
  request: RangeRequest,
  requestBytesMax: number,
): Generator<Chunk, void, void> {
  checkStreamable(request)
  const whole = executeRange(store, { ...request, count_only: true })
  if (request.count_only) return yield { result: whole, isLast: true }
  const revision = Number(request.revision) > 0 ? request.revision : String(store.revision)
  const limit = Math.max(Number(request.limit), 0)
  let left = limit > 0 ? Math.min(limit, whole.count) : whole.count
  let keysMax = firstChunkKeys
  let key = request.key
  for (;;) {
    const size = Math.min(keysMax, left)
    const chunk = { ...request, key, revision, limit: String(Math.max(size, 1)) }
    const { items } = executeRange(store, chunk)
    left -= items.length
    const isLast = left <= 0 || items.length < size
    const more = isLast && limit > 0 && whole.count > limit
    yield { result: { items, more, count: isLast ? whole.count : 0 }, isLast }
    const last = items.at(-1)
    if (isLast || last === undefined) return
    key = Buffer.concat([last.key, Buffer.alloc(1)])
    const bytes = items.reduce((sum, item) => sum + item.size, 0)
    if (bytes < requestBytesMax / 2) keysMax *= 2
    else if (bytes > requestBytesMax * 2) keysMax = Math.max(Math.floor(keysMax / 2), 1)
  }
}

function checkStreamable(request: RangeRequest): void {
  const isKeyOrder = request.sort_target === Target.KEY && request.sort_order !== Order.DESCEND
  if (!isKeyOrder) {
    throw new RpcError(Status.unimplemented, 'RangeStream does not support custom sort orders')
  }
  const filters = [
    request.min_mod_revision,
    request.max_mod_revision,
    request.min_create_revision,
    request.max_create_revision,
  ]
  if (filters.some((revision) => revision !== '0')) {
    throw new RpcError(Status.unimplemented, 'RangeStream does not support revision filters')
  }
}
