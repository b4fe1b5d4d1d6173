// snap-file.ts: reads and writes member/snap/TERM-INDEX.snap. (Types first; the bodies follow.)
import type { ConfState } from '../api/gen/raft.js'
import type { Files } from '../platform/files.js'
import type { Log } from '../platform/log.js'

export interface SnapMember {
  id: bigint
  peerUrls: readonly string[]
  isLearner: boolean
  /** Absent until the member has published itself. */
  attributes?: { name: string; clientUrls: readonly string[] }
}

/** What the v2 tree of a .snap file says of the cluster. */
export interface SnapTree {
  members: readonly SnapMember[]
  removed: readonly bigint[]
  /** Cluster version such as 3.4.0; absent until it was determined. */
  version?: string
}

export interface SnapFile {
  index: number
  term: number
  confState: ConfState
  tree: SnapTree
}

export interface SnapOptions {
  files: Files
  log: Log
}

/** Writes, syncs and renames into place the .snap file of `snap` in `dir`. */
export async function writeSnapFile(
  dir: string,
  snap: SnapFile,
  options: Pick<SnapOptions, 'files'>,
): Promise<void> {
  throw new Error(`not written yet: ${dir} ${snap.index} ${options.files}`)
}

/**
 * The newest .snap file that is sound and that `usable` accepts (etcd: whose position is among
 * the valid snapshot records of the log). Damaged ones are renamed to `.snap.broken`.
 */
export async function readNewestSnapFile(
  dir: string,
  usable: (position: { index: number; term: number }) => boolean,
  options: SnapOptions,
): Promise<SnapFile | undefined> {
  throw new Error(`not written yet: ${dir} ${usable} ${options.files}`)
}
