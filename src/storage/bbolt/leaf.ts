// leaf.ts: the items of one leaf, in place: nothing is copied. Every record is checked when the
// leaf is made, so that the accessors cannot leave the page.
import type { CorruptionError } from '../errors.js'
import { bucketFlag, pageHeaderSize, recordSize } from './page.js'

/** Makes the error for the byte `offset` of the file. */
export type Fail = (offset: number, expected: string, found: string) => CorruptionError

export interface LeafOrigin {
  /** Page header first; exactly as long as the block or the inline bucket. */
  readonly data: Buffer
  readonly count: number
  /** Of `data`, in the file. */
  readonly offset: number
  /** The root bucket holds nothing but buckets; the others hold none. */
  readonly holdsBuckets: boolean
}

export class Leaf implements Iterable<{ key: Buffer; value: Buffer }> {
  readonly count: number
  /** The whole page. Memory that is never reused. */
  readonly bytes: Buffer
  readonly #offset: number
  /** Where the last value ends; 0 when the items do not follow one another without gaps. */
  readonly #packedEnd: number

  constructor(origin: LeafOrigin, fail: Fail) {
    this.count = origin.count
    this.bytes = origin.data
    this.#offset = origin.offset
    this.#packedEnd = this.#check(origin.holdsBuckets, fail)
  }

  key(index: number): Buffer {
    return this.bytes.subarray(this.keyStart(index), this.valueStart(index))
  }

  value(index: number): Buffer {
    return this.bytes.subarray(this.valueStart(index), this.valueEnd(index))
  }

  /** Offset of the key in the file; the value follows it. */
  offset(index: number): number {
    return this.#offset + this.keyStart(index)
  }

  // Where the item stands in `bytes`, for those who can do without a view.

  keyStart(index: number): number {
    const record = pageHeaderSize + recordSize * index
    return record + this.bytes.readUInt32LE(record + 4)
  }

  valueStart(index: number): number {
    const keySize = this.bytes.readUInt32LE(pageHeaderSize + recordSize * index + 8)
    return this.keyStart(index) + keySize
  }

  valueEnd(index: number): number {
    const valueSize = this.bytes.readUInt32LE(pageHeaderSize + recordSize * index + 12)
    return this.valueStart(index) + valueSize
  }

  /**
   * All keys and values, one after the other in order, when they stand in the page exactly so, as
   * every known writer puts them. Sparing a view per item, this is the fast way to hash them.
   */
  packed(): Buffer | undefined {
    const start = pageHeaderSize + recordSize * this.count
    return this.#packedEnd < start ? undefined : this.bytes.subarray(start, this.#packedEnd)
  }

  *[Symbol.iterator](): Iterator<{ key: Buffer; value: Buffer }> {
    for (let index = 0; index < this.count; index++) {
      yield { key: this.key(index), value: this.value(index) }
    }
  }

  #check(holdsBuckets: boolean, fail: Fail): number {
    const data = this.bytes
    const recordsEnd = pageHeaderSize + recordSize * this.count
    if (recordsEnd > data.length) {
      const expected = `elements within ${data.length} bytes`
      throw fail(this.#offset + 10, expected, `${this.count} elements`)
    }
    const flags = holdsBuckets ? bucketFlag : 0
    let packedEnd = recordsEnd
    let before = 0
    let beforeSize = 0
    for (let record = pageHeaderSize; record < recordsEnd; record += recordSize) {
      const foundFlags = data.readUInt32LE(record)
      const keySize = data.readUInt32LE(record + 8)
      const start = record + data.readUInt32LE(record + 4)
      const end = start + keySize + data.readUInt32LE(record + 12)
      if (foundFlags !== flags) {
        throw fail(this.#offset + record, `leaf flags ${flags}`, `leaf flags ${foundFlags}`)
      }
      if (start < recordsEnd || end > data.length || keySize === 0) {
        const expected = `a key and a value between ${recordsEnd} and ${data.length} in the page`
        throw fail(this.#offset + record, expected, `key of ${keySize} from ${start} to ${end}`)
      }
      if (beforeSize > 0 && !rises(data, before, beforeSize, start, keySize)) {
        throw fail(this.#offset + start, 'a key above the one before', 'a lower or equal key')
      }
      packedEnd = start === packedEnd ? end : 0
      before = start
      beforeSize = keySize
    }
    return packedEnd
  }
}

/** Compares two keys in place: a view for each would cost more than all the rest. */
function rises(
  data: Buffer,
  before: number,
  beforeSize: number,
  after: number,
  afterSize: number,
): boolean {
  const common = Math.min(beforeSize, afterSize)
  for (let at = 0; at < common; at++) {
    const difference = (data[after + at] ?? 0) - (data[before + at] ?? 0)
    if (difference !== 0) return difference > 0
  }
  return afterSize > beforeSize
}
