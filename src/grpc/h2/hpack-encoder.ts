// hpack-encoder.ts: writes header blocks (RFC 7541 §6). Either end of gRPC says the same few things
// over and over, so a field goes into the table the first time, and is one byte from then on.
//
// The table is filled once and then left: nothing that would push another field out goes in. So the
// encoder needs no copy of it, only in which order things went in: the newest has the number 62.
import { fieldOverheadBytes, isFieldName, isFieldValue } from './field.js'
import { defaultTableBytes, dynamicStart, staticFields } from './hpack-tables.js'

export type HeaderField = readonly [name: string, value: string]

/** Fields that are different every time would only fill the table. */
const changing: ReadonlySet<string> = new Set([
  'content-length',
  'date',
  'etag',
  'grpc-message',
  'grpc-timeout',
  'last-modified',
])

/** Of a field in the table: half a dozen of the longest are to fit. */
const tableFieldBytesMax = 512

/** A number takes at most so many bytes. */
const numberBytesMax = 5

/** Headers and trailers of calls that go well are two; they are looked through for each. */
const knownBlocksMax = 4

interface KnownBlock {
  readonly fields: readonly HeaderField[]
  readonly block: Buffer
}

export class HpackEncoder {
  /** Of the peer's table. We do not ask for more than every client has. */
  #tableBytesMax = defaultTableBytes
  #tableBytes = 0
  /** By name and value: how many went into the table before. */
  readonly #earlier = new Map<string, Map<string, number>>()
  #count = 0
  /** The peer has to be told that its table was emptied, and of its new size. */
  #isResized = false
  /** Blocks of numbers only, by the array that was asked for; emptied when numbers change. */
  #known: KnownBlock[] = []
  /** Which of them goes next. */
  #turn = 0

  /**
   * Every block must be sent, in the order in which they were made: the peer's table follows
   * them. Who often needs the same block passes the same array, unchanged, and gets the same bytes,
   * which nobody may change. Names and values must be what HTTP allows, a character a byte: others
   * are thrown as a TypeError, and nothing is to be sent.
   */
  encode(fields: readonly HeaderField[]): Buffer {
    for (const known of this.#known) if (known.fields === fields) return known.block
    let sizeMax = 2 * numberBytesMax
    for (const [name, value] of fields) sizeMax += 3 * numberBytesMax + name.length + value.length
    const block = Buffer.allocUnsafe(sizeMax)
    let at = this.#isResized ? this.#sizeUpdates(block) : 0
    const start = at
    try {
      for (const field of fields) at = this.#field(block, at, field)
    } catch (error) {
      this.#empty() // what fields before it put there will not be said
      throw error
    }
    const written = block.subarray(0, at)
    // A byte a field: numbers, and nothing that is to be said once only.
    if (start === 0 && at === fields.length) this.#remember(fields, written)
    return written
  }

  /** The peer's SETTINGS_HEADER_TABLE_SIZE. */
  limitTable(bytes: number): void {
    const size = Math.min(bytes, defaultTableBytes)
    if (size === this.#tableBytesMax) return
    this.#tableBytesMax = size
    this.#empty()
  }

  /** Begins the table anew. */
  #empty(): void {
    this.#isResized = true
    this.#tableBytes = 0
    this.#count = 0
    this.#earlier.clear()
    this.#known = []
    this.#turn = 0
  }

  #remember(fields: readonly HeaderField[], block: Buffer): void {
    this.#known[this.#turn] = { fields, block }
    this.#turn = (this.#turn + 1) % knownBlocksMax
  }

  /**
   * To nothing, and then to the new size: whatever sizes there were in between, the smallest was no
   * less (§4.2), and both tables are empty.
   */
  #sizeUpdates(block: Buffer): number {
    this.#isResized = false
    block[0] = 0x20
    return this.#tableBytesMax === 0 ? 1 : putNumber(block, 1, 0x20, 5, this.#tableBytesMax)
  }

  #field(block: Buffer, at: number, [name, value]: HeaderField): number {
    const indexed = staticIndexes.get(name)?.get(value) ?? this.#indexOf(name, value)
    if (indexed !== undefined) return putNumber(block, at, 0x80, 7, indexed)
    if (!isFieldName(name.replace(/^:/, '')) || !isFieldValue(value)) {
      throw new TypeError(`no header field: ${JSON.stringify([name, value])}`)
    }
    const nameIndex = staticNames.get(name) ?? 0
    const isForTable = this.#enter(name, value)
    const end = putNumber(block, at, isForTable ? 0x40 : 0, isForTable ? 6 : 4, nameIndex)
    return putText(block, nameIndex === 0 ? putText(block, end, name) : end, value)
  }

  #indexOf(name: string, value: string): number | undefined {
    const earlier = this.#earlier.get(name)?.get(value)
    return earlier === undefined ? undefined : dynamicStart + this.#count - 1 - earlier
  }

  /** Whether the field goes into the peer's table. */
  #enter(name: string, value: string): boolean {
    const size = name.length + value.length + fieldOverheadBytes
    if (changing.has(name) || name.endsWith('-bin') || size > tableFieldBytesMax) return false
    if (this.#tableBytes + size > this.#tableBytesMax) return false
    this.#tableBytes += size
    const values = this.#earlier.get(name) ?? new Map<string, number>()
    values.set(value, this.#count++)
    this.#earlier.set(name, values)
    this.#known = [] // what was there has another number now
    this.#turn = 0
    return true
  }
}

/** By name and value. */
const staticIndexes: ReadonlyMap<string, ReadonlyMap<string, number>> = (() => {
  const indexes = new Map<string, Map<string, number>>()
  staticFields.forEach((field, index) => {
    if (field === undefined) return
    const values = indexes.get(field.name) ?? new Map<string, number>()
    values.set(field.value, index)
    indexes.set(field.name, values)
  })
  return indexes
})()

/** Of a name's numbers the first. */
const staticNames: ReadonlyMap<string, number> = new Map(
  [...staticIndexes].map(([name, values]) => [name, Math.min(...values.values())]),
)

/** In the lower `bits` of a byte whose upper ones are `pattern`, and as many more as it needs. */
function putNumber(block: Buffer, start: number, pattern: number, bits: number, n: number): number {
  const most = (1 << bits) - 1
  let at = start
  if (n < most) {
    block[at++] = pattern | n
    return at
  }
  block[at++] = pattern | most
  let rest = n - most
  for (; rest >= 0x80; rest >>>= 7) block[at++] = 0x80 | (rest & 0x7f)
  block[at++] = rest
  return at
}

function putText(block: Buffer, start: number, text: string): number {
  const at = putNumber(block, start, 0, 7, text.length)
  return at + block.write(text, at, 'latin1')
}
