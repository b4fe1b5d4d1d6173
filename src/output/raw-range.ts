// raw-range.ts: simple output made straight from the bytes of a RangeResponse.
//
// A prefix of 300,000 keys decoded into objects costs more time and memory than all the rest of
// `get`. The answer is therefore walked as it came from the wire:
//
//     12 len  0a len key  10 create  18 mod  20 version  2a len value  30 lease     one key
//     ......  ......^^^^  ............................   ......^^^^^^               what is kept
//
// The kept bytes and their two line feeds never need more room than the wire took (each field has
// at least two bytes in front), so a block of the message is copied into one piece and compacted
// there in place: per key two moves inside one buffer, and nothing to collect. Form hex grows
// fourfold and is written from the message into a piece instead.

import { writeHex } from './byte-text.js'
import { type FieldSpan, fieldAt, type PairSpan, pairAt, rangeTag } from './wire.js'

/** Large enough that the cost of a write vanishes, small enough to stay in the cache. */
const pieceBytes = 256 * 1024

const lineFeed = 0x0a

export interface RangeForm {
  form: 'plain' | 'hex'
  valuesOnly: boolean
}

/** A piece is valid until the next one is asked for. Throws RangeError on a damaged message. */
export function rangePieces(message: Buffer, options: RangeForm): Iterable<Buffer> {
  const { form, valuesOnly } = options
  return form === 'hex' ? hexPieces(message, valuesOnly) : plainPieces(message, valuesOnly)
}

function* plainPieces(message: Buffer, valuesOnly: boolean): Generator<Buffer> {
  let piece = Buffer.allocUnsafe(Math.min(pieceBytes, message.length))
  for (let at = 0; at < message.length; ) {
    const end = wholeFieldsEnd(message, at, piece.length)
    if (end - at > piece.length) piece = Buffer.allocUnsafe(end - at)
    message.copy(piece, 0, at, end)
    const length = compact(piece, end - at, valuesOnly)
    if (length > 0) yield piece.subarray(0, length)
    at = end
  }
}

/** End of the last field that ends within sizeMax bytes; the end of the first if none does. */
function wholeFieldsEnd(message: Buffer, from: number, sizeMax: number): number {
  const field: FieldSpan = { tag: 0, from: 0, to: 0 }
  let end = from
  while (end < message.length) {
    fieldAt(message, end, message.length, field)
    if (field.to - from > sizeMax && end > from) break
    end = field.to
  }
  return end
}

/** Turns the whole fields in piece[0, size) into lines; returns how many bytes they take. */
function compact(piece: Buffer, size: number, valuesOnly: boolean): number {
  const field: FieldSpan = { tag: 0, from: 0, to: 0 }
  const pair: PairSpan = { keyFrom: 0, keyTo: 0, valueFrom: 0, valueTo: 0 }
  let length = 0
  for (let at = 0; at < size; at = field.to) {
    fieldAt(piece, at, size, field)
    if (field.tag !== rangeTag.kvs) continue
    pairAt(piece, field, pair)
    if (valuesOnly) {
      length = moveLine(piece, length, pair.valueFrom, pair.valueTo)
    } else if (pair.keyTo <= pair.valueFrom || pair.valueFrom === pair.valueTo) {
      length = moveLine(piece, length, pair.keyFrom, pair.keyTo)
      length = moveLine(piece, length, pair.valueFrom, pair.valueTo)
    } else {
      // The value stands before the key, which no server does but the format allows: moving the
      // key first would write over it.
      const value = Buffer.from(piece.subarray(pair.valueFrom, pair.valueTo))
      length = moveLine(piece, length, pair.keyFrom, pair.keyTo)
      length += value.copy(piece, length)
      piece[length++] = lineFeed
    }
  }
  return length
}

function moveLine(piece: Buffer, at: number, from: number, to: number): number {
  piece.copyWithin(at, from, to)
  const end = at + to - from
  piece[end] = lineFeed
  return end + 1
}

function* hexPieces(message: Buffer, valuesOnly: boolean): Generator<Buffer> {
  const field: FieldSpan = { tag: 0, from: 0, to: 0 }
  const pair: PairSpan = { keyFrom: 0, keyTo: 0, valueFrom: 0, valueTo: 0 }
  let piece = Buffer.allocUnsafe(pieceBytes)
  let length = 0
  for (let at = 0; at < message.length; at = field.to) {
    fieldAt(message, at, message.length, field)
    if (field.tag !== rangeTag.kvs) continue
    pairAt(message, field, pair)
    const needed = (field.to - field.from) * 4 + 2
    if (length + needed > piece.length) {
      if (length > 0) yield piece.subarray(0, length)
      if (needed > piece.length) piece = Buffer.allocUnsafe(needed)
      length = 0
    }
    if (!valuesOnly) {
      length = writeHex(message, { from: pair.keyFrom, to: pair.keyTo }, piece, length)
      piece[length++] = lineFeed
    }
    length = writeHex(message, { from: pair.valueFrom, to: pair.valueTo }, piece, length)
    piece[length++] = lineFeed
  }
  if (length > 0) yield piece.subarray(0, length)
}
