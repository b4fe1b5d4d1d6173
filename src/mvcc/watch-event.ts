// watch-event.ts: one change as watchers are told of it, and the batch in which it goes to one of
// them. The event's bytes are made once, when the first answer needs them, and shared by everyone
// who gets the event.
import type { Stored } from './key-index.js'
import { deletedSize, varintSize, writeDeleted, writeVarint } from './key-value.js'

const typeTag = 0x08
const kvTag = 0x12
const prevTag = 0x1a

export class WatchEvent {
  readonly kv: Stored
  /** The pair before the event; only for watchers that asked, and unless created or compacted. */
  readonly prev: Stored | undefined
  private bytes: Buffer | undefined

  constructor(kv: Stored, prev: Stored | undefined) {
    this.kv = kv
    this.prev = prev
  }

  get type(): 'put' | 'delete' {
    return this.kv.tombstone ? 'delete' : 'put'
  }

  /** The mvccpb.Event, to be spliced into an answer; made at the first use. */
  get encoded(): Buffer {
    this.bytes ??= encodeEvent(this.kv, this.prev)
    return this.bytes
  }
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
