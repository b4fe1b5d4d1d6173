// key-index.ts: one record (Stored), and every record of one key in revision order (KeyIndex).
//
// A life (etcd says generation) opens with a put and ends with a delete, marked †:
//
//     put@2 put@4 delete@6 put@9     older = [2 4 6†]  latest = 9
//
// A read at 5 finds 4, a read at 7 finds nothing, a read at 9 finds 9. Most keys have one record
// and most reads want the latest, so it stands apart from the list of older ones.
// Invariant: revisions rise through `older` and on to `latest`; a record of version 1 follows
// nothing or a tombstone.
//
// Keys are kept as latin1 strings: one character a byte, which the engine stores in one byte and
// compares like memcmp, several times faster than Buffer.compare.

import { valueBounds, varintSize } from './key-value.js'
import { firstAtLeast } from './revision.js'
import type { Block } from './slab.js'

export interface StoredFields {
  readonly index: KeyIndex
  readonly main: number
  readonly sub: number
  readonly tombstone: boolean
  readonly createRevision: number
  readonly version: number
  readonly lease: bigint
}

/** One change of one key, with its bytes as the key bucket keeps them. */
export class Stored {
  /** The key's records, this one among them until a compaction drops it. */
  readonly index: KeyIndex
  readonly main: number
  readonly sub: number
  readonly tombstone: boolean
  /** 0 for a tombstone. */
  readonly createRevision: number
  /** 1 when created, one more with each put; 0 for a tombstone. */
  readonly version: number
  readonly lease: bigint
  /** Length of the encoded KeyValue. */
  readonly size: number
  private block: Block
  private offset: number

  constructor(fields: StoredFields, at: { block: Block; offset: number; size: number }) {
    this.index = fields.index
    this.main = fields.main
    this.sub = fields.sub
    this.tombstone = fields.tombstone
    this.createRevision = fields.createRevision
    this.version = fields.version
    this.lease = fields.lease
    this.size = at.size
    this.block = at.block
    this.offset = at.offset
  }

  /** The key as a latin1 string; every record of a key has the same one. */
  get keyText(): string {
    return this.index.key
  }

  get key(): Buffer {
    const size = this.index.key.length
    const start = this.offset + (size === 0 ? 0 : 1 + varintSize(size))
    return this.block.bytes.subarray(start, start + size)
  }

  get value(): Buffer {
    if (this.size === 0 || this.tombstone) return this.block.bytes.subarray(0, 0)
    const { createRevision, main: mod, version, lease } = this
    const fields = { createRevision, mod, version, lease }
    const keySize = this.index.key.length
    const [start, end] = valueBounds(this.block.bytes, this.offset, { keySize, fields })
    return this.block.bytes.subarray(start, Math.min(end, this.offset + this.size))
  }

  /** The canonical mvccpb.KeyValue, a view; a tombstone has its key alone. */
  get encoded(): Buffer {
    return this.block.bytes.subarray(this.offset, this.offset + this.size)
  }

  /** Copies the encoded bytes without making a view; returns the offset behind them. */
  copyTo(target: Buffer, at: number): number {
    this.block.bytes.copy(target, at, this.offset, this.offset + this.size)
    return at + this.size
  }

  /** A compaction drops this record; its block may become worth leaving. */
  release(): void {
    this.block.live -= this.size
  }

  get isInSparseBlock(): boolean {
    return this.block.isSparse
  }

  get home(): Block {
    return this.block
  }

  /** Moves the bytes to a block with room, so that the old one can go. */
  moveTo(block: Block, offset: number): void {
    this.copyTo(block.bytes, offset)
    this.release()
    this.block = block
    this.offset = offset
  }
}

export class KeyIndex {
  readonly key: string
  latest: Stored | undefined
  private older: Stored[] | undefined

  constructor(key: string) {
    this.key = key
  }

  get isEmpty(): boolean {
    return this.latest === undefined
  }

  /** Whether the key exists at the newest revision. */
  get isLive(): boolean {
    return this.latest !== undefined && !this.latest.tombstone
  }

  /** The record must be newer than all others. */
  append(record: Stored): void {
    if (this.latest !== undefined) {
      if (this.older === undefined) this.older = [this.latest]
      else this.older.push(this.latest)
    }
    this.latest = record
  }

  /** The newest record at or before a revision, be it a tombstone. */
  newestAt(main: number): Stored | undefined {
    const { latest, older } = this
    if (latest === undefined || latest.main <= main) return latest
    return older?.[firstAtLeast(older, main + 1) - 1]
  }

  /** The key's state at a revision; undefined if it does not exist then. */
  at(main: number): Stored | undefined {
    const record = this.newestAt(main)
    return record === undefined || record.tombstone ? undefined : record
  }

  /** Visits records of `main` and later, oldest first, until `visit` answers false. */
  visitSince(main: number, visit: (record: Stored) => boolean): void {
    const { latest, older = [] } = this
    if (latest === undefined || latest.main < main) return
    for (let i = firstAtLeast(older, main); i < older.length; i++) {
      if (!visit(older[i] as Stored)) return // i < length
    }
    visit(latest)
  }

  get oldest(): Stored | undefined {
    return this.older?.[0] ?? this.latest
  }

  /**
   * Forgets what no read at `main` or later needs: all but the newest record at or before it, and
   * that one too if it is a tombstone older than `main`. A tombstone exactly at `main` stays until
   * the next compaction, so that a watcher which starts there sees the deletion.
   */
  compact(main: number): void {
    const isUseless = (record: Stored) => record.tombstone && record.main < main
    const { latest, older } = this
    if (latest === undefined) return
    if (latest.main <= main) {
      this.older = undefined
      if (isUseless(latest)) this.latest = undefined
      return
    }
    if (older === undefined) return
    const next = firstAtLeast(older, main + 1)
    const newest = older[next - 1]
    if (newest === undefined) return
    const rest = older.slice(isUseless(newest) ? next : next - 1)
    this.older = rest.length === 0 ? undefined : rest
  }
}
