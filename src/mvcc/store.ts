// store.ts: the multi-version store: every revision of every key, in memory.
//
// Records stand twice: by key (TreeIndex of KeyIndex) for reads, and in revision order (`records`)
// for watch history, HashKV and the checkpoint. Both lists share the Stored objects. Everything is
// synchronous; a write transaction runs from begin() to end() without a pause, so no reader sees
// half of one.
//
//     tree     a: [2 5†]   b: [3 6]          records   [a@2 b@3 a@5† b@6]
//
// A record carries its lease, and that is all the store knows of leases.
//
// What every put and range runs through (this file, write-txn, key-index, tree-index and slab)
// says `private`, the rest of the room `#`: with `#` there, too, a put took up to 9 % more
// processor time in the store, of interleaved runs in processes of their own.
import assert from 'node:assert'
import { EtcdError } from '../api/rpc-errors.js'
import { Compactor, recordsPerStep } from './compaction.js'
import { hashSteps, type RevisionHash } from './hash.js'
import type { Stored } from './key-index.js'
import { keyText, type RangeAt, type RangeResult, readRange } from './range.js'
import { type BucketRecord, type RestoreOptions, Restorer } from './restore.js'
import { firstAtLeast } from './revision.js'
import { newStoreState, type StoreState } from './store-state.js'
import { WriteTxn } from './write-txn.js'

export type { RevisionHash } from './hash.js'
export type { Stored } from './key-index.js'
export type { RangeAt, RangeResult } from './range.js'
export type { BucketRecord, RestoreOptions } from './restore.js'
export type { WriteTxn } from './write-txn.js'

/** A restore under way. */
export interface Restoring {
  /** @throws CorruptionError for a record that no store wrote */
  add(record: BucketRecord): void
  finish(): void
}

/** Told of each revision when it becomes the newest; the list is not empty and in sub order. */
export type ChangeListener = (changes: readonly Stored[], revision: number) => void

export class Store {
  private state: StoreState = newStoreState()
  private compactor = new Compactor(this.state, -1)
  private readonly listeners: ChangeListener[] = []
  private isWriting = false

  /** Main revision of the newest change; 1 at first. */
  get revision(): number {
    return this.state.revision
  }

  /** Oldest revision that can be read or watched; -1: never compacted. */
  get compactRevision(): number {
    return this.state.compactRevision
  }

  /** For the meta bucket; -1: none. A restart goes on with what is scheduled and not finished. */
  get scheduledCompactRevision(): number {
    return this.compactor.scheduledRevision
  }

  get finishedCompactRevision(): number {
    return this.compactor.finishedRevision
  }

  /** Keys that exist at the newest revision. */
  get keyCount(): number {
    return this.state.tree.live
  }

  /** Size of all records as items of the key bucket: what a checkpoint will hold, without pages. */
  get bytes(): number {
    return this.state.bytes
  }

  get recordCount(): number {
    return this.state.records.length
  }

  /** The fastest read: one key at the newest revision. */
  get(key: Buffer): Stored | undefined {
    return this.state.tree.get(keyText(key))?.at(this.state.revision)
  }

  /** `end` undefined: one key; one NUL byte: everything from `key` on. */
  range(key: Buffer, end: Buffer | undefined, at: RangeAt = {}): RangeResult {
    return readRange(this.state, { key, end, current: this.state.revision }, at)
  }

  /** Keys that belong to a lease by their newest put: what the lessor is told after a restore. */
  leasedKeys(): { key: Buffer; lease: bigint }[] {
    const leased: { key: Buffer; lease: bigint }[] = []
    this.state.tree.walkAll(({ latest }) => {
      if (latest !== undefined && latest.lease !== 0n) {
        leased.push({ key: latest.key, lease: latest.lease })
      }
    })
    return leased
  }

  /** Visits the records of one key from a revision on, in order, until `visit` answers false. */
  visitHistory(key: string, since: number, visit: (record: Stored) => boolean): void {
    this.state.tree.get(key)?.visitSince(since, visit)
  }

