// log-unstable.ts: the end of the log that may not be on disk yet.
//
// Entries from `offset` on, and perhaps a snapshot that replaces all before
// them. They shadow whatever the storage holds at the same indexes:
//
//     storage    1 2 3 4 5
//     unstable         4 5 6      offset 4: the storage's own 4 and 5 are dead
//
// Entries leave when the driver says that they are saved.
import { strict as assert } from 'node:assert'
import type { Entry, Snapshot } from '../api/gen/raft.js'
import { metadataOf, sliceToBytes } from './storage.js'

export class Unstable {
  snapshot: Snapshot | undefined
  /** Index of entries[0], also when there is none. Everything below is stable. */
  offset: number
  entries: Entry[] = []

  constructor(offset: number) {
    this.offset = offset
  }

  /** The last index here, or undefined when the storage has the last word. */
  lastIndex(): number | undefined {
    if (this.entries.length > 0 || this.snapshot) return this.offset + this.entries.length - 1
    return undefined
  }

  term(index: number): number | undefined {
    if (index >= this.offset) return this.entries[index - this.offset]?.Term
    if (!this.snapshot) return undefined
    const { index: last, term } = metadataOf(this.snapshot)
    return index === last ? term : undefined
  }

  /** Entries lo <= index < hi, cut to bytesMax; the range must lie in [offset, lastIndex + 1]. */
  slice(lo: number, hi: number, bytesMax: number): Entry[] {
    const { offset } = this
    const end = offset + this.entries.length
    assert(offset <= lo && lo <= hi && hi <= end, `[${lo}, ${hi}) of unstable [${offset}, ${end})`)
    return sliceToBytes(this.entries, { from: lo - offset, to: hi - offset }, bytesMax)
  }

  /** Adds entries; from the first of them on they replace what was there. */
  append(entries: readonly Entry[]): void {
    const first = entries[0]
    if (first === undefined) return
    if (first.Index <= this.offset) {
      this.offset = first.Index
      this.entries = []
    } else if (first.Index < this.offset + this.entries.length) {
      this.entries = this.entries.slice(0, first.Index - this.offset)
    }
    for (const entry of entries) this.entries.push(entry)
  }

  /**
   * Everything up to that entry is saved. If the entry is no longer here with
   * that term, a newer leader replaced it while the save was under way, and the
   * news is void:
   *
   *     Ready holds 5(term 2); the leader of term 3 sends its own 5; then comes
   *     "5(term 2) is saved". What must reach the disk is 5(term 3).
   */
  stableTo(index: number, term: number): void {
    if (index < this.offset || this.term(index) !== term) return
    this.entries = this.entries.slice(index - this.offset + 1)
    this.offset = index + 1
  }

  stableSnapshotTo(index: number): void {
    if (this.snapshot && metadataOf(this.snapshot).index === index) this.snapshot = undefined
  }

  restore(snapshot: Snapshot): void {
    this.snapshot = snapshot
    this.offset = metadataOf(snapshot).index + 1
    this.entries = []
  }
}
