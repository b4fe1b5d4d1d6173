// batch-queue.ts: the batches of one watch stream between the store, which makes them, and the
// client, which pulls them. Order in is order out, answers to requests and events alike: that is
// what puts `created` before the first event and nothing after `canceled`.
//
// Events that find no room are not queued: the watcher is parked and told from history later.
// Answers to requests always go in; whoever reads requests waits for whenRoom() between them.
import type { WatchBatch } from './watch-event.js'

/** Event batches that wait at most, as in etcd; more only grows memory for a slow client. */
const eventBatchesMax = 128
/** Less for batches of history, which are large and can be made again when there is room. */
const historyBatchesMax = 8
/** Batches of any kind above which no further request should be read. */
const batchesMax = 1024

export class BatchQueue {
  private readonly batches: WatchBatch[] = []
  private eventBatches = 0
  private isClosed = false
  private wakeConsumer: (() => void) | undefined
  private readonly wakeRequests: (() => void)[] = []

  /** How many more event batches may be pushed. */
  get roomForEvents(): number {
    return eventBatchesMax - this.eventBatches
  }

  get roomForHistory(): number {
    return historyBatchesMax - this.eventBatches
  }

  get isEmpty(): boolean {
    return this.batches.length === 0
  }

  push(batch: WatchBatch): void {
    if (this.isClosed) return
    this.batches.push(batch)
    if (batch.events.length > 0) this.eventBatches++
    const wake = this.wakeConsumer
    this.wakeConsumer = undefined
    wake?.()
  }

  /** The next batch, if there is one now. */
  take(): WatchBatch | undefined {
    const batch = this.batches.shift()
    if (batch === undefined) return undefined
    if (batch.events.length > 0) this.eventBatches--
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
    this.wakeConsumer?.()
    this.admitRequests()
  }

  get closed(): boolean {
    return this.isClosed
  }

  private admitRequests(): void {
    for (const wake of this.wakeRequests.splice(0)) wake()
  }
}
