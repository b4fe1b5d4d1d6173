// hashkv.ts: the hash that HashKV gives for a running server, computed from a file. It covers the
// history of all keys at a revision and nothing that differs between members, nor does it depend on
// whether an accepted compaction has really removed anything yet.
//
// Records at or below the compaction count only when they are the latest of a living key. Who is
// the latest is found in a first pass, which takes 17 to 26 bytes of memory a key.
import { EtcdError } from '../api/rpc-errors.js'
import type { Files } from '../platform/files.js'
import { type Database, type Leaf, openDatabase } from '../storage/bbolt/reader.js'
import { crc32c } from '../storage/crc32c.js'
import { decodeRevision, metaKey } from '../storage/schema.js'
import { SnapshotError, systemReason } from './errors.js'
import { KeyTable } from './key-table.js'
import { userKey } from './record.js'

export interface SnapshotHashKv {
  hash: number
  /** The revision that was hashed. */
  hashRevision: number
  /** -1 when nothing was ever compacted. */
  compactRevision: number
}

/** `revision` 0: the current one. Throws EtcdError for a compacted or future revision. */
export async function snapshotHashKv(
  file: string,
  options: { files: Files; revision?: number },
): Promise<SnapshotHashKv> {
  const database = await openDatabase(file, options).catch((error) => {
    if (error instanceof Error && 'syscall' in error) {
      throw new SnapshotError(systemReason('open', file, error), { cause: error })
    }
    throw error
  })
  try {
    const compactRevision = await compactedAt(database)
    const current = Math.max(await lastRevision(database), compactRevision)
    const hashRevision = options.revision || current
    if (hashRevision < compactRevision) throw new EtcdError('compacted')
    if (hashRevision > current) throw new EtcdError('futureRevision')
    const hash = await hashOf(database, { compactRevision, hashRevision })
    return { hash, hashRevision, compactRevision }
  } finally {
    await database.close()
  }
}

/** A compaction counts from when it was scheduled: a server that starts on the file resumes it. */
async function compactedAt(database: Database): Promise<number> {
  let revision = -1
  for (const key of [metaKey.scheduledCompactRevision, metaKey.finishedCompactRevision]) {
    const value = await database.get('meta', key)
    const decoded = value && decodeRevision(value)
    if (decoded !== undefined) revision = Math.max(revision, decoded.main)
  }
  return revision
}

/** A new store is at revision 1. */
async function lastRevision(database: Database): Promise<number> {
  let revision = 1
  for await (const leaf of database.leaves('key')) {
    if (leaf.count > 0) revision = recordAt(database, leaf, leaf.count - 1).main
  }
  return revision
}

interface HashRange {
  compactRevision: number
  hashRevision: number
}

async function hashOf(database: Database, range: HashRange): Promise<number> {
  const kept = await latestRecords(database, range)
  const keepsNothing = kept.countNonZero() === 0
  let hash = crc32c(Buffer.from('key'))
  let ordinal = 0
  for await (const leaf of database.leaves('key')) {
    // Neighbours in the page that both count are hashed as one piece.
    let [start, end] = [0, 0]
    for (let at = 0; at < leaf.count; at++) {
      ordinal++
      if (!counts(leaf, at, ordinal)) continue
      if (leaf.keyStart(at) !== end) {
        hash = crc32c(leaf.bytes.subarray(start, end), hash)
        start = leaf.keyStart(at)
      }
      end = leaf.valueEnd(at)
    }
    hash = crc32c(leaf.bytes.subarray(start, end), hash)
  }
  return hash

  function counts(leaf: Leaf, at: number, ordinal: number): boolean {
    const { main, tombstone, key } = recordAt(database, leaf, at)
    if (main > range.hashRevision) return false
    if (main > range.compactRevision) return true
    if (tombstone && main === range.compactRevision) return false
    return keepsNothing || kept.get(leaf.bytes, key.start, key.end) === ordinal
  }
}

/** For each key, which record counted from 1 is its latest; 0 when that is a deletion. */
async function latestRecords(
  database: Database,
  { compactRevision, hashRevision }: HashRange,
): Promise<KeyTable<Uint32Array>> {
  const latest = new KeyTable((length) => new Uint32Array(length))
  // Nothing is left out, so nobody will ask.
  if (compactRevision < 0) return latest
  let ordinal = 0
  for await (const leaf of database.leaves('key')) {
    for (let at = 0; at < leaf.count; at++) {
      ordinal++
      const { main, tombstone, key } = recordAt(database, leaf, at)
      if (main > hashRevision) return latest
      latest.set(leaf.bytes, key.start, key.end, tombstone ? 0 : ordinal)
    }
  }
  return latest
}

function recordAt(database: Database, leaf: Leaf, at: number) {
  const valueStart = leaf.valueStart(at)
  const revision = decodeRevision(leaf.bytes, leaf.keyStart(at), valueStart)
  const key = userKey(leaf.bytes, valueStart, leaf.valueEnd(at))
  if (revision === undefined || key === undefined) {
    const where = `${database.file} at ${leaf.offset(at)}`
    throw new SnapshotError(`cannot read ${where}: the record does not decode`)
  }
  return { ...revision, key }
}
