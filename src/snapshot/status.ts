// status.ts: what a snapshot file holds, in figures. (Types first; the bodies follow.)
import type { Files } from '../platform/files.js'

export interface SnapshotStatus {
  /** CRC-32C over names, keys and values of all buckets. */
  hash: number
  /** Of the last record in `key`, 0 when there is none. */
  revision: number
  /** Live user keys, as etcd 3.6 and later count. */
  totalKey: number
  /** Used pages × page size; the digest is not counted. */
  totalSize: number
  /** Storage version, or the empty string before 3.6. */
  version: string
}

export async function snapshotStatus(
  file: string,
  options: { files: Files },
): Promise<SnapshotStatus> {
  throw new Error(`not written yet: ${file} ${options}`)
}
