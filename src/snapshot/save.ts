// save.ts: stores a snapshot stream as a file. (Types first; the bodies follow.)
import type { Files } from '../platform/files.js'

/** The part of Maintenance.Snapshot's answer that counts here. */
export interface SnapshotBlob {
  blob: Uint8Array
  /** Bytes still to come after this blob, as the server says; decimal. */
  remaining_bytes: string
  /** Storage version of the server; empty before 3.6. */
  version: string
}

export interface SaveProgress {
  receivedBytes: number
  remainingBytes: number
}

export interface SavedSnapshot {
  /** Of the file, digest included. */
  sizeBytes: number
  /** Storage version the server named, or the empty string. */
  version: string
}

/** Where a snapshot goes that is not to become a file: `-` on the command line. */
export interface SnapshotTarget {
  write(data: Uint8Array): Promise<void>
}

export interface SaveOptions {
  files: Files
  progress?: (progress: SaveProgress) => void
}

/** The snapshot could not be saved; the message is etcdctl's. The cause tells why. */
export class SnapshotSaveError extends Error {
  override readonly name = 'SnapshotSaveError'
}

/** Stores the stream in `file`: beside it first, checked, synced, then renamed into place. */
export async function saveSnapshot(
  blobs: AsyncIterable<SnapshotBlob>,
  target: string | SnapshotTarget,
  options: SaveOptions,
): Promise<SavedSnapshot> {
  throw new Error(`not written yet: ${blobs} ${target} ${options}`)
}
