// inflights.ts: appends on their way to one member, so that a slow one is not flooded.
//
// A ring of the last index in each append, in the order of sending. An answer
// for index i settles all appends up to i, because a log has no holes.
//
//     start=2 count=3     [ 12 |  . |  7 |  9 ]     oldest 7, newest 12
import { strict as assert } from 'node:assert'

export class Inflights {
  readonly #max: number
  #ring: number[] = []
  #start = 0
  #count = 0

  constructor(max: number) {
    assert(max > 0, `inflights need room for one append, got ${max}`)
    this.#max = max
  }

  get count(): number {
    return this.#count
  }

  get isFull(): boolean {
    return this.#count === this.#max
  }

  /** Indexes must not fall from one call to the next. */
  add(lastIndex: number): void {
    assert(!this.isFull, `${this.#max} appends are in flight, no room for ${lastIndex}`)
    this.#ring[(this.#start + this.#count) % this.#max] = lastIndex
    this.#count++
  }

  /** Settles every append whose last index is at most `index`. */
  freeUpTo(index: number): void {
    while (this.#count > 0 && (this.#ring[this.#start] ?? 0) <= index) {
      this.#start = (this.#start + 1) % this.#max
      this.#count--
    }
  }

  reset(): void {
    this.#start = 0
    this.#count = 0
  }
}
