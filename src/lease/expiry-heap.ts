// expiry-heap.ts: which lease is due next. A binary heap by time that knows where each lease
// stands, because a renewal moves one and a revocation takes one out:
//
//     entries   [ 5 | 7 9 | 8 12 10 ]       entries[i] is due no later than entries[2i+1], [2i+2]

interface Entry {
  readonly id: bigint
  dueMs: number
  /** Index of this entry in the heap. */
  place: number
}

export class ExpiryHeap {
  readonly #entries: Entry[] = []
  readonly #byId = new Map<bigint, Entry>()

  get size(): number {
    return this.#entries.length
  }

  /** Adds the lease, or moves it to another time. */
  set(id: bigint, dueMs: number): void {
    const found = this.#byId.get(id)
    if (found === undefined) {
      const entry = { id, dueMs, place: this.#entries.length }
      this.#byId.set(id, entry)
      this.#entries.push(entry)
      this.#rise(entry)
      return
    }
    found.dueMs = dueMs
    this.#rise(found)
    this.#sink(found)
  }

  delete(id: bigint): void {
    const entry = this.#byId.get(id)
    const last = this.#entries.at(-1)
    if (entry === undefined || last === undefined) return
    this.#byId.delete(id)
    this.#entries.pop()
    if (entry === last) return
    this.#put(last, entry.place)
    this.#rise(last)
    this.#sink(last)
  }

  /** The lease that is due first, if that is not after `nowMs`. */
  due(nowMs: number): bigint | undefined {
    const first = this.#entries[0]
    return first !== undefined && first.dueMs <= nowMs ? first.id : undefined
  }

  clear(): void {
    this.#entries.length = 0
    this.#byId.clear()
  }

  #put(entry: Entry, place: number): void {
    entry.place = place
    this.#entries[place] = entry
  }

  #rise(entry: Entry): void {
    for (;;) {
      const { place } = entry
      const parent = this.#entries[(place - 1) >> 1]
      if (place === 0 || parent === undefined || parent.dueMs <= entry.dueMs) return
      this.#put(entry, parent.place)
      this.#put(parent, place)
    }
  }

  #sink(entry: Entry): void {
    for (;;) {
      const { place } = entry
      const left = this.#entries[2 * place + 1]
      const right = this.#entries[2 * place + 2]
      const child =
        right !== undefined && left !== undefined && right.dueMs < left.dueMs ? right : left
      if (child === undefined || child.dueMs >= entry.dueMs) return
      this.#put(entry, child.place)
      this.#put(child, place)
    }
  }
}
