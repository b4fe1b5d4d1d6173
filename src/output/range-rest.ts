// range-rest.ts: what stands in the bytes of a RangeResponse beside its pairs, which may be many.
import { RangeResponse } from '../api/gen/rpc.js'
import { type FieldSpan, fieldAt, rangeTag } from './wire.js'

/** Throws RangeError on a damaged message. */
export function withoutPairs(message: Buffer): { rest: RangeResponse; count: number } {
  const field: FieldSpan = { tag: 0, from: 0, to: 0 }
  const others: Buffer[] = []
  let count = 0
  for (let at = 0; at < message.length; at = field.to) {
    fieldAt(message, at, message.length, field)
    if (field.tag === rangeTag.kvs) count++
    else others.push(message.subarray(at, field.to))
  }
  return { rest: RangeResponse.decode(Buffer.concat(others)), count }
}
