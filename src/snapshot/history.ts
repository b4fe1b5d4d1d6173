// history.ts: the `key` bucket of a snapshot file as the history it is: every change of every key
// in the order of revisions, down to the compaction. Records are read in place.
import type { Files } from '../platform/files.js'
import { type Database, type Leaf, openDatabase } from '../storage/bbolt/reader.js'
import { decodeRevision, metaKey, type RevisionKey } from '../storage/schema.js'
import { SnapshotError, systemReason } from './errors.js'
import { type KeySpan, userKey } from './record.js'

/** The revision of a store to which nothing was ever written. */
export const firstRevision = 1

export async function openSnapshot(file: string, { files }: { files: Files }): Promise<Database> {
  return openDatabase(file, { files }).catch((error) => {
    if (error instanceof Error && 'syscall' in error) {
      throw new SnapshotError(systemReason('open', file, error), { cause: error })
    }
    throw error
  })
}

/**
 * -1 when nothing was ever compacted. A compaction counts from when it was scheduled: a server that
 * starts on the file resumes it.
 */
export async function compactedAt(database: Database): Promise<number> {
  let revision = -1
  for (const key of [metaKey.scheduledCompactRevision, metaKey.finishedCompactRevision]) {
    const value = await database.get('meta', key)
    const decoded = value && decodeRevision(value)
    if (decoded !== undefined) revision = Math.max(revision, decoded.main)
  }
  return revision
}

export function revisionAt(database: Database, leaf: Leaf, at: number): RevisionKey {
  const revision = decodeRevision(leaf.bytes, leaf.keyStart(at), leaf.valueStart(at))
  if (revision === undefined) throw unreadable(database, leaf, at)
  return revision
}

/** Where in the bytes of the leaf the user key stands. */
export function keyAt(database: Database, leaf: Leaf, at: number): KeySpan {
  const key = userKey(leaf.bytes, leaf.valueStart(at), leaf.valueEnd(at))
  if (key === undefined) throw unreadable(database, leaf, at)
  return key
}

export function unreadable(database: Database, leaf: Leaf, at: number): SnapshotError {
  const where = `${database.file} at ${leaf.offset(at)}`
  return new SnapshotError(`cannot read ${where}: the record does not decode`)
}
