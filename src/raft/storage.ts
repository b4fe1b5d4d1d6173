// storage.ts: the part of the log that is safe, as raft reads it back.
//
// Raft never writes here. The driver saves what a Ready holds, then adds it to
// this storage, then calls advance(); from that moment raft reads those entries
// here and forgets its own copy. All reads are synchronous, so a server keeps
// the recent log in memory (MemoryStorage below) beside the file it came from.
//
//     compacted | first ........ last | not yet stable (log-unstable.ts)
//               ^ term of first-1 is still known: it anchors the next append
import type { ConfState, Entry, HardState, Snapshot } from '../api/gen/raft.js'

export interface Storage {
  /** What a member knew when it stopped; read once, at the start. */
  initialState(): { hardState: HardState; confState: ConfState }
  /**
   * Entries lo <= index < hi, cut after bytesMax, but at least one.
   * The range must be inside [firstIndex, lastIndex + 1].
   */
  entries(lo: number, hi: number, bytesMax: number): Entry[]
  /** Known for firstIndex - 1 <= index <= lastIndex; undefined elsewhere. */
  term(index: number): number | undefined
  firstIndex(): number
  lastIndex(): number
  /** The newest snapshot to bring a slow member up, or undefined if none can be made now. */
  snapshot(): Snapshot | undefined
}

export class MemoryStorage implements Storage {
  initialState(): { hardState: HardState; confState: ConfState } {
    throw new Error('MemoryStorage is not written yet')
  }

  entries(_lo: number, _hi: number, _bytesMax: number): Entry[] {
    throw new Error('MemoryStorage is not written yet')
  }

  term(_index: number): number | undefined {
    throw new Error('MemoryStorage is not written yet')
  }

  firstIndex(): number {
    throw new Error('MemoryStorage is not written yet')
  }

  lastIndex(): number {
    throw new Error('MemoryStorage is not written yet')
  }

  snapshot(): Snapshot | undefined {
    throw new Error('MemoryStorage is not written yet')
  }

  append(_entries: readonly Entry[]): void {}

  setHardState(_hardState: HardState): void {}

  /** Replaces everything by a snapshot that a leader sent. */
  applySnapshot(_snapshot: Snapshot): void {}

  /** Remembers a snapshot of the applied state at index; keeps the log. */
  createSnapshot(_index: number, _confState: ConfState, _data: Buffer): Snapshot {
    throw new Error('MemoryStorage is not written yet')
  }

  /** Forgets entries up to and including index; its term stays known. */
  compact(_index: number): void {}
}
