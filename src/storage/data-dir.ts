// data-dir.ts: the data directory: layout, checks and lock. (Types first; the bodies follow.)
import type { Files } from '../platform/files.js'
import type { Log } from '../platform/log.js'

export { DataDirError } from './errors.js'

export interface DataDirOptions {
  files: Files
  log: Log
  /** Where the log lives; default DIR/member/wal. */
  walDir?: string
}

export interface DataDir {
  /** Neither log nor db nor snapshot: a member that has never run. */
  readonly fresh: boolean
  readonly hasDb: boolean
  readonly dir: string
  readonly snapDir: string
  readonly walDir: string
  /** member/snap/db, the checkpoint. */
  readonly dbFile: string
  /** Gives the directory free for the next process. */
  close(): Promise<void>
}

/** Checks, creates where needed, tidies and locks a data directory. Throws DataDirError. */
export async function openDataDir(dir: string, options: DataDirOptions): Promise<DataDir> {
  throw new Error(`not written yet: ${dir} ${options.walDir}`)
}
