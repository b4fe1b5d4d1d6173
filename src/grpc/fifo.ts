// fifo.ts: a row of things that wait for their turn. What was taken is not kept: a row that never
// becomes empty, as its reader is always a little behind, is to hold what waits and no more.

/** So many empty places at the front are not worth a move of the others. */
const emptyPlacesMax = 32

export class Fifo<T> {
  #places: (T | undefined)[] = []
  /** Places before this one are empty. */
  #first = 0

  get length(): number {
    return this.#places.length - this.#first
  }

  push(item: T): void {
    this.#places.push(item)
  }

  shift(): T | undefined {
    if (this.length === 0) return undefined
    const item = this.#places[this.#first]
    this.#places[this.#first++] = undefined
    if (this.length === 0) this.clear()
    else if (this.#first > emptyPlacesMax && this.#first > this.length) {
      // Each item is moved once at most for each that was taken.
      this.#places.splice(0, this.#first)
      this.#first = 0
    }
    return item
  }

  clear(): void {
    this.#places = []
    this.#first = 0
  }
}
