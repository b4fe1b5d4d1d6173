// writer.ts: writes a whole bbolt file in one pass, front to back but for the two metas. What goes
// where is layout.ts's decision and depends on lengths alone. So a reader that can only be fed from
// the front (a snapshot on the wire) gets the metas first, after a pass over the lengths, and a
// file gets them last; the bytes are the same.
//
// Memory: a chunk or two, the items of the leaf that is being filled, and the first keys of pages
// that have no parent yet. Other work runs between chunks and every thousand items, so that a
// server goes on serving while it writes its state.
import assert from 'node:assert'
import path from 'node:path'
import { setImmediate } from 'node:timers/promises'
import type { FileHandle, Files } from '../../platform/files.js'
import { newMeta, PageBuilder } from './builder.js'
import { PageIds, TreeLayout } from './layout.js'
import { type Meta, writeMeta } from './meta.js'
import { bucketHeaderSize, defaultPageSize, type Item } from './page.js'

export type { Item } from './page.js'

/**
 * Items in ascending key order, held in memory. planDatabase() iterates them twice and both times
 * must see the same; the other functions iterate once. Buckets come in ascending order of name.
 */
export interface Bucket {
  readonly name: string
  readonly items: Iterable<Item>
}

/** Items in ascending key order, read from elsewhere in batches. */
export interface BucketStream {
  readonly name: string
  readonly batches: AsyncIterable<Iterable<Item>>
}

export interface WriteOptions {
  /** Default 4096. Other sizes are for tests. */
  pageSizeBytes?: number
  /** Lets other work run; called every millisecond or so. Default: a turn of the event loop. */
  pause?: () => Promise<void>
}

export interface PlannedDatabase {
  readonly sizeBytes: number
  /** The file front to back, in chunks of whole pages; each may be kept. Once only. */
  chunks(): AsyncGenerator<Buffer, void, void>
}

/** Items between two pauses: about a millisecond of work when they are small. */
const itemsPerPause = 1024

/** Computes the layout from lengths alone, so that size and metas are known before any page. */
export async function planDatabase(
  buckets: readonly Bucket[],
  options: WriteOptions = {},
): Promise<PlannedDatabase> {
  const { pageSizeBytes, pause } = withDefaults(options)
  const meta = await plannedMeta(buckets, pageSizeBytes, pause)
  return {
    sizeBytes: meta.highWaterMark * pageSizeBytes,
    async *chunks() {
      yield metaPages(meta)
      const builder = new PageBuilder(pageSizeBytes)
      yield* pageChunks(builder, buckets, pause)
      assert.deepStrictEqual(builder.meta, meta, 'the items changed between the two passes')
    },
  }
}

/** Writes a database into an empty file, metas last. Does not sync. */
export async function writeDatabase(
  handle: FileHandle,
  buckets: readonly (Bucket | BucketStream)[],
  options: WriteOptions = {},
): Promise<{ sizeBytes: number }> {
  const { pageSizeBytes, pause } = withDefaults(options)
  const builder = new PageBuilder(pageSizeBytes)
  let position = 2 * pageSizeBytes
  // One write is under way while the next chunk is being filled.
  let writing: Promise<void> = Promise.resolve()
  try {
    for await (const chunk of pageChunks(builder, buckets, pause)) {
      await writing
      writing = handle.write([chunk], position).then(() => builder.reuse(chunk))
      writing.catch(() => {}) // A failure is seen at the next await, which may be a while.
      position += chunk.length
    }
  } finally {
    await writing
  }
  await handle.write([metaPages(builder.meta)], 0)
  return { sizeBytes: position }
}

/** Writes a database beside `file`, syncs it and renames it into place, lastingly. */
export async function saveDatabase(
  file: string,
  buckets: readonly (Bucket | BucketStream)[],
  options: WriteOptions & { files: Files },
): Promise<{ sizeBytes: number }> {
  const { files } = options
  // etcd removes files of this name when it starts, so nothing is left behind for good.
  const beside = `${file}.tmp.1`
  await files.remove(beside)
  try {
    const written = await createDatabase(beside, buckets, options)
    await files.rename(beside, file)
    await files.syncDir(path.dirname(file))
    return written
  } catch (error) {
    await files.remove(beside)
    throw error
  }
}

/** Writes a database into a file that must not exist, and syncs it. */
export async function createDatabase(
  file: string,
  buckets: readonly (Bucket | BucketStream)[],
  options: WriteOptions & { files: Files },
): Promise<{ sizeBytes: number }> {
  const handle = await options.files.open(file, 'create')
  try {
    const written = await writeDatabase(handle, buckets, options)
    await handle.sync()
    return written
  } finally {
    await handle.close()
  }
}

function withDefaults(options: WriteOptions): Required<WriteOptions> {
  return { pageSizeBytes: defaultPageSize, pause: async () => setImmediate(), ...options }
}

/** The same decisions as PageBuilder takes, from lengths. */
async function plannedMeta(
  buckets: readonly Bucket[],
  pageSizeBytes: number,
  pause: () => Promise<void>,
): Promise<Meta> {
  const ids = new PageIds()
  const root = new TreeLayout(pageSizeBytes, ids, () => {})
  let count = 0
  for (const { name, items } of buckets) {
    const layout = new TreeLayout(pageSizeBytes, ids, () => {})
    for (const { key, value } of items) {
      layout.add(key.length, value.length)
      if (++count % itemsPerPause === 0) await pause()
    }
    const tree = layout.end({ mayInline: true })
    const inlineSizeBytes = 'root' in tree ? 0 : tree.inlineSizeBytes
    root.add(Buffer.byteLength(name), bucketHeaderSize + inlineSizeBytes)
  }
  const tree = root.end({ mayInline: false })
  assert('root' in tree)
  return newMeta(pageSizeBytes, tree.root, ids.next)
}

/** Drives the builder to its end and yields its chunks: the file from page 2 on. */
async function* pageChunks(
  builder: PageBuilder,
  buckets: readonly (Bucket | BucketStream)[],
  pause: () => Promise<void>,
): AsyncGenerator<Buffer, void, void> {
  let count = 0
  for (const bucket of buckets) {
    builder.beginBucket(bucket.name)
    for await (const batch of 'items' in bucket ? [bucket.items] : bucket.batches) {
      for (const item of batch) {
        builder.add(item)
        if (builder.ready.length > 0) yield* builder.ready.splice(0)
        else if (++count % itemsPerPause !== 0) continue
        await pause()
      }
    }
    builder.endBucket()
  }
  builder.end()
  yield* builder.ready.splice(0)
}

function metaPages(meta: Meta): Buffer {
  const pages = Buffer.alloc(2 * meta.pageSizeBytes)
  writeMeta(pages, 0, meta)
  writeMeta(pages.subarray(meta.pageSizeBytes), 1, { ...meta, txid: meta.txid - 1n })
  return pages
}
