// storage.ts: the part of the log that is safe, as raft reads it back.
//
// Raft never writes here. The driver saves what a Ready holds, then adds it to
// this storage, then calls advance(); from that moment raft reads those entries
// here and forgets its own copy. All reads are synchronous, so a server keeps
// the recent log in memory (MemoryStorage below) beside the file it came from.
//
//     compacted | first ........ last | not yet stable (log-unstable.ts)
//               ^ the term of first - 1 is still known: it anchors the next append
import { strict as assert } from 'node:assert'
import { ConfState, type Entry, type HardState, type Snapshot } from '../api/gen/raft.js'

export interface Storage {
  /**
   * What a member knew when it stopped; read once, at the start. The confState
   * is the one in force at the index that is given to raft as applied.
   */
  initialState(): { hardState: HardState; confState: ConfState }
  /**
   * Entries lo <= index < hi, cut after bytesMax, but at least one.
   * The range must lie in [firstIndex, lastIndex + 1].
   */
  entries(lo: number, hi: number, bytesMax: number): Entry[]
  /** Known for firstIndex - 1 <= index <= lastIndex; undefined elsewhere. */
  term(index: number): number | undefined
  firstIndex(): number
  lastIndex(): number
  /** The newest snapshot to bring a slow member up, or undefined if none can be made now. */
  snapshot(): Snapshot | undefined
}

/** What an entry counts for in a size limit: its data, and a little for the rest. */
export const entryBytes = (entry: Entry): number => (entry.Data?.length ?? 0) + 16

export const entriesBytes = (entries: readonly Entry[]): number =>
  entries.reduce((sum, entry) => sum + entryBytes(entry), 0)

/** entries[from..to), as many of the first as fit into bytesMax, but at least one. */
export function sliceToBytes(
  entries: readonly Entry[],
  range: { from: number; to: number },
  bytesMax: number,
): Entry[] {
  let bytes = 0
  let end = range.from
  // Looks before it copies: the tail behind a small limit may be long.
  for (; end < range.to; end++) {
    const entry = entries[end]
    if (entry === undefined) break
    bytes += entryBytes(entry)
    if (bytes > bytesMax && end > range.from) break
  }
  return entries.slice(range.from, end)
}

export const emptyConfState = (): ConfState => ConfState.fromPartial({})

export class MemoryStorage implements Storage {
  #hardState: HardState = { term: 0, vote: 0n, commit: 0 }
  #snapshot: Snapshot | undefined
  #confState: ConfState = emptyConfState()
  /** Index and term of the entry just before #entries[0]. */
  #before = { index: 0, term: 0 }
  #entries: Entry[] = []
  /** Of #entries, as entriesBytes() counts. */
  #bytes = 0

  initialState(): { hardState: HardState; confState: ConfState } {
    return { hardState: this.#hardState, confState: this.#confState }
  }

  entries(lo: number, hi: number, bytesMax: number): Entry[] {
    const { index } = this.#before
    assert(
      index < lo && lo <= hi && hi <= this.lastIndex() + 1,
      `entries [${lo}, ${hi}) asked, [${index + 1}, ${this.lastIndex() + 1}) kept`,
    )
    return sliceToBytes(this.#entries, { from: lo - index - 1, to: hi - index - 1 }, bytesMax)
  }

  term(index: number): number | undefined {
    if (index === this.#before.index) return this.#before.term
    return this.#entries[index - this.#before.index - 1]?.Term
  }

  firstIndex(): number {
    return this.#before.index + 1
  }

  lastIndex(): number {
    return this.#before.index + this.#entries.length
  }

  snapshot(): Snapshot | undefined {
    return this.#snapshot
  }

  /** What all entries count for in a size limit. */
  get bytes(): number {
    return this.#bytes
  }

  /** Index of the first entry of the longest tail that counts for at most so many bytes. */
  tailWithin(bytesMax: number): number {
    let rest = this.#bytes
    let at = 0
    for (; rest > bytesMax; at++) {
      const entry = this.#entries[at]
      if (entry === undefined) break
      rest -= entryBytes(entry)
    }
    return this.firstIndex() + at
  }

  setHardState(hardState: HardState): void {
    this.#hardState = hardState
  }

  /** Adds entries; from the first of them on they replace what was there. */
  append(entries: readonly Entry[]): void {
    const first = entries[0]
    if (first === undefined) return
    const keep = first.Index - this.firstIndex()
    if (keep < 0) {
      // The start of the batch is compacted here already.
      this.append(entries.slice(-keep))
      return
    }
    assert(
      keep <= this.#entries.length,
      `entry ${first.Index} leaves a hole after ${this.lastIndex()}`,
    )
    if (keep < this.#entries.length) {
      this.#bytes -= entriesBytes(this.#entries.slice(keep))
      this.#entries = this.#entries.slice(0, keep)
    }
    for (const entry of entries) this.#entries.push(entry)
    this.#bytes += entriesBytes(entries)
  }

  /** Replaces everything by a snapshot that a leader sent, or that the disk held. */
  applySnapshot(snapshot: Snapshot): void {
    const { index, term, conf_state } = metadataOf(snapshot)
    this.#snapshot = snapshot
    this.#confState = conf_state ?? emptyConfState()
    this.#before = { index, term }
    this.#entries = []
    this.#bytes = 0
  }

  /** Remembers a snapshot of what was applied up to index, and keeps the log. */
  createSnapshot(index: number, confState: ConfState, data: Buffer): Snapshot {
    const term = this.term(index)
    assert(
      term !== undefined,
      `snapshot at ${index}, log is [${this.firstIndex()}, ${this.lastIndex()}]`,
    )
    this.#confState = confState
    this.#snapshot = { data, metadata: { conf_state: confState, index, term } }
    return this.#snapshot
  }

  /** Forgets entries up to and including index; the term of that one stays known. */
  compact(index: number): void {
    const term = this.term(index)
    assert(
      term !== undefined,
      `compact to ${index}, log is [${this.firstIndex()}, ${this.lastIndex()}]`,
    )
    const count = index - this.#before.index
    this.#bytes -= entriesBytes(this.#entries.slice(0, count))
    this.#entries = this.#entries.slice(count)
    this.#before = { index, term }
  }
}

export function metadataOf(snapshot: Snapshot): {
  index: number
  term: number
  conf_state: ConfState | undefined
} {
  assert(snapshot.metadata !== undefined, 'a snapshot without metadata')
  return snapshot.metadata
}
