// raw-range-fields.ts: the fields of a RangeResponse, made from its bytes pair by pair.
//
// A pair is decoded, its lines are made, and it is forgotten: of many pairs never more than a
// piece of text stands in memory beside the message. All at once, 300,000 took 2.7 GB.
import { KeyValue } from '../api/gen/kv.js'
import type { RangeResponse } from '../api/gen/rpc.js'
import { ByteText } from './byte-text.js'
import { withoutPairs } from './range-rest.js'
import { type FieldSpan, fieldAt, rangeTag } from './wire.js'

/** Large enough that the cost of a write vanishes, small enough to stay in the cache. */
const pieceBytes = 256 * 1024

export interface FieldLines {
  /** Above the pairs. */
  head(rest: RangeResponse): string
  pair(kv: KeyValue): string
  /** Below the pairs. */
  foot(rest: RangeResponse): string
}

/** A piece is valid until the next one is asked for. Throws RangeError on a damaged message. */
export function* fieldsRangePieces(message: Buffer, lines: FieldLines): Generator<Buffer> {
  const { rest } = withoutPairs(message)
  const field: FieldSpan = { tag: 0, from: 0, to: 0 }
  const out = new ByteText({ hex: false })
  out.text(lines.head(rest))
  for (let at = 0; at < message.length; at = field.to) {
    fieldAt(message, at, message.length, field)
    if (field.tag !== rangeTag.kvs) continue
    out.text(lines.pair(KeyValue.decode(message.subarray(field.from, field.to))))
    if (out.sizeBytes >= pieceBytes) yield out.take()
  }
  out.text(lines.foot(rest))
  yield out.take()
}
