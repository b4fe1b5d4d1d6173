// inflights.ts: appends on their way to one member, so that a slow one is not flooded.
//
// A ring of the last index in each append, in the order of sending, with what its entries take. An
// answer for index i settles all appends up to i, because a log has no holes.
//
//     start=2 count=3     [ 12 |  . |  7 |  9 ]     oldest 7, newest 12
//
// The window is full when it holds so many appends, or so many bytes: many small ones need the
// first limit, few large ones the second. The append that reaches the limit is still let in, so
// that one of any size can go.
import { strict as assert } from 'node:assert'

export interface InflightLimits {
  countMax: number
  /** Of entries, as entryBytes() counts them. */
  bytesMax: number
}

export class Inflights {
  readonly #limits: InflightLimits
  #ring: { lastIndex: number; bytes: number }[] = []
  #start = 0
  #count = 0
  #bytes = 0

  constructor(limits: InflightLimits) {
    assert(limits.countMax > 0, `inflights need room for one append, got ${limits.countMax}`)
    assert(limits.bytesMax > 0, `inflights need room for some bytes, got ${limits.bytesMax}`)
    this.#limits = limits
  }

  get count(): number {
    return this.#count
  }

  get isFull(): boolean {
    return this.#count === this.#limits.countMax || this.#bytes >= this.#limits.bytesMax
  }

  /** Indexes must not fall from one call to the next. */
  add(lastIndex: number, bytes: number): void {
    assert(!this.isFull, `${this.#count} appends are in flight, no room for ${lastIndex}`)
    this.#ring[(this.#start + this.#count) % this.#limits.countMax] = { lastIndex, bytes }
    this.#count++
    this.#bytes += bytes
  }

  /** Settles every append whose last index is at most `index`. */
  freeUpTo(index: number): void {
    let oldest = this.#ring[this.#start]
    while (this.#count > 0 && oldest !== undefined && oldest.lastIndex <= index) {
      this.#start = (this.#start + 1) % this.#limits.countMax
      this.#count--
      this.#bytes -= oldest.bytes
      oldest = this.#ring[this.#start]
    }
  }

  reset(): void {
    this.#start = 0
    this.#count = 0
    this.#bytes = 0
  }
}
