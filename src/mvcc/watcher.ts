// watcher.ts: the words of the watch hub: what a client asks for, what a stream hands out, and the
// state of one watcher in between.
//
//              create                    all told                   queue full
//     start in the past ──► unsynced ─────────────────► synced ─────────────────► unsynced
//     start in the future ───────────────────────────────▲
//
// A synced watcher is told of each revision as it is made; an unsynced one is told from the
// records, in batches, when its stream has room.
import type { BatchQueue } from './batch-queue.js'
import type { WatchEvent } from './watch-event.js'

export type { WatchEvent } from './watch-event.js'

export interface WatchCreate {
  /** Empty: from the first key on. */
  readonly key: Buffer
  /** undefined: one key; one NUL byte: everything from `key` on. */
  readonly end?: Buffer | undefined
  /** 0: what happens from now on; else from this revision, which may be past or to come. */
  readonly startRevision?: number
  /** 0: the stream chooses. */
  readonly watchId?: bigint
  readonly prevKv?: boolean
  readonly progressNotify?: boolean
  readonly filters?: { readonly noPut?: boolean; readonly noDelete?: boolean }
}

/** What create() decided; the same is told to the client by a batch. */
export interface WatchCreated {
  /** -1 for a failed create. */
  readonly watchId: bigint
  /** Why it failed, in etcd's words. */
  readonly failed?: string
}

/** One WatchResponse to be. */
export interface WatchBatch {
  /** -1 for a failed create and for an answer to a progress request. */
  readonly watchId: bigint
  /** For the header; 0 in a cancel because of compaction. */
  readonly revision: number
  /** Whole revisions in order; empty for created, canceled and progress. Shared: do not change. */
  readonly events: readonly WatchEvent[]
  readonly created?: true
  readonly canceled?: true
  readonly cancelReason?: string
  /** The oldest revision that can still be watched, when that is why the watcher ended. */
  readonly compactRevision?: number
}

/** A failed create and an answer to a progress request belong to no watcher. */
export const noWatchId = -1n

export interface WatcherOptions {
  readonly id: bigint
  readonly key: string
  /** undefined: one key. */
  readonly end: string | undefined
  /** As asked for: 0, or the first revision of interest. */
  readonly startRevision: number
  readonly prevKv: boolean
  readonly progressNotify: boolean
  readonly noPut: boolean
  readonly noDelete: boolean
}

export class Watcher {
  readonly options: WatcherOptions
  /** Where its batches go: the queue of its stream. */
  readonly queue: BatchQueue
  /** The watchers of its stream, which it leaves when it ends. */
  readonly siblings: Map<bigint, Watcher>
  /**
   * Told of every matching event before this revision. While synced it may lag behind, because
   * events that do not match do not move it.
   */
  nextRevision: number
  isSynced = false
  /** No event since the last progress tick. */
  isQuiet = true
  /** Events of the revision that is being handed around. */
  pending: WatchEvent[] | undefined

  constructor(
    options: WatcherOptions,
    { queue, siblings }: { queue: BatchQueue; siblings: Map<bigint, Watcher> },
    nextRevision: number,
  ) {
    this.options = options
    this.queue = queue
    this.siblings = siblings
    this.nextRevision = nextRevision
  }
}
