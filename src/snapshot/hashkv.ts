// hashkv.ts: the hash that HashKV gives for a running server, computed from a file. It covers the
// history of all keys at a revision and nothing that differs between members, nor does it depend on
// whether an accepted compaction has really removed anything yet.
//
// Records at or below the compaction count only when they are the latest of a living key. Who is
// the latest is found in a first pass, which takes 17 to 26 bytes of memory a key.
import { EtcdError } from '../api/rpc-errors.js'
import type { Files } from '../platform/files.js'
import type { Database, Leaf } from '../storage/bbolt/reader.js'
import { crc32c } from '../storage/crc32c.js'
import type { RevisionKey } from '../storage/schema.js'
import { compactedAt, firstRevision, keyAt, openSnapshot, revisionAt } from './history.js'
import { KeyTable } from './key-table.js'

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
  const database = await openSnapshot(file, options)
  try {
    const asked = options.revision ?? 0
    const compactRevision = await compactedAt(database)
    if (asked > 0 && asked < compactRevision) throw new EtcdError('compacted')
    const range = { compactRevision, limit: asked > 0 ? asked : Number.POSITIVE_INFINITY }
    const { hash, lastRevision } = await hashOf(database, range)
    const current = Math.max(lastRevision, compactRevision)
    if (asked > current) throw new EtcdError('futureRevision')
    return { hash, hashRevision: asked > 0 ? asked : current, compactRevision }
  } finally {
    await database.close()
  }
}

interface HashRange {
  compactRevision: number
  /** Records above it do not count. */
  limit: number
}

async function hashOf(
  database: Database,
  range: HashRange,
): Promise<{ hash: number; lastRevision: number }> {
  const kept = await keptRecords(database, range)
  let hash = crc32c(Buffer.from('key'))
  let lastRevision = firstRevision
  let ordinal = 0
  for await (const leaf of database.leaves('key')) {
    // Neighbours in the page that both count are hashed as one piece.
    let [start, end] = [0, 0]
    for (let at = 0; at < leaf.count; at++) {
      ordinal++
      const revision = revisionAt(database, leaf, at)
      lastRevision = revision.main
      if (!counts(leaf, at, revision)) continue
      if (leaf.keyStart(at) !== end) {
        hash = crc32c(leaf.bytes.subarray(start, end), hash)
        start = leaf.keyStart(at)
      }
      end = leaf.valueEnd(at)
    }
    hash = crc32c(leaf.bytes.subarray(start, end), hash)
  }
  return { hash, lastRevision }

  function counts(leaf: Leaf, at: number, { main, tombstone }: RevisionKey): boolean {
    if (main > range.limit) return false
    if (main > range.compactRevision) return true
    if (tombstone) return false
    const key = keyAt(database, leaf, at)
    return kept.get(leaf.bytes, key.start, key.end) === ordinal
  }
}

/** What a compaction at the limit would keep; if nothing, what the one that was made kept. */
async function keptRecords(database: Database, range: HashRange): Promise<KeyTable<Uint32Array>> {
  const { compactRevision } = range
  const kept = await latestRecords(database, range)
  if (compactRevision < 0 || kept.countNonZero() > 0) return kept
  return latestRecords(database, { compactRevision, limit: compactRevision })
}

/** For each key, which record counted from 1 is its latest; 0 when that is a deletion. */
async function latestRecords(
  database: Database,
  { compactRevision, limit }: HashRange,
): Promise<KeyTable<Uint32Array>> {
  const latest = new KeyTable((length) => new Uint32Array(length))
  // Nothing is left out, so nobody will ask.
  if (compactRevision < 0) return latest
  let ordinal = 0
  for await (const leaf of database.leaves('key')) {
    for (let at = 0; at < leaf.count; at++) {
      ordinal++
      const { main, tombstone } = revisionAt(database, leaf, at)
      if (main > limit) return latest
      const key = keyAt(database, leaf, at)
      latest.set(leaf.bytes, key.start, key.end, tombstone ? 0 : ordinal)
    }
  }
  return latest
}
