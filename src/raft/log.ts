// log.ts: the log of one member, the stable part and the rest as one.
//
//     1 ...... applied ...... committed ...... last
//                                    stable ^ somewhere up to last
//
// Invariants: applied <= committed <= last, and what is applied is stable here.
// A committed entry never changes (state machine safety, raft §5.4.3): an
// append that would replace one is proof of a bug or of lost data, and stops
// the member.
import { strict as assert } from 'node:assert'
import { type Entry, EntryType, type Snapshot } from '../api/gen/raft.js'
import { Unstable } from './log-unstable.js'
import { entryBytes, metadataOf, type Storage } from './storage.js'

export interface EntryId {
  index: number
  term: number
}

export class Log {
  readonly #storage: Storage
  readonly unstable: Unstable
  committed: number
  applied: number

  constructor(storage: Storage, start: { commit: number; applied: number }) {
    const before = storage.firstIndex() - 1
    const last = storage.lastIndex()
    const { commit } = start
    const applied = start.applied === 0 ? before : start.applied
    assert(
      (commit === 0 || commit >= before) && commit <= last && applied >= before && applied <= last,
      `commit ${commit} and applied ${applied} must lie in the log [${before}, ${last}]`,
    )
    this.#storage = storage
    this.unstable = new Unstable(last + 1)
    // A commit index alone is not synced, so after a crash it may lag behind what
    // was applied; only committed entries ever are.
    this.committed = Math.max(commit, applied)
    this.applied = applied
  }

  firstIndex(): number {
    const { snapshot } = this.unstable
    return snapshot ? metadataOf(snapshot).index + 1 : this.#storage.firstIndex()
  }

  lastIndex(): number {
    return this.unstable.lastIndex() ?? this.#storage.lastIndex()
  }

  /** The last index that is saved; meaningless while a snapshot is not. */
  stableIndex(): number {
    return this.unstable.offset - 1
  }

  lastId(): EntryId {
    const index = this.lastIndex()
    const term = this.term(index)
    assert(term !== undefined, `the last entry ${index} has no term`)
    return { index, term }
  }

  /** Undefined: compacted, or not there yet. */
  term(index: number): number | undefined {
    if (index + 1 < this.firstIndex() || index > this.lastIndex()) return undefined
    return this.unstable.term(index) ?? this.#storage.term(index)
  }

  matches({ index, term }: EntryId): boolean {
    return this.term(index) === term
  }

  /** May a candidate whose log ends there lead this member (raft §5.4.1)? */
  isUpToDate({ index, term }: EntryId): boolean {
    const last = this.lastId()
    return term > last.term || (term === last.term && index >= last.index)
  }

  /** Adds entries after a check that no committed one is replaced. */
  append(entries: readonly Entry[]): void {
    const first = entries[0]
    if (first === undefined) return
    assert(
      first.Index > this.committed,
      `entry ${first.Index} would replace a committed one (commit ${this.committed})`,
    )
    this.unstable.append(entries)
  }

  /**
   * A leader's append (raft §5.3): entries that follow `previous`. Undefined if
   * this log has another entry there, else the last index that now agrees.
   */
  appendAfter(previous: EntryId, entries: readonly Entry[], commit: number): number | undefined {
    if (!this.matches(previous)) return undefined
    const lastNew = previous.index + entries.length
    // Entries already here stay: a late, shorter append must not cut off newer ones.
    const known = entries.findIndex(
      (entry) => !this.matches({ index: entry.Index, term: entry.Term }),
    )
    if (known >= 0) this.append(known === 0 ? entries : entries.slice(known))
    this.commitTo(Math.min(commit, lastNew))
    return lastNew
  }

  /**
   * The highest index up to `index` whose term is at most `term`: the first
   * place, going back, where a log with that term at `index` can agree with this
   * one, because terms never fall along a log. term 0: unknown here.
   */
  lastIndexWithTermAtMost(index: number, term: number): EntryId {
    for (let at = index; at > 0; at--) {
      const own = this.term(at)
      if (own === undefined) return { index: at, term: 0 }
      if (own <= term) return { index: at, term: own }
    }
    return { index: 0, term: 0 }
  }

  /** Entries from lo on. Undefined: the first of them is compacted. */
  entriesFrom(lo: number, bytesMax: number): Entry[] | undefined {
    if (lo < this.firstIndex()) return undefined
    return this.#slice(lo, this.lastIndex() + 1, bytesMax)
  }

  /** What may be applied next: committed, stable, and not behind an unsaved snapshot. */
  nextCommitted(bytesMax: number): Entry[] {
    if (!this.hasNextCommitted()) return []
    const hi = Math.min(this.committed, this.stableIndex()) + 1
    return this.#storage.entries(this.applied + 1, hi, bytesMax)
  }

  hasNextCommitted(): boolean {
    return (
      this.unstable.snapshot === undefined &&
      Math.min(this.committed, this.stableIndex()) > this.applied
    )
  }

  hasUnappliedConfChange(bytesMax: number): boolean {
    for (let lo = this.applied + 1; lo <= this.committed; ) {
      const page = this.#slice(lo, this.committed + 1, bytesMax)
      if (page.some(({ Type }) => Type !== EntryType.EntryNormal)) return true
      lo += page.length
    }
    return false
  }

  commitTo(index: number): void {
    if (index <= this.committed) return
    assert(
      index <= this.lastIndex(),
      `commit ${index} is beyond the end ${this.lastIndex()}: this log lost acknowledged entries`,
    )
    this.committed = index
  }

  /**
   * A leader of `term` has counted a majority that holds everything up to `index`. An entry of an
   * older term is never committed by counting (raft §5.4.2, figure 8): another leader could still
   * replace it. False: nothing is newly committed.
   */
  commitCounted(index: number, term: number): boolean {
    if (index <= this.committed || this.term(index) !== term) return false
    this.commitTo(index)
    return true
  }

  appliedTo(index: number): void {
    if (index <= this.applied) return
    assert(index <= this.committed, `applied ${index} is beyond commit ${this.committed}`)
    this.applied = index
  }

  snapshot(): Snapshot | undefined {
    return this.#storage.snapshot()
  }

  /** The whole log is replaced by a snapshot; it counts as saved with the next Ready. */
  restore(snapshot: Snapshot): void {
    this.committed = metadataOf(snapshot).index
    this.unstable.restore(snapshot)
  }

  #slice(lo: number, hi: number, bytesMax: number): Entry[] {
    const { offset, entries } = this.unstable
    if (lo >= offset) return this.unstable.slice(lo, hi, bytesMax)
    const stable = this.#storage.entries(lo, Math.min(hi, offset), bytesMax)
    if (hi <= offset || lo + stable.length < offset) return stable
    // Goes on in the unstable part if there is room left; "at least one" is done already.
    let bytes = stable.reduce((sum, entry) => sum + entryBytes(entry), 0)
    for (const entry of entries) {
      bytes += entryBytes(entry)
      if (entry.Index >= hi || bytes > bytesMax) break
      stable.push(entry)
    }
    return stable
  }
}
