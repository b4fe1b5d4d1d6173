// batch-queue.ts: the batches of one watch stream between the store, which makes them, and the
// client, which pulls them. Order in is order out, answers to requests and events alike: that is
// what puts `created` before the first event and nothing after `canceled`.
//
// Events that find no room are not queued: the watcher is parked and told from history later.
// Answers to requests always go in; whoever reads requests waits for whenRoom() between them.
import type { WatchBatch } from './watch-event.js'

/** Event batches that wait at most, as in etcd; more only grows memory for a slow client. */
const eventBatchesMax = 128
/** With many watchers so many for each, since one write may concern all of them at once... */
const batchesAWatcher = 4
/** ...as long as what they hold is small. */
const smallBytes = 1024 * 1024
/** Less for batches of history, which are large and can be made again when there is room... */
const historyBatchesMax = 8
/** ...but enough that many watchers do not need a round for every eight. */
const historyBatchesOfManyMax = 128
/** Batches of any kind above which no further request should be read. */
const batchesMax = 1024

export class BatchQueue {
  private readonly batches: WatchBatch[] = []
  private eventBatches = 0
  private eventBytes = 0
  private readonly watcherCount: () => number
  private isClosed = false
  private wakeConsumer: (() => void) | undefined
  private readonly wakeRequests: (() => void)[] = []

  constructor(watcherCount: () => number) {
    this.watcherCount = watcherCount
  }

  /** Whether another event batch may be pushed. */
  get hasRoomForEvents(): boolean {
    if (this.eventBatches < eventBatchesMax) return true
    return this.eventBatches < batchesAWatcher * this.watcherCount() && this.eventBytes < smallBytes
  }

  /** How many batches of history may be pushed. */
  get roomForHistory(): number {
    const ofMany = Math.min(this.watcherCount(), historyBatchesOfManyMax)
    return Math.max(historyBatchesMax, ofMany) - this.eventBatches
  }

  /** Events that wait to be taken. */
  get eventCount(): number {
    return this.batches.reduce((sum, { events }) => sum + events.length, 0)
  }

  get isEmpty(): boolean {
    return this.batches.length === 0
  }

  push(batch: WatchBatch): void {
    if (this.isClosed) return
    this.batches.push(batch)
    this.count(batch, 1)
    const wake = this.wakeConsumer
    this.wakeConsumer = undefined
    wake?.()
  }

  /** The next batch, if there is one now. */
  take(): WatchBatch | undefined {
    const batch = this.batches.shift()
    if (batch === undefined) return undefined
    this.count(batch, -1)
    if (this.batches.length < batchesMax) this.admitRequests()
    return batch
  }

  /** Resolves when there is a batch, or never will be. One consumer at a time. */
  filled(): Promise<void> {
    if (this.isClosed || !this.isEmpty) return Promise.resolve()
    return new Promise((resolve) => {
      this.wakeConsumer = resolve
    })
  }

  whenRoom(): Promise<void> {
    if (this.isClosed || this.batches.length < batchesMax) return Promise.resolve()
    return new Promise((resolve) => {
      this.wakeRequests.push(resolve)
    })
  }

  /** Drops what is queued: nobody is there to take it. */
  close(): void {
    this.isClosed = true
    this.batches.length = 0
    this.eventBatches = 0
    this.eventBytes = 0
    this.wakeConsumer?.()
    this.admitRequests()
  }

  get closed(): boolean {
    return this.isClosed
  }

  private count({ events }: WatchBatch, sign: 1 | -1): void {
    if (events.length === 0) return
    this.eventBatches += sign
    for (const { kv, prev } of events) this.eventBytes += sign * (kv.size + (prev?.size ?? 0))
  }

  private admitRequests(): void {
    for (const wake of this.wakeRequests.splice(0)) wake()
  }
}
