// reader.ts: reads a log from disk. (Types first; the bodies follow.)
import type { Files } from '../../platform/files.js'
import type { Log } from '../../platform/log.js'

export interface WalOptions {
  files: Files
  log: Log
  /** A segment that an append has filled to here is closed and the next one begun. */
  segmentBytes?: number
}

/** A snapshot that the log may be read from: the state after this entry is kept elsewhere. */
export interface SnapshotPosition {
  index: number
  term: number
}

/**
 * Positions of all snapshot records whose entry is known to be committed, ascending. Reads the
 * whole log and verifies every checksum in it.
 */
export async function walSnapshots(dir: string, options: WalOptions): Promise<SnapshotPosition[]> {
  throw new Error(`not written yet: ${dir} ${options.segmentBytes}`)
}
