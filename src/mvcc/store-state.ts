// store-state.ts: what a store is made of, shared by the files that read, write, hash and compact
// it. The two indexes always hold the same records, except that a compaction under way has already
// taken out of `tree` what is still in `records`.

import { revisionKeySize, tombstoneKeySize } from '../storage/schema.js'
import type { Stored } from './key-index.js'
import { Slab } from './slab.js'
import { TreeIndex } from './tree-index.js'

export interface StoreState {
  readonly tree: TreeIndex
  readonly slab: Slab
  /** In revision order; only ever appended to. A compaction puts a new list in its place. */
  records: Stored[]
  /** Main revision of the newest change; 1 when nothing was ever written. */
  revision: number
  /** Oldest revision that can be read; -1: never compacted. Invariant: <= revision. */
  compactRevision: number
  /** Size of all records as items of the key bucket. */
  bytes: number
}

export function newStoreState(): StoreState {
  return {
    tree: new TreeIndex(),
    slab: new Slab(),
    records: [],
    revision: 1,
    compactRevision: -1,
    bytes: 0,
  }
}

export function addToRecords(state: StoreState, record: Stored): void {
  state.records.push(record)
  state.bytes += itemBytes(record)
}

/** What a record takes in the key bucket, its key included. */
export function itemBytes({ tombstone, size }: Stored): number {
  return (tombstone ? tombstoneKeySize : revisionKeySize) + size
}
