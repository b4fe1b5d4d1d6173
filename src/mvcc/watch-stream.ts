// watch-stream.ts: the watchers of one client stream. Requests are calls that return at once; what
// the client is to be told comes out of the iterator, one batch a response, pulled at the pace of
// the client. Iteration ends with close().
//
// A batch carries all that a WatchResponse needs except the ids of cluster and member.
import assert from 'node:assert'
import { EtcdError } from '../api/rpc-errors.js'
import { BatchQueue } from './batch-queue.js'
import { varint64 } from './key-value.js'
import { endText, keyText } from './range.js'
import type { Store } from './store.js'
import { noEvents, noWatchId, WatchBatch } from './watch-event.js'
import type { WatchHub } from './watch-hub.js'
import { type WatchCreate, type WatchCreated, Watcher, type WatcherHome } from './watcher.js'

export class WatchStream implements AsyncIterable<WatchBatch> {
  readonly #store: Store
  readonly #hub: WatchHub
  readonly #watchers = new Map<bigint, Watcher>()
  readonly #queue: BatchQueue
  readonly #home: WatcherHome
  #nextId = 0n

  constructor(store: Store, hub: WatchHub) {
    this.#store = store
    this.#hub = hub
    this.#queue = new BatchQueue(() => this.#watchers.size, hub.wakes)
    this.#home = { queue: this.#queue, watchers: this.#watchers, behind: new Set() }
  }

  get watcherCount(): number {
    return this.#watchers.size
  }

  /** Starts a watcher, or says why not; the client is told by the next batch in either case. */
  create(request: WatchCreate): WatchCreated {
    assert(!this.#queue.closed, 'a closed watch stream takes no watchers')
    const failed = this.#refusal(request)
    if (failed !== undefined) return this.refuse(failed)
    const watcher = this.#watcher(request)
    const { id: watchId } = watcher.options
    this.#watchers.set(watchId, watcher)
    const { revision } = this.#store
    this.#queue.push(new WatchBatch(watcher.options, revision, noEvents, { created: true }))
    this.#hub.add(watcher)
    return { watchId }
  }

  /** Tells of a failed create; for reasons that only the caller knows, such as permissions. */
  refuse(reason: string): WatchCreated {
    const { revision } = this.#store
    const told = { created: true, canceled: true, cancelReason: reason } as const
    this.#queue.push(new WatchBatch(undefined, revision, noEvents, told))
    return { watchId: noWatchId, failed: reason }
  }

  /** False, and nothing is told, if there is no such watcher. */
  cancel(watchId: bigint): boolean {
    const watcher = this.#watchers.get(watchId)
    if (watcher === undefined) return false
    this.#hub.remove(watcher)
    const { revision } = this.#store
    this.#queue.push(new WatchBatch(watcher.options, revision, noEvents, { canceled: true }))
    return true
  }

  /** Answers with the newest revision, if the client was told everything up to it. */
  requestProgress(): void {
    this.#hub.syncStream(this.#home)
    const watchers = [...this.#watchers.values()]
    if (watchers.length === 0 || !watchers.every((watcher) => this.#isCurrent(watcher))) return
    this.#queue.push(new WatchBatch(undefined, this.#store.revision, noEvents))
  }

  /** A progress interval is over: tells the watchers that asked for it and had no event in it. */
  progressTick(): void {
    if (!this.#queue.hasRoomForEvents) return
    const { revision } = this.#store
    for (const watcher of this.#watchers.values()) {
      if (!watcher.options.progressNotify) continue
      if (watcher.isQuiet && this.#isCurrent(watcher)) {
        this.#queue.push(new WatchBatch(watcher.options, revision, noEvents))
      }
      watcher.isQuiet = true
    }
  }

  /** Resolves when answers to further requests find room; await it before reading one. */
  whenRoom(): Promise<void> {
    return this.#queue.whenRoom()
  }

  close(): void {
    for (const watcher of [...this.#watchers.values()]) this.#hub.remove(watcher)
    this.#queue.close()
  }

  /** The next batch if there is one now; makes room for watchers that are behind. */
  take(): WatchBatch | undefined {
    if (this.#queue.isEmpty) this.#hub.feed(this.#home)
    return this.#queue.take()
  }

  get isClosed(): boolean {
    return this.#queue.closed
  }

  /**
   * `wake` is called when take() is worth another try, or the stream is closed; not before this
   * call has returned, and once. One consumer at a time.
   */
  whenFilled(wake: () => void): void {
    this.#queue.whenFilled(wake)
  }

  async next(): Promise<IteratorResult<WatchBatch, undefined>> {
    for (;;) {
      const batch = this.take()
      if (batch !== undefined) return { done: false, value: batch }
      if (this.isClosed) return { done: true, value: undefined }
      await new Promise<void>((resolve) => this.whenFilled(resolve))
    }
  }

  [Symbol.asyncIterator](): AsyncIterator<WatchBatch, undefined> {
    return {
      next: () => this.next(),
      return: async () => {
        this.close()
        return { done: true, value: undefined }
      },
    }
  }

  /** All events up to the newest revision are delivered or queued, and it has begun to watch. */
  #isCurrent(watcher: Watcher): boolean {
    return watcher.isSynced && watcher.options.startRevision <= this.#store.revision
  }

  #refusal({ key, end, startRevision = 0, watchId = 0n }: WatchCreate): string | undefined {
    if (end !== undefined && end.length > 0 && keyText(firstKey(key)) >= endText(end)) {
      return 'mvcc: watcher range is empty'
    }
    if (startRevision < 0) return new EtcdError('compacted').message
    if (watchId !== 0n && this.#watchers.has(watchId)) {
      return 'mvcc: duplicate watch ID provided on the WatchStream'
    }
    return undefined
  }

  #watcher(request: WatchCreate): Watcher {
    const { end, startRevision = 0, prevKv = false, progressNotify = false } = request
    const { noPut = false, noDelete = false } = request.filters ?? {}
    const id = this.#idFor(request.watchId ?? 0n)
    const options = {
      id,
      idVarint: varint64(id),
      fragment: request.fragment ?? false,
      key: keyText(firstKey(request.key)),
      end: end === undefined || end.length === 0 ? undefined : endText(end),
      ...{ startRevision, prevKv, progressNotify, noPut, noDelete },
    }
    const nextRevision = startRevision === 0 ? this.#store.revision + 1 : startRevision
    return new Watcher(options, this.#home, nextRevision)
  }

  #idFor(asked: bigint): bigint {
    if (asked !== 0n) return asked
    while (this.#watchers.has(this.#nextId)) this.#nextId++
    return this.#nextId++
  }
}

/** No key means the first one that can exist. */
const firstKey = (key: Buffer): Buffer => (key.length === 0 ? Buffer.alloc(1) : key)
