// hash.ts: HashKV, by which members compare what they hold: CRC-32C over the three bytes `key`,
// then key and value bytes of each record of the key bucket, in order. Left out are
//
//   - records newer than the asked revision;
//   - records at or before the compact revision which a compaction at the *asked* revision would
//     not keep, because members may not have removed them yet; but if every key is deleted by
//     then, those which the compaction that was made has kept;
//   - a tombstone exactly at the compact revision, which older releases of etcd remove.
//
// The rule holds whether or not the compaction has removed anything so far.
import { crc32c } from '../storage/crc32c.js'
import { revisionKeySize, tombstoneKeySize } from '../storage/schema.js'
import type { Stored } from './key-index.js'

export interface RevisionHash {
  readonly hash: number
  /** The compact revision that the hash was made with; -1: never compacted. */
  readonly compactRevision: number
  readonly hashRevision: number
}

/** Bytes are gathered so that the checksum runs over long pieces; any size gives the same sum. */
const gatherBytes = 64 * 1024
const bucketName = Buffer.from('key')

export class RevisionHasher {
  readonly hashRevision: number
  readonly compactRevision: number
  #sum = crc32c(bucketName)
  readonly #gathered = Buffer.allocUnsafeSlow(gatherBytes)
  #used = 0

  constructor({ hashRevision, compactRevision }: Omit<RevisionHash, 'hash'>) {
    this.hashRevision = hashRevision
    this.compactRevision = compactRevision
  }

  /** Records come in revision order; `isKept`: a compaction at hashRevision would keep this one. */
  add(record: Stored, isKept: boolean): void {
    const { main, tombstone } = record
    if (main > this.hashRevision) return
    if (main <= this.compactRevision && (tombstone || !isKept)) return
    if (this.#used + tombstoneKeySize + record.size > gatherBytes) this.#flush()
    this.#used = writeRevisionKey(this.#gathered, this.#used, record)
    if (this.#used + record.size <= gatherBytes) {
      this.#used = record.copyTo(this.#gathered, this.#used)
      return
    }
    this.#flush()
    this.#sum = crc32c(record.encoded, this.#sum)
  }

  result(): RevisionHash {
    this.#flush()
    const { compactRevision, hashRevision } = this
    return { hash: this.#sum, compactRevision, hashRevision }
  }

  #flush(): void {
    this.#sum = crc32c(this.#gathered.subarray(0, this.#used), this.#sum)
    this.#used = 0
  }
}

/** Records hashed between two yields: a few milliseconds. */
const recordsPerStep = 10_000

/** Hashes records in one pass. No compaction may remove any of them before it is through. */
export function* hashSteps(
  records: readonly Stored[],
  revisions: { hashRevision: number; compactRevision: number },
): Generator<void, RevisionHash, void> {
  const hasher = new RevisionHasher(revisions)
  const { hashRevision, compactRevision } = revisions
  const { length } = records
  // Nothing old is left out for a compaction at hashRevision if that would keep nothing at all.
  const keptAt = (yield* isAnyAlive(records, hashRevision)) ? hashRevision : compactRevision
  for (let i = 0; i < length; i++) {
    const record = records[i] as Stored // i < length
    if (record.main > hashRevision) break
    const isOld = record.main <= compactRevision
    hasher.add(record, !isOld || record.index.newestAt(keptAt) === record)
    if (i % recordsPerStep === recordsPerStep - 1) yield
  }
  return hasher.result()
}

/** Whether any key exists at a revision. */
function* isAnyAlive(records: readonly Stored[], revision: number): Generator<void, boolean, void> {
  const { length } = records
  for (let i = 0; i < length; i++) {
    const record = records[i] as Stored // i < length
    if (record.main > revision) return false
    if (record.index.at(revision) !== undefined) return true
    if (i % recordsPerStep === recordsPerStep - 1) yield
  }
  return false
}

/** The hashes that compactions left behind, each at the revision it compacted to. */
export class CompactionHashes {
  #hashes: RevisionHash[] = []
  /** As many as etcd remembers; members compare the newest ones. */
  static readonly #keptMax = 10

  add(hash: RevisionHash): void {
    this.#hashes = [...this.#hashes, hash].slice(-CompactionHashes.#keptMax)
  }

  at(revision: number): RevisionHash | undefined {
    return this.#hashes.find(({ hashRevision }) => hashRevision === revision)
  }

  /** Oldest first. */
  all(): readonly RevisionHash[] {
    return this.#hashes
  }
}

/** The bytes of schema.ts's encodeRevision, in place. */
function writeRevisionKey(target: Buffer, at: number, { main, sub, tombstone }: Stored): number {
  target.writeUInt32BE(Math.floor(main / 2 ** 32), at)
  target.writeUInt32BE(main >>> 0, at + 4)
  target[at + 8] = 0x5f
  target.writeUInt32BE(0, at + 9)
  target.writeUInt32BE(sub, at + 13)
  if (!tombstone) return at + revisionKeySize
  target[at + revisionKeySize] = 0x74
  return at + tombstoneKeySize
}
