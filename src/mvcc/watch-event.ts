// watch-event.ts: one change as watchers are told of it, and the batch in which it goes to one of
// them. The event's bytes are made once, when the first answer needs them, and shared by everyone
// who gets the event.
//
// A write may concern a thousand watchers, so there are as many batches for it: they are all of one
// shape, and what is said of a watcher again and again is kept ready with it.
import type { Stored } from './key-index.js'
import { deletedSize, varintSize, writeDeleted, writeVarint } from './key-value.js'

const typeTag = 0x08
const kvTag = 0x12
const prevTag = 0x1a

export class WatchEvent {
  readonly kv: Stored
  /** The pair before the event; only for watchers that asked, and unless created or compacted. */
  readonly prev: Stored | undefined
  /** What it holds, for limits. */
  readonly size: number
  #bytes: Buffer | undefined

  constructor(kv: Stored, prev: Stored | undefined) {
    this.kv = kv
    this.prev = prev
    this.size = kv.size + (prev === undefined ? 0 : prev.size)
  }

  get type(): 'put' | 'delete' {
    return this.kv.tombstone ? 'delete' : 'put'
  }

  /** The mvccpb.Event, to be spliced into an answer; made at the first use. */
  get encoded(): Buffer {
    this.#bytes ??= encodeEvent(this.kv, this.prev)
    return this.#bytes
  }
}

/** A failed create and an answer to a progress request belong to no watcher. */
export const noWatchId = -1n

/** Whose events they are, as an answer says it. */
export interface Addressee {
  readonly id: bigint
  /** The id as the varint that stands for it in a message. */
  readonly idVarint: Uint8Array
  /** The client takes a large batch in several answers. */
  readonly fragment: boolean
}

/** One WatchResponse to be. */
export class WatchBatch {
  /** undefined: a failed create, or an answer to a progress request. */
  readonly watcher: Addressee | undefined
  /** For the header; 0 in a cancel because of compaction. */
  readonly revision: number
  /** Whole revisions in order; empty for created, canceled and progress. Shared: do not change. */
  readonly events: readonly WatchEvent[]
  readonly notice: Notice | undefined

  constructor(
    watcher: Addressee | undefined,
    revision: number,
    events: readonly WatchEvent[],
    notice?: Notice,
  ) {
    this.watcher = watcher
    this.revision = revision
    this.events = events
    this.notice = notice
  }

  get watchId(): bigint {
    return this.watcher === undefined ? noWatchId : this.watcher.id
  }
}

export const noEvents: readonly WatchEvent[] = []

/** What an answer says of the watcher itself. */
export interface Notice {
  readonly created?: true
  readonly canceled?: true
  readonly cancelReason?: string
  /** The oldest revision that can still be watched, when that is why the watcher ended. */
  readonly compactRevision?: number
}

function encodeEvent(kv: Stored, prev: Stored | undefined): Buffer {
  const kvSize = kv.tombstone ? deletedSize(kv.keyText.length, kv.main) : kv.size
  const prevSize = prev === undefined ? 0 : 1 + varintSize(prev.size) + prev.size
  const typeSize = kv.tombstone ? 2 : 0
  const bytes = Buffer.allocUnsafe(typeSize + 1 + varintSize(kvSize) + kvSize + prevSize)
  let offset = 0
  if (kv.tombstone) {
    bytes[offset++] = typeTag
    bytes[offset++] = 1
  }
  bytes[offset++] = kvTag
  offset = writeVarint(bytes, offset, kvSize)
  offset = kv.tombstone ? writeDeleted(bytes, offset, kv.key, kv.main) : kv.copyTo(bytes, offset)
  if (prev !== undefined) {
    bytes[offset++] = prevTag
    offset = writeVarint(bytes, offset, prev.size)
    prev.copyTo(bytes, offset)
  }
  return bytes
}
