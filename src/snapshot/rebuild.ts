// rebuild.ts: copies a snapshot's database item by item into a new file, as defrag would, and puts
// the new cluster in place of the old one on the way. Constant memory whatever the size.
import type { Files } from '../platform/files.js'
import { type Database, openDatabase } from '../storage/bbolt/reader.js'
import { type BucketStream, createDatabase, type Item } from '../storage/bbolt/writer.js'
import {
  bucketNames,
  decodeRevision,
  encodeMember,
  encodeRevision,
  encodeUint64,
  type MemberRecord,
  memberHex,
  metaKey,
} from '../storage/schema.js'
import { SnapshotError } from './errors.js'

export interface Rebuild {
  members: readonly MemberRecord[]
  /** Position of the last log entry that the new cluster starts with. */
  raft: { index: number; term: number }
  /** 0: revisions stay as they are. */
  bumpRevision: number
  progress?: ((done: { readBytes: number; totalBytes: number }) => void) | undefined
  signal?: AbortSignal | undefined
}

/** Writes the database of a new cluster to `target`, which must not exist, and syncs it. */
export async function rebuildDatabase(
  source: string,
  target: string,
  rebuild: Rebuild,
  files: Files,
): Promise<void> {
  const database = await openDatabase(source, { files })
  try {
    await createDatabase(target, new Copy(database, rebuild).buckets(), { files })
  } finally {
    await database.close()
  }
}

class Copy {
  readonly #database: Database
  readonly #rebuild: Rebuild
  /** Of the last record seen in `key`, whose bucket comes before `meta`. */
  #lastRevision = 1
  #readBytes = 0

  constructor(database: Database, rebuild: Rebuild) {
    this.#database = database
    this.#rebuild = rebuild
  }

  /** All buckets of the source, and those of the ten that it lacks: a crash for etcd's tools. */
  buckets(): BucketStream[] {
    const names = new Set<string>([...bucketNames, ...this.#database.bucketNames])
    const sorted = [...names].sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)))
    return sorted.map((name) => ({ name, batches: this.#batches(name) }))
  }

  #batches(name: string): AsyncIterable<Iterable<Item>> {
    if (name === 'members') return this.#members()
    if (name === 'members_removed') return once([])
    if (name === 'key') return this.#records()
    if (name === 'meta') return this.#meta()
    return this.#leaves(name)
  }

  async *#leaves(name: string) {
    const totalBytes = this.#database.sizeBytes
    for await (const leaf of this.#database.leaves(name)) {
      this.#rebuild.signal?.throwIfAborted()
      yield leaf
      this.#readBytes += leaf.bytes.length
      this.#rebuild.progress?.({ readBytes: this.#readBytes, totalBytes })
    }
  }

  async *#members(): AsyncGenerator<Item[]> {
    const items = this.#rebuild.members.map((member) => ({
      key: Buffer.from(memberHex(member.id)),
      value: Buffer.from(encodeMember(member)),
    }))
    yield items.sort((a, b) => Buffer.compare(a.key, b.key))
  }

  async *#records(): AsyncGenerator<Iterable<Item>> {
    for await (const leaf of this.#leaves('key')) {
      if (leaf.count === 0) continue
      const last = leaf.count - 1
      const revision = decodeRevision(leaf.bytes, leaf.keyStart(last), leaf.valueStart(last))
      if (revision === undefined) {
        const where = `${this.#database.file} at ${leaf.offset(last)}`
        throw new SnapshotError(`cannot restore ${where}: the record's key is no revision`)
      }
      this.#lastRevision = revision.main
      yield leaf
    }
    if (this.#rebuild.bumpRevision > 0) yield [{ key: this.#bumped(), value: Buffer.alloc(0) }]
  }

  /** The settings of the old cluster, with those that are about the log replaced. */
  async *#meta(): AsyncGenerator<Item[]> {
    const items = new Map<string, Item>()
    for await (const leaf of this.#leaves('meta')) {
      for (const item of leaf) items.set(item.key.toString('latin1'), item)
    }
    const { raft, bumpRevision } = this.#rebuild
    const replaced: Item[] = [
      { key: metaKey.consistentIndex, value: encodeUint64(raft.index) },
      { key: metaKey.term, value: encodeUint64(raft.term) },
    ]
    // A server that starts resumes this compaction, and everything older reads as compacted.
    if (bumpRevision > 0) {
      replaced.push({ key: metaKey.scheduledCompactRevision, value: this.#bumped() })
    }
    for (const item of replaced) items.set(Buffer.from(item.key).toString('latin1'), item)
    yield [...items.values()].sort((a, b) => Buffer.compare(a.key, b.key))
  }

  #bumped(): Buffer {
    const main = this.#lastRevision + this.#rebuild.bumpRevision
    if (Number.isSafeInteger(main)) return encodeRevision(main, 0)
    throw new SnapshotError(`--bump-revision leads to revision ${main}, above the largest one`)
  }
}

async function* once<T>(batch: T): AsyncGenerator<T> {
  yield batch
}
