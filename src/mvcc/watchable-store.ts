// watchable-store.ts: the store together with the watch hub over its history: what a member holds.
// Reads and writes go to the store; the end of each write transaction reaches the watchers by
// itself. Nothing here has a clock: the server calls syncWatchers() when it is asked to, and every
// so often (etcd: 100 ms) for watchers that are behind, and the streams' progressTick().

import type { RevisionHash } from './hash.js'
import type { Stored } from './key-index.js'
import type { RangeAt, RangeResult } from './range.js'
import type { BucketRecord, RestoreOptions } from './restore.js'
import { type ChangeListener, type Restoring, Store } from './store.js'
import { WatchHub } from './watch-hub.js'
import { WatchStream } from './watch-stream.js'
import type { WriteTxn } from './write-txn.js'

export type { WatchBatch, WatchEvent } from './watch-event.js'
export type { WatchStream } from './watch-stream.js'
export type { WatchCreate, WatchCreated } from './watcher.js'

export class WatchableStore {
  readonly #store = new Store()
  readonly #hub = new WatchHub(this.#store)

  get revision(): number {
    return this.#store.revision
  }

  get compactRevision(): number {
    return this.#store.compactRevision
  }

  get scheduledCompactRevision(): number {
    return this.#store.scheduledCompactRevision
  }

  get finishedCompactRevision(): number {
    return this.#store.finishedCompactRevision
  }

  get keyCount(): number {
    return this.#store.keyCount
  }

  /** Size of all records as items of the key bucket. */
  get bytes(): number {
    return this.#store.bytes
  }

  get recordCount(): number {
    return this.#store.recordCount
  }

  get watcherCount(): number {
    return this.#hub.watcherCount
  }

  /** Events that wait until their clients take them; those of watchers that are behind do not. */
  get pendingEventCount(): number {
    return this.#hub.pendingEventCount
  }

  /** Watchers that are behind the newest revision. */
  get slowWatcherCount(): number {
    return this.#hub.unsyncedCount
  }

  /** Told of each revision, after the watchers. */
  onChange(listener: ChangeListener): void {
    this.#store.onChange(listener)
  }

  get(key: Buffer): Stored | undefined {
    return this.#store.get(key)
  }

  range(key: Buffer, end: Buffer | undefined, at?: RangeAt): RangeResult {
    return this.#store.range(key, end, at)
  }

  leasedKeys(): { key: Buffer; lease: bigint }[] {
    return this.#store.leasedKeys()
  }

  begin(): WriteTxn {
    return this.#store.begin()
  }

  compact(revision: number): void {
    this.#store.compact(revision)
  }

  /** To be run to its end after compact(); etcd takes steps of 1000 records, 10 ms apart. */
  compactionSteps(stepRecords?: number): Generator<void, void, void> {
    return this.#store.compactionSteps(stepRecords)
  }

  hashKv(revision: number): RevisionHash {
    return this.#store.hashKv(revision)
  }

  /** hashKv() in slices; see the store's. */
  hashKvSteps(revision: number): Generator<void, RevisionHash, void> {
    return this.#store.hashKvSteps(revision)
  }

  compactionHashes(): readonly RevisionHash[] {
    return this.#store.compactionHashes()
  }

  records(from?: number): Iterable<Stored> {
    return this.#store.records(from)
  }

  /** The list behind records(), with the index where `from` begins; it only grows at its end. */
  recordsFrom(from: number): { list: readonly Stored[]; start: number } {
    return this.#store.recordsFrom(from)
  }

  /** restoring() for records that are there all at once. */
  restore(records: Iterable<BucketRecord>, options: RestoreOptions): void {
    const restoring = this.restoring(options)
    for (const record of records) restoring.add(record)
    restoring.finish()
  }

  /** As the store's; watchers stay, and are told from the new records what they have not seen. */
  restoring(options: RestoreOptions): Restoring {
    const restoring = this.#store.restoring(options)
    return {
      add: (record) => restoring.add(record),
      finish: () => {
        const before = this.#store.revision
        restoring.finish()
        this.#hub.storeRestored(before)
      },
    }
  }

  /** Ends every watcher; streams stay open. */
  cancelWatchers(reason: string): void {
    this.#hub.cancelAll(reason)
  }

  newWatchStream(): WatchStream {
    return new WatchStream(this.#store, this.#hub)
  }

  /** `ask` has syncWatchers() called soon: a client waits. Without it each is served alone. */
  onBehind(ask: () => void): void {
    this.#hub.onBehind(ask)
  }

  /** One round over watchers that are behind; true if another round has work to do right away. */
  syncWatchers(): boolean {
    return this.#hub.sync()
  }
}
