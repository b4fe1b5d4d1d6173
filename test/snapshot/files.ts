// files.ts: snapshot files for tests, and streams of blobs as a server sends them.
import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { KeyValue } from '../../src/api/gen/kv.js'
import type { SnapshotBlob } from '../../src/snapshot/save.js'
import { type Bucket, type Item, planDatabase } from '../../src/storage/bbolt/writer.js'
import { bucketNames, encodeRevision } from '../../src/storage/schema.js'

/** Of a real etcd 3.4.23; what it holds is in fixture(). */
export const recordedFile = 'fixtures/disk/bbolt/etcd-3.4.23.snapshot'

export interface Recorded {
  status: { hash: number; revision: number; totalKey: number; totalSize: number }
  revision: number
  hashKv: { hash: number; compactRevision: number }
  hashKvAt90: { hash: number }
  kvs: { key: string; value: string }[]
}

export async function recorded(): Promise<Recorded> {
  const text = await readFile(recordedFile.replace('.snapshot', '.json'), 'utf8')
  return JSON.parse(text) as Recorded
}

/** A snapshot file of these buckets, digest included. */
export async function snapshotOf(
  buckets: readonly Bucket[],
  options?: { pageSizeBytes: number },
): Promise<Buffer> {
  const plan = await planDatabase(buckets, options)
  const chunks: Buffer[] = []
  for await (const chunk of plan.chunks()) chunks.push(chunk)
  return withDigest(Buffer.concat(chunks))
}

export function withDigest(database: Uint8Array): Buffer {
  return Buffer.concat([database, createHash('sha256').update(database).digest()])
}

/** A record of `key` at `main`: a put of `value`, or a deletion. */
export function record(main: number, key: string, value?: string): Item {
  if (value === undefined) {
    const kv = KeyValue.create({ key: Buffer.from(key) })
    return { key: encodeRevision(main, 0, true), value: KeyValue.encode(kv).finish() }
  }
  const kv = KeyValue.create({
    ...{ key: Buffer.from(key), value: Buffer.from(value), version: '1' },
    ...{ create_revision: `${main}`, mod_revision: `${main}` },
  })
  return { key: encodeRevision(main, 0), value: KeyValue.encode(kv).finish() }
}

/** All buckets, these items among them. */
export function database(records: Item[], meta: Item[] = []): Bucket[] {
  return bucketNames.map((name) => ({
    name,
    items: name === 'key' ? records : name === 'meta' ? meta : [],
  }))
}

/** The bytes as a stream of blobs, the digest in one of its own, as etcd does. */
export async function* blobsOf(bytes: Buffer, blobSize = 32768): AsyncGenerator<SnapshotBlob> {
  const content = bytes.length - 32
  for (let at = 0; at < content; at += blobSize) {
    const end = Math.min(at + blobSize, content)
    const remaining_bytes = `${content - end}`
    yield { blob: bytes.subarray(at, end), remaining_bytes, version: at === 0 ? '3.7.0' : '' }
  }
  yield { blob: bytes.subarray(content), remaining_bytes: '0', version: '' }
}
