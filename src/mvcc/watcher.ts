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
import type { Stored } from './key-index.js'
import type { Addressee, WatchEvent } from './watch-event.js'

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
  /** Batches above the size of a message go out in several; whoever sends them sees to it. */
  readonly fragment?: boolean
  readonly filters?: { readonly noPut?: boolean; readonly noDelete?: boolean }
}

/** What create() decided; the same is told to the client by a batch. */
export interface WatchCreated {
  /** -1 for a failed create. */
  readonly watchId: bigint
  /** Why it failed, in etcd's words. */
  readonly failed?: string
}

export interface WatcherOptions extends Addressee {
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

/** What the watchers of one stream share. */
export interface WatcherHome {
  /** Where their batches go. */
  readonly queue: BatchQueue
  /** All of them, by id; a watcher that ends leaves. */
  readonly watchers: Map<bigint, Watcher>
  /** Those that are not synced. */
  readonly behind: Set<Watcher>
}

export class Watcher {
  readonly options: WatcherOptions
  readonly home: WatcherHome
  /**
   * Told of every matching event before this revision. While synced it may lag behind, because
   * events that do not match do not move it.
   */
  nextRevision: number
  /** No event since the last progress tick. */
  isQuiet = true
  /** Events of the revision that is being handed around. */
  pending: WatchEvent[] | undefined

  constructor(options: WatcherOptions, home: WatcherHome, nextRevision: number) {
    this.options = options
    this.home = home
    this.nextRevision = nextRevision
  }

  get isSynced(): boolean {
    return !this.home.behind.has(this)
  }
}

export function isFiltered({ options }: Watcher, { tombstone }: Stored): boolean {
  return tombstone ? options.noDelete : options.noPut
}