  /** The same for each key in [start, end), in key order, deleted ones included. */
  visitHistories(
    { start, end }: { start: string; end: string },
    since: number,
    /** Told of a key before its records; false: no further key. */
    { begin, visit }: { begin: () => boolean; visit: (record: Stored) => boolean },
  ): void {
    this.state.tree.walk(start, end, (index) => {
      if (!begin()) return false
      index.visitSince(since, visit)
      return true
    })
  }

  begin(): WriteTxn {
    assert(!this.isWriting, 'one write transaction at a time')
    this.isWriting = true
    return new WriteTxn(this.state, this.finish)
  }

  onChange(listener: ChangeListener): void {
    this.listeners.push(listener)
  }

  /** Readers see it at once; the memory comes back through compactionSteps(). */
  compact(revision: number, { isResumed = false } = {}): void {
    if (revision <= this.state.compactRevision) throw new EtcdError('compacted')
    if (revision > this.state.revision) throw new EtcdError('futureRevision')
    this.state.compactRevision = revision
    this.compactor.schedule(revision, { isResumed })
  }

  /** Does the scheduled removals, looking at that many records between two yields. */
  *compactionSteps(stepRecords = recordsPerStep): Generator<void, void, void> {
    while (this.compactor.step(stepRecords)) yield
  }

  /** 0: the newest; below 0: a hash over nothing. */
  hashKv(revision: number): RevisionHash {
    const steps = this.hashKvSteps(revision)
    for (;;) {
      const step = steps.next()
      if (step.done) return step.value
    }
  }

  /**
   * The same with a few milliseconds between two yields, in which reads and writes may go on;
   * removals wait. To be run to its end, or ended by return().
   */
  *hashKvSteps(revision: number): Generator<void, RevisionHash, void> {
    const { compactRevision, records, revision: newest } = this.state
    const known = revision > 0 ? this.compactor.hashes.at(revision) : undefined
    if (known !== undefined) return known
    if (revision > 0 && revision < compactRevision) throw new EtcdError('compacted')
    if (revision > newest) throw new EtcdError('futureRevision')
    const hashRevision = revision === 0 ? newest : revision
    const release = this.compactor.hold()
    try {
      return yield* hashSteps(records, { hashRevision, compactRevision })
    } finally {
      release()
    }
  }

  /** Hashes that the last compactions left behind, oldest first; they do not survive a restart. */
  compactionHashes(): readonly RevisionHash[] {
    return this.compactor.hashes.all()
  }

  /** The records of revision `from` and later, in order: a view that nothing later changes. */
  records(from = 0): Iterable<Stored> {
    const { records } = this.state
    const { length } = records
    const start = firstAtLeast(records, from)
    return {
      *[Symbol.iterator]() {
        for (let i = start; i < length; i++) yield records[i] as Stored // i < length
      },
    }
  }

  /** The list behind records(), with the index where `from` begins; it only grows at its end. */
  recordsFrom(from: number): { list: readonly Stored[]; start: number } {
    return { list: this.state.records, start: firstAtLeast(this.state.records, from) }
  }

  /**
   * Starts to read a key bucket; finish() puts it in the place of everything. The records come in
   * revision order, and may come piece by piece: until finish() the store is as it was.
   */
  restoring(options: RestoreOptions): Restoring {
    const restorer = new Restorer(options)
    return {
      add: (record) => restorer.add(record),
      finish: () => this.replace(restorer.finish(), options),
    }
  }

  private replace(state: StoreState, options: RestoreOptions): void {
    assert(!this.isWriting, 'no restore within a write transaction')
    const { finishedCompactRevision = -1, scheduledCompactRevision = -1 } = options
    this.state = state
    this.compactor = new Compactor(state, finishedCompactRevision)
    if (scheduledCompactRevision <= finishedCompactRevision) return
    this.compact(scheduledCompactRevision, { isResumed: true })
  }

  /** Made once, not for each transaction. */
  private readonly finish = (changes: readonly Stored[]): void => {
    this.isWriting = false
    if (changes.length === 0) return
    this.state.revision++
    for (const listener of this.listeners) listener(changes, this.state.revision)
  }
}
