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
  readonly #data: Buffer
  readonly #offset: number

  constructor(origin: LeafOrigin, fail: Fail) {
    this.count = origin.count
    this.#data = origin.data
    this.#offset = origin.offset
    this.#check(origin.holdsBuckets, fail)
  }

  key(index: number): Buffer {
    const start = this.#keyStart(index)
    return this.#data.subarray(start, start + this.#keySize(index))
  }

  value(index: number): Buffer {
    const start = this.#keyStart(index) + this.#keySize(index)
    return this.#data.subarray(start, start + this.#valueSize(index))
  }

  /** Offset of the key in the file; the value follows it. */
  offset(index: number): number {
    return this.#offset + this.#keyStart(index)
  }

  /**
   * All keys and values, one after the other in order, when they stand in the page exactly so, as
   * every known writer puts them. Sparing a view per item, this is the fast way to hash them.
   */
  packed(): Buffer | undefined {
    const start = pageHeaderSize + recordSize * this.count
    let at = start
    for (let index = 0; index < this.count; index++) {
      if (this.#keyStart(index) !== at) return undefined
      at += this.#keySize(index) + this.#valueSize(index)
    }
    return this.#data.subarray(start, at)
  }

  *[Symbol.iterator](): Iterator<{ key: Buffer; value: Buffer }> {
    for (let index = 0; index < this.count; index++) {
      yield { key: this.key(index), value: this.value(index) }
    }
  }

  #keyStart(index: number): number {
    const record = pageHeaderSize + recordSize * index
    return record + this.#data.readUInt32LE(record + 4)
  }

  #keySize(index: number): number {
    return this.#data.readUInt32LE(pageHeaderSize + recordSize * index + 8)
  }

  #valueSize(index: number): number {
    return this.#data.readUInt32LE(pageHeaderSize + recordSize * index + 12)
  }

  #check(holdsBuckets: boolean, fail: Fail): void {
    const recordsEnd = pageHeaderSize + recordSize * this.count
    const size = this.#data.length
    if (recordsEnd > size) {
      throw fail(this.#offset + 10, `elements within ${size} bytes`, `${this.count} elements`)
    }
    const flags = holdsBuckets ? bucketFlag : 0
    for (let index = 0; index < this.count; index++) {
      const record = pageHeaderSize + recordSize * index
      const start = this.#keyStart(index)
      const end = start + this.#keySize(index) + this.#valueSize(index)
      if (this.#data.readUInt32LE(record) !== flags) {
        const found = `leaf flags ${this.#data.readUInt32LE(record)}`
        throw fail(this.#offset + record, `leaf flags ${flags}`, found)
      }
      if (start < recordsEnd || end > size || this.#keySize(index) === 0) {
        const expected = `a key and a value between ${recordsEnd} and ${size} in the page`
        throw fail(
          this.#offset + record,
          expected,
          `${this.#keySize(index)} bytes from ${start} to ${end}`,
        )
      }
      if (index > 0 && !this.#rises(index)) {
        throw fail(this.offset(index), 'a key above the one before', 'a lower or equal key')
      }
    }
  }

  /** Compares in place: a view for each key would cost more than all the rest. */
  #rises(index: number): boolean {
    const data = this.#data
    const before = this.#keyStart(index - 1)
    const after = this.#keyStart(index)
    const beforeSize = this.#keySize(index - 1)
    const afterSize = this.#keySize(index)
    const common = Math.min(beforeSize, afterSize)
    for (let at = 0; at < common; at++) {
      const difference = (data[after + at] ?? 0) - (data[before + at] ?? 0)
      if (difference !== 0) return difference > 0
    }
    return afterSize > beforeSize
  }
}
