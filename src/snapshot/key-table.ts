// key-table.ts: a number for each user key, for passes over snapshots with more keys than should be
// kept in memory. A key is known by 64 bits of hash: with a load of 47 to 70 % that is 13 to 26
// bytes a key, whatever its length. Among ten million keys the chance that any two are taken for
// one is about 1 in 400,000.
import assert from 'node:assert'

type Numbers = Uint8Array | Uint32Array

const slotsMin = 1024
const loadMax = 0.7
const growth = 1.5

export class KeyTable<T extends Numbers> {
  readonly #make: (length: number) => T
  #numbers: T
  /** Two halves of the hash, side by side; both 0: an empty slot. */
  #hashes = new Uint32Array(2 * slotsMin)
  #slots = slotsMin
  #count = 0
  #high = 0
  #low = 0

  /** `make` says how large the numbers can be. */
  constructor(make: (length: number) => T) {
    this.#make = make
    this.#numbers = make(slotsMin)
  }

  /** Sets the number of the key that stands in `bytes` from `start` to `end`. */
  set(bytes: Uint8Array, start: number, end: number, number: number): void {
    if (this.#count >= this.#slots * loadMax) this.#grow()
    this.#hash(bytes, start, end)
    const slot = this.#find()
    if (this.#isEmpty(slot)) {
      this.#hashes[2 * slot] = this.#high
      this.#hashes[2 * slot + 1] = this.#low
      this.#count++
    }
    this.#numbers[slot] = number
  }

  get(bytes: Uint8Array, start: number, end: number): number | undefined {
    this.#hash(bytes, start, end)
    const slot = this.#find()
    return this.#isEmpty(slot) ? undefined : this.#numbers[slot]
  }

  /** How many keys have a number other than 0. */
  countNonZero(): number {
    let count = 0
    for (const number of this.#numbers) if (number !== 0) count++
    return count
  }

  #isEmpty(slot: number): boolean {
    return this.#hashes[2 * slot] === 0 && this.#hashes[2 * slot + 1] === 0
  }

  /** The slot of the current hash, or the empty one where it belongs. */
  #find(): number {
    const [hashes, slots, high, low] = [this.#hashes, this.#slots, this.#high, this.#low]
    let slot = Math.floor((high / 2 ** 32) * slots)
    for (;;) {
      const foundHigh = hashes[2 * slot]
      const foundLow = hashes[2 * slot + 1]
      if (foundHigh === high && foundLow === low) return slot
      if (foundHigh === 0 && foundLow === 0) return slot
      slot = slot + 1 === slots ? 0 : slot + 1
    }
  }

  #grow(): void {
    const [hashes, numbers, slots] = [this.#hashes, this.#numbers, this.#slots]
    this.#slots = Math.ceil(slots * growth)
    this.#hashes = new Uint32Array(2 * this.#slots)
    this.#numbers = this.#make(this.#slots)
    for (let slot = 0; slot < slots; slot++) {
      this.#high = hashes[2 * slot] ?? 0
      this.#low = hashes[2 * slot + 1] ?? 0
      if (this.#high === 0 && this.#low === 0) continue
      const moved = this.#find()
      assert(moved < this.#slots)
      this.#hashes[2 * moved] = this.#high
      this.#hashes[2 * moved + 1] = this.#low
      this.#numbers[moved] = numbers[slot] ?? 0
    }
  }

  /** Two multiplicative hashes over the bytes, mixed with each other at the end. */
  #hash(bytes: Uint8Array, start: number, end: number): void {
    let high = 0x2f0b4c47 ^ (end - start)
    let low = 0x6b8b4567
    for (let at = start; at < end; at++) {
      const byte = bytes[at] as number
      high = Math.imul(high ^ byte, 0x9e3779b1)
      low = Math.imul(low ^ byte, 0x85ebca77)
      high ^= high >>> 15
      low ^= low >>> 13
    }
    const mixedHigh = mixed(high ^ Math.imul(low, 0xc2b2ae3d))
    const mixedLow = mixed(low ^ Math.imul(high, 0x27d4eb2f))
    this.#high = mixedHigh
    this.#low = mixedHigh === 0 && mixedLow === 0 ? 1 : mixedLow
  }
}

/** Spreads every input bit over all output bits. */
function mixed(value: number): number {
  let bits = value
  bits = Math.imul(bits ^ (bits >>> 16), 0x85ebca6b)
  bits = Math.imul(bits ^ (bits >>> 13), 0xc2b2ae35)
  return (bits ^ (bits >>> 16)) >>> 0
}
