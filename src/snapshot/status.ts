// status.ts: what a snapshot file holds, in figures, after a check of every page. One pass over the
// file; memory grows only with the number of user keys, by 13 to 19 bytes each.
import type { Files } from '../platform/files.js'
import { checkDatabase, type DatabaseCheck } from '../storage/bbolt/check.js'
import type { Leaf } from '../storage/bbolt/reader.js'
import { crc32c } from '../storage/crc32c.js'
import { decodeRevision, metaKey } from '../storage/schema.js'
import { SnapshotError, systemReason } from './errors.js'
import { KeyTable } from './key-table.js'
import { leafCounter, type Progress } from './progress.js'
import { userKey } from './record.js'

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

/** Throws CorruptionError or SnapshotError for a file that is not sound. */
export async function snapshotStatus(
  file: string,
  options: { files: Files; progress?: Progress },
): Promise<SnapshotStatus> {
  const { files } = options
  const isThere = await files.exists(file).catch((error) => {
    throw new SnapshotError(systemReason('stat', file, error), { cause: error })
  })
  if (!isThere) throw new SnapshotError(`stat ${file}: no such file or directory`)
  const tally = new Tally()
  const count = await leafCounter(file, options)
  const check = await checkDatabase(file, {
    files,
    onBucket: (name) => tally.bucket(name),
    onLeaf: (leaf) => {
      tally.leaf(leaf)
      count(leaf)
    },
  }).catch((error) => {
    if (error instanceof Error && 'syscall' in error) {
      throw new SnapshotError(systemReason('open', file, error), { cause: error })
    }
    throw error
  })
  if (check.findingCount > 0) throw unsound(check)
  return { ...tally.figures(), totalSize: check.sizeBytes }
}

function unsound({ findings, findingCount }: DatabaseCheck): SnapshotError {
  const title = `snapshot file integrity check failed. ${findingCount} errors found.`
  return new SnapshotError([title, ...findings.map(({ message }) => message)].join('\n'))
}

/** Counts what the check passes by. */
class Tally {
  #hash = 0
  #revision = 0
  #version = ''
  #bucket = ''
  /** 1 for a key whose last record is a put, 0 after a deletion. */
  readonly #isLive = new KeyTable((length) => new Uint8Array(length))

  bucket(name: Buffer): void {
    this.#bucket = name.toString()
    this.#hash = crc32c(name, this.#hash)
  }

  leaf(leaf: Leaf): void {
    const packed = leaf.packed()
    if (packed !== undefined) this.#hash = crc32c(packed, this.#hash)
    else for (const { key, value } of leaf) this.#hash = crc32c(value, crc32c(key, this.#hash))
    if (this.#bucket === 'key') this.#records(leaf)
    if (this.#bucket === 'meta') this.#meta(leaf)
  }

  figures(): Omit<SnapshotStatus, 'totalSize'> {
    return {
      hash: this.#hash,
      revision: this.#revision,
      totalKey: this.#isLive.countNonZero(),
      version: this.#version,
    }
  }

  #records(leaf: Leaf): void {
    const { bytes } = leaf
    for (let at = 0; at < leaf.count; at++) {
      const valueStart = leaf.valueStart(at)
      const revision = decodeRevision(bytes, leaf.keyStart(at), valueStart)
      const key = userKey(bytes, valueStart, leaf.valueEnd(at))
      if (revision === undefined || key === undefined) {
        const what = revision === undefined ? 'key is no revision' : 'value is no key-value pair'
        throw new SnapshotError(`cannot read the record at ${leaf.offset(at)}: its ${what}`)
      }
      this.#revision = revision.main
      this.#isLive.set(bytes, key.start, key.end, revision.tombstone ? 0 : 1)
    }
  }

  #meta(leaf: Leaf): void {
    for (const { key, value } of leaf) {
      if (metaKey.storageVersion.equals(key)) this.#version = value.toString()
    }
  }
}
