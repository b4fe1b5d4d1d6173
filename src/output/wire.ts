// wire.ts: where the fields of a RangeResponse lie in its bytes.
//
// Positions only: nothing is decoded and nothing allocated, results go into an object that the
// caller keeps. As the protobuf rules have it, fields may come in any order, the last one of a
// kind wins, and unknown ones are passed over. Damage is a RangeError, never an endless loop:
// every field read moves forward.

/** The first bytes of fields: number times eight, plus the wire type. */
export const rangeTag = { header: 0x0a, kvs: 0x12 } as const
export const pairTag = {
  key: 0x0a,
  createRevision: 0x10,
  modRevision: 0x18,
  version: 0x20,
  value: 0x2a,
  lease: 0x30,
} as const

/** One field: its tag, and where its content lies (of a number: the bytes of the varint). */
export interface FieldSpan {
  tag: number
  from: number
  /** Also where the next field begins. */
  to: number
}

/** Where key and value of one pair lie. An absent one is an empty span. */
export interface PairSpan {
  keyFrom: number
  keyTo: number
  valueFrom: number
  valueTo: number
}

const wireType = { varint: 0, fixed64: 1, bytes: 2, fixed32: 5 } as const

/** Reads the field that begins at `at` and must end by `end`. */
export function fieldAt(bytes: Uint8Array, at: number, end: number, field: FieldSpan): void {
  let next = at
  let tag = bytes[next++] ?? 0
  if (tag >= 0x80) {
    next = varintEnd(bytes, at, end)
    tag = smallVarint(bytes, at, next)
  }
  field.tag = tag
  field.from = next
  switch (tag & 7) {
    case wireType.bytes: {
      let size = bytes[next++] ?? 0
      if (size >= 0x80) {
        next = varintEnd(bytes, next - 1, end)
        size = smallVarint(bytes, field.from, next)
      }
      field.from = next
      field.to = next + size
      break
    }
    case wireType.varint:
      field.to = varintEnd(bytes, next, end)
      break
    case wireType.fixed64:
      field.to = next + 8
      break
    case wireType.fixed32:
      field.to = next + 4
      break
    default:
      throw new RangeError(`message damaged at byte ${at}: no field starts with tag ${tag}`)
  }
  if (field.to > end || tag < 8) {
    throw new RangeError(`message damaged at byte ${at}: field ends at ${field.to}, data at ${end}`)
  }
}

const inner: FieldSpan = { tag: 0, from: 0, to: 0 }

/** Finds key and value of the pair whose encoding fills the span. */
export function pairAt(bytes: Uint8Array, span: FieldSpan, pair: PairSpan): void {
  pair.keyFrom = pair.keyTo = pair.valueFrom = pair.valueTo = span.from
  for (let at = span.from; at < span.to; at = inner.to) {
    fieldAt(bytes, at, span.to, inner)
    if (inner.tag === pairTag.key) {
      pair.keyFrom = inner.from
      pair.keyTo = inner.to
    } else if (inner.tag === pairTag.value) {
      pair.valueFrom = inner.from
      pair.valueTo = inner.to
    }
  }
}

const varintBytesMax = 10

/** First byte after the varint that begins at `at`. */
export function varintEnd(bytes: Uint8Array, at: number, end: number): number {
  for (let i = at; i < end && i < at + varintBytesMax; i++) {
    if ((bytes[i] ?? 0) < 0x80) return i + 1
  }
  throw new RangeError(`message damaged at byte ${at}: number without an end`)
}

/** A length or a tag. One that exceeds 2^53 exceeds every buffer too, and is refused as such. */
function smallVarint(bytes: Uint8Array, from: number, to: number): number {
  let value = 0
  let unit = 1
  for (let i = from; i < to; i++) {
    value += ((bytes[i] ?? 0) & 0x7f) * unit
    unit *= 128
  }
  return value
}
