// writer.ts: appends to a log. (Types first; the bodies follow.)
import type { ConfState, Entry, HardState } from '../../api/gen/raft.js'
import type { SnapshotPosition, WalOptions } from './reader.js'

/** Whose log it is; stands at the head of every segment. */
export interface WalMetadata {
  nodeId: bigint
  clusterId: bigint
}

export interface Wal {
  /** Index of the last entry in the log, 0 when there is none. */
  readonly lastIndex: number
  /**
   * Appends entries, then the state. With `sync` it resolves when they are on disk, and so is
   * all that was saved before. Calls made while a sync is under way share the next one.
   * Without `sync` the records may stay in memory until the next synced call or close().
   * Rejects with ENOSPC: nothing of this call is in the log, it may be repeated. Rejects with
   * WalBrokenError: the fate of this call is unknown and the log takes no more.
   */
  save(state: HardState | undefined, entries: readonly Entry[], sync: boolean): Promise<void>
  /** Notes, durably, that the state after `index` is kept in a snapshot. The .snap file first. */
  saveSnapshot(snapshot: SnapshotPosition & { confState?: ConfState }): Promise<void>
  /** Deletes whole segments that a reader starting at snapshot `index` does not need. */
  release(index: number): Promise<void>
  /** Writes and syncs what is pending, then closes the files. */
  close(): Promise<void>
}

export interface OpenedWal {
  wal: Wal
  metadata: WalMetadata
  hardState: HardState
  /** Entries after `from`, contiguous. */
  entries: Entry[]
}

/** Makes a new log in `dir`, which must not exist; it appears there complete or not at all. */
export async function createWal(
  dir: string,
  metadata: WalMetadata,
  options: WalOptions,
): Promise<Wal> {
  throw new Error(`not written yet: ${dir} ${metadata.nodeId} ${options.segmentBytes}`)
}

/** Reads the log after `from` and opens it for appending. A torn tail is cut off, once. */
export async function openWal(
  dir: string,
  from: SnapshotPosition,
  options: WalOptions,
): Promise<OpenedWal> {
  throw new Error(`not written yet: ${dir} ${from.index} ${options.segmentBytes}`)
}
