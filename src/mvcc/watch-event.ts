// watch-event.ts: one change as watchers are told of it. Its bytes are made once, when the first
// answer needs them, and shared by everyone who gets the event.
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
