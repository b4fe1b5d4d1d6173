// batch-queue.ts: the batches of one watch stream between the store, which makes them, and the
// client, which pulls them. Order in is order out, answers to requests and events alike: that is
// what puts `created` before the first event and nothing after `canceled`.
//
// Events that find no room are not queued: the watcher is parked and told from history later.
// Answers to requests always go in; whoever reads requests waits for whenRoom() between them.
import type { Wakes } from './wakes.js'
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
/** Where batches come as fast as they are taken, the places of so many are given up together. */
const takenMax = 256
/** Batches of any kind above which no further request should be read. */
const batchesMax = 1024

export class BatchQueue {
  /** Those that wait stand in [first, end). The places are kept: they are needed for each write. */
  readonly #batches: (WatchBatch | undefined)[] = []
  #first = 0
  #end = 0
  #eventBatches = 0
  #eventBytes = 0
  readonly #watcherCount: () => number
  readonly #wakes: Wakes
  #isClosed = false
  #wakeConsumer: (() => void) | undefined
  readonly #wakeRequests: (() => void)[] = []

  constructor(watcherCount: () => number, wakes: Wakes) {
    this.#watcherCount = watcherCount
    this.#wakes = wakes
  }

  /** Whether another event batch may be pushed. */
  get hasRoomForEvents(): boolean {
    if (this.#eventBatches < eventBatchesMax) return true
    return (
      this.#eventBatches < batchesAWatcher * this.#watcherCount() && this.#eventBytes < smallBytes
    )
  }

  /** How many batches of history may be pushed. */
  get roomForHistory(): number {
    const ofMany = Math.min(this.#watcherCount(), historyBatchesOfManyMax)
    return Math.max(historyBatchesMax, ofMany) - this.#eventBatches
  }

  /** Events that wait to be taken. */
  get eventCount(): number {
    const waiting = this.#batches.slice(this.#first, this.#end)
    return waiting.reduce((sum, batch) => sum + (batch?.events.length ?? 0), 0)
  }

  get isEmpty(): boolean {
    return this.#length === 0
  }

  push(batch: WatchBatch): void {
    if (this.#isClosed) return
    this.#batches[this.#end++] = batch
    this.#count(batch, 1)
    if (this.#wakeConsumer !== undefined) this.#wake(this.#wakeConsumer)
  }

  /** The next batch, if there is one now. */
  take(): WatchBatch | undefined {
    const batch = this.#batches[this.#first]
    if (batch === undefined) return undefined
    this.#batches[this.#first++] = undefined
    if (this.#first === this.#end) {
      this.#first = 0
      this.#end = 0
    } else if (this.#first === takenMax) {
      this.#batches.splice(0, takenMax)
      this.#first = 0
      this.#end -= takenMax
    }
    this.#count(batch, -1)
    if (this.#wakeRequests.length > 0 && this.#length < batchesMax) this.#admitRequests()
    return batch
  }

  /** `wake` is called once there is a batch, or never will be. One consumer at a time. */
  whenFilled(wake: () => void): void {
    if (this.#isClosed || !this.isEmpty) this.#wake(wake)
    else this.#wakeConsumer = wake
  }

  whenRoom(): Promise<void> {
    if (this.#isClosed || this.#length < batchesMax) return Promise.resolve()
    return new Promise((resolve) => {
      this.#wakeRequests.push(resolve)
    })
  }

  /** Drops what is queued: nobody is there to take it. */
  close(): void {
    this.#isClosed = true
    this.#batches.length = 0
    this.#first = 0
    this.#end = 0
    this.#eventBatches = 0
    this.#eventBytes = 0
    if (this.#wakeConsumer !== undefined) this.#wake(this.#wakeConsumer)
    this.#admitRequests()
  }

  get closed(): boolean {
    return this.#isClosed
  }

  get #length(): number {
    return this.#end - this.#first
  }

  #wake(consumer: () => void): void {
    this.#wakeConsumer = undefined
    this.#wakes.add(consumer)
  }

  #count({ events }: WatchBatch, sign: 1 | -1): void {
    if (events.length === 0) return
    this.#eventBatches += sign
    for (const { size } of events) this.#eventBytes += sign * size
  }

  #admitRequests(): void {
    for (const wake of this.#wakeRequests.splice(0)) wake()
  }
}
