// raw-range-json.ts: the JSON of a RangeResponse, made straight from its bytes.
//
// The same walk as raw-range.ts, for the same reason. The few fields beside the pairs are cut out,
// decoded and put through the ordinary printer, with a mark where the pairs belong; the pairs are
// written between, byte by byte into pieces, with nothing to collect.

import type { RangeResponse } from '../api/gen/rpc.js'
import { withoutPairs } from './range-rest.js'
import { type FieldSpan, fieldAt, pairTag, rangeTag } from './wire.js'

const pieceBytes = 256 * 1024

/** More than the names, quotes and commas of a pair and its four numbers of at most 20 digits. */
const pairTextMax = 200

/** Stands for the pairs in the frame. JSON escapes NUL everywhere, so it is found nowhere else. */
const mark = '\0'

/** Makes the line from the answer without its pairs and the text inside the list, if any. */
export type Frame = (rest: RangeResponse, pairs: string | undefined) => string

/** A piece is valid until the next one is asked for. Throws RangeError on a damaged message. */
export function* jsonRangePieces(message: Buffer, frame: Frame): Generator<Buffer> {
  const { rest, count } = withoutPairs(message)
  const [before = '', after = ''] = frame(rest, count === 0 ? undefined : mark).split(mark)
  const field: FieldSpan = { tag: 0, from: 0, to: 0 }
  const writer = new PairWriter(message)
  writer.copy(Buffer.from(before))
  let separator = nothing
  for (let at = 0; at < message.length; at = field.to) {
    fieldAt(message, at, message.length, field)
    if (field.tag !== rangeTag.kvs) continue
    // Base64 of the content takes less than twice its size.
    const needed = (field.to - field.from) * 2 + pairTextMax
    if (!writer.hasRoom(needed)) {
      yield writer.take()
      writer.makeRoom(needed)
    }
    writer.copy(separator)
    writer.pair(field)
    separator = comma
  }
  yield writer.take()
  if (after !== '') yield Buffer.from(after)
}

const nothing = Buffer.alloc(0)
const comma = Buffer.from(',')
const open = Buffer.from('{')
const close = Buffer.from('}')
const quote = Buffer.from('"')

/** The parts of a pair in the order of JSON, which is also that of the fields on the wire. */
const parts = [
  { tag: pairTag.key, name: Buffer.from('"key":"'), isBytes: true },
  { tag: pairTag.createRevision, name: Buffer.from('"create_revision":'), isBytes: false },
  { tag: pairTag.modRevision, name: Buffer.from('"mod_revision":'), isBytes: false },
  { tag: pairTag.version, name: Buffer.from('"version":'), isBytes: false },
  { tag: pairTag.value, name: Buffer.from('"value":"'), isBytes: true },
  { tag: pairTag.lease, name: Buffer.from('"lease":'), isBytes: false },
] as const

class PairWriter {
  readonly #message: Buffer
  #piece = Buffer.allocUnsafe(pieceBytes)
  #length = 0
  /** Where the content of each of `parts` lies in the message; equal ends mean absent. */
  readonly #from = parts.map(() => 0)
  readonly #to = parts.map(() => 0)

  constructor(message: Buffer) {
    this.#message = message
  }

  hasRoom(bytes: number): boolean {
    return this.#length + bytes <= this.#piece.length
  }

  makeRoom(bytes: number): void {
    if (bytes > this.#piece.length) this.#piece = Buffer.allocUnsafe(bytes)
  }

  take(): Buffer {
    const piece = this.#piece.subarray(0, this.#length)
    this.#length = 0
    return piece
  }

  copy(text: Buffer): void {
    // The texts are short; a loop beats the call of a copy.
    for (let i = 0; i < text.length; i++) this.#piece[this.#length++] = text[i] ?? 0
  }

  pair(span: FieldSpan): void {
    this.#find(span)
    this.copy(open)
    let separator = nothing
    for (let i = 0; i < parts.length; i++) {
      const part = parts[i]
      const from = this.#from[i] ?? 0
      const to = this.#to[i] ?? 0
      // A field may be on the wire although it is zero; JSON leaves it out nevertheless.
      if (part === undefined || from === to) continue
      if (!part.isBytes && to - from === 1 && this.#message[from] === 0) continue
      this.copy(separator)
      this.copy(part.name)
      if (part.isBytes) this.#base64(from, to)
      else this.#number(from, to)
      separator = comma
    }
    this.copy(close)
  }

  #find(span: FieldSpan): void {
    for (let i = 0; i < parts.length; i++) this.#from[i] = this.#to[i] = 0
    const field: FieldSpan = { tag: 0, from: 0, to: 0 }
    for (let at = span.from; at < span.to; at = field.to) {
      fieldAt(this.#message, at, span.to, field)
      for (let i = 0; i < parts.length; i++) {
        if (parts[i]?.tag !== field.tag) continue
        this.#from[i] = field.from
        this.#to[i] = field.to
      }
    }
  }

  #base64(from: number, to: number): void {
    const message = this.#message
    const piece = this.#piece
    let length = this.#length
    let i = from
    for (; i + 2 < to; i += 3) {
      const three = ((message[i] ?? 0) << 16) | ((message[i + 1] ?? 0) << 8) | (message[i + 2] ?? 0)
      piece[length] = alphabet[three >> 18] ?? 0
      piece[length + 1] = alphabet[(three >> 12) & 63] ?? 0
      piece[length + 2] = alphabet[(three >> 6) & 63] ?? 0
      piece[length + 3] = alphabet[three & 63] ?? 0
      length += 4
    }
    if (i < to) {
      const two = ((message[i] ?? 0) << 8) | (i + 1 < to ? (message[i + 1] ?? 0) : 0)
      piece[length] = alphabet[two >> 10] ?? 0
      piece[length + 1] = alphabet[(two >> 4) & 63] ?? 0
      piece[length + 2] = i + 1 < to ? (alphabet[(two << 2) & 63] ?? 0) : padding
      piece[length + 3] = padding
      length += 4
    }
    this.#length = length
    this.copy(quote)
  }

  #number(from: number, to: number): void {
    this.#length += this.#piece.write(varintText(this.#message, from, to), this.#length, 'latin1')
  }
}

const alphabet = Buffer.from('ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/')
const padding = 0x3d

/** Seven bytes of a varint hold 49 bits, which a double holds exactly. */
const exactBytesMax = 7

function varintText(bytes: Buffer, from: number, to: number): string {
  if (to - from <= exactBytesMax) {
    let value = 0
    let unit = 1
    for (let i = from; i < to; i++, unit *= 128) value += ((bytes[i] ?? 0) & 0x7f) * unit
    return String(value)
  }
  let value = 0n
  for (let i = to - 1; i >= from; i--) value = (value << 7n) | BigInt((bytes[i] ?? 0) & 0x7f)
  return String(BigInt.asIntN(64, value))
}
