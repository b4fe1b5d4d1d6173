// reader.ts: opens a bbolt file of any size, etcd's kind: named buckets, none inside another. It
// never writes, needs no freelist, and takes a trailing digest or room at the end for what it is:
// bytes after the last used page.
import type { FileHandle, Files } from '../../platform/files.js'
import { CorruptionError } from '../errors.js'
import { Leaf } from './leaf.js'
import { type Meta, type MetaReading, metaSize, readMeta } from './meta.js'
import {
  bucketHeaderSize,
  pageFlag,
  pageHeaderSize,
  pageSizeMax,
  pageSizeMin,
  readId,
  readPageHeader,
} from './page.js'
import { PageFile } from './pages.js'
import { PageSet, type WalkOptions, walkLeaves } from './walk.js'

export { Leaf } from './leaf.js'

export interface Database {
  readonly file: string
  readonly pageSizeBytes: number
  /** Used pages × page size: the file may be longer, never shorter. */
  readonly sizeBytes: number
  /** In ascending order. */
  readonly bucketNames: readonly string[]
  /** The bucket's leaves in key order; none when there is no such bucket. */
  leaves(bucket: string): AsyncGenerator<Leaf, void, void>
  /** Walks the bucket: for small buckets only. */
  get(bucket: string, key: Uint8Array): Promise<Buffer | undefined>
  close(): Promise<void>
}

/** A bucket as the root tree lists it. */
export interface BucketEntry {
  readonly name: Buffer
  /** Header, and the leaf when the bucket is inline. */
  readonly value: Buffer
  /** Of the value, in the file. */
  readonly offset: number
}

/** etcd has ten. More than this is no database of etcd, and would have to be kept in memory. */
const bucketsMax = 1024

/** Opens a database for reading. Throws CorruptionError for what is not a usable database. */
export async function openDatabase(file: string, options: { files: Files }): Promise<Database> {
  const handle = await options.files.open(file, 'read')
  try {
    const pages = new PageFile(file, handle, await liveMeta(file, handle), {
      reusesMemory: false,
    })
    const reached = new PageSet(pages.meta.highWaterMark)
    const buckets = await listBuckets(pages, { reached })
    return newDatabase(pages, buckets, () => handle.close())
  } catch (error) {
    await handle.close()
    throw error
  }
}

function newDatabase(
  pages: PageFile,
  buckets: readonly BucketEntry[],
  close: () => Promise<void>,
): Database {
  const { pageSizeBytes, highWaterMark } = pages.meta
  const byName = new Map(buckets.map((bucket) => [bucket.name.toString(), bucket]))
  async function* leaves(name: string): AsyncGenerator<Leaf, void, void> {
    const bucket = byName.get(name)
    if (bucket === undefined) return
    const walk = { reached: new PageSet(highWaterMark) }
    for await (const group of bucketLeaves(pages, bucket, walk)) yield* group
  }
  return {
    file: pages.file,
    pageSizeBytes,
    sizeBytes: highWaterMark * pageSizeBytes,
    bucketNames: [...byName.keys()],
    leaves,
    async get(name, key) {
      for await (const leaf of leaves(name)) {
        for (let at = 0; at < leaf.count; at++) {
          if (Buffer.compare(leaf.key(at), key) === 0) return leaf.value(at)
        }
      }
      return undefined
    },
    close,
  }
}

/** How the walks over one file go; see WalkOptions. */
export type FileWalk = Omit<WalkOptions, 'holdsBuckets'>

/** The buckets that the root tree lists. */
export async function listBuckets(pages: PageFile, walk: FileWalk): Promise<BucketEntry[]> {
  const root = { id: pages.meta.root, namedAt: 32 }
  const buckets: BucketEntry[] = []
  for await (const leaves of walkLeaves(pages, root, { ...walk, holdsBuckets: true })) {
    for (const leaf of leaves) {
      for (let at = 0; at < leaf.count; at++) {
        const name = leaf.key(at)
        buckets.push({ name, value: leaf.value(at), offset: leaf.offset(at) + name.length })
      }
      if (buckets.length > bucketsMax) {
        throw pages.fail(leaf.offset(0), `at most ${bucketsMax} buckets`, 'more')
      }
    }
  }
  return buckets
}

/** The leaves of one bucket, which may be a tree or stand in its own value, some at a time. */
export async function* bucketLeaves(
  pages: PageFile,
  { value, offset }: BucketEntry,
  walk: FileWalk,
): AsyncGenerator<readonly Leaf[], void, void> {
  if (value.length < bucketHeaderSize) {
    throw pages.fail(offset, `a bucket of at least ${bucketHeaderSize} bytes`, `${value.length}`)
  }
  const root = readId(value, 0)
  if (root === 0) {
    yield [inlineLeaf(pages, value.subarray(bucketHeaderSize), offset + bucketHeaderSize)]
  } else {
    yield* walkLeaves(pages, { id: root, namedAt: offset }, { ...walk, holdsBuckets: false })
  }
}

function inlineLeaf(pages: PageFile, data: Buffer, offset: number): Leaf {
  if (data.length < pageHeaderSize) {
    throw pages.fail(offset, `an inline page of at least ${pageHeaderSize} bytes`, `${data.length}`)
  }
  const { id, flags, count, overflow } = readPageHeader(data)
  if (id !== 0 || flags !== pageFlag.leaf || overflow !== 0) {
    const found = `page ${id} with flags ${flags} and ${overflow} overflow pages`
    throw pages.fail(offset, 'an inline leaf with id 0', found)
  }
  return new Leaf({ data, count, offset, holdsBuckets: false }, pages.fail)
}

/** The meta that counts, checked against the length of the file. */
export async function liveMeta(file: string, handle: FileHandle): Promise<Meta> {
  const size = await handle.size()
  const first = await metaAt(handle, 0)
  const second =
    'meta' in first
      ? await secondMetaAt(handle, first.meta.pageSizeBytes)
      : await findSecondMeta(handle, size)
  const live = newer(first, second)
  if (!('meta' in live)) throw new CorruptionError('database', { file, ...live })
  const { pageSizeBytes, root, highWaterMark } = live.meta
  const fail = (offset: number, expected: string, found: string) => {
    const metaOffset = live === first ? 0 : pageSizeBytes
    return new CorruptionError('database', { file, offset: metaOffset + offset, expected, found })
  }
  if (highWaterMark < 3) throw fail(56, 'at least 3 pages', `${highWaterMark}`)
  if (highWaterMark * pageSizeBytes > size) {
    const found = `${highWaterMark} pages of ${pageSizeBytes} bytes`
    throw fail(56, `no more than the ${size} bytes of the file`, found)
  }
  if (root < 2 || root >= highWaterMark) {
    throw fail(32, `a root page from 2 to ${highWaterMark - 1}`, `page ${root}`)
  }
  return live.meta
}

/** What is wrong with the two meta pages, also when one alone would do. */
export async function metaDamage(file: string, handle: FileHandle): Promise<CorruptionError[]> {
  const first = await metaAt(handle, 0)
  const second =
    'meta' in first
      ? await secondMetaAt(handle, first.meta.pageSizeBytes)
      : await findSecondMeta(handle, await handle.size())
  const secondOffset = 'meta' in first ? first.meta.pageSizeBytes : 0
  const damage: CorruptionError[] = []
  for (const [reading, pageOffset] of [[first, 0] as const, [second, secondOffset] as const]) {
    if ('meta' in reading) continue
    const offset = pageOffset + reading.offset
    damage.push(new CorruptionError('database', { file, ...reading, offset }))
  }
  return damage
}

function newer(first: MetaReading, second: MetaReading): MetaReading {
  if (!('meta' in second)) return first
  if (!('meta' in first)) return second
  return second.meta.txid > first.meta.txid ? second : first
}

async function metaAt(handle: FileHandle, offset: number): Promise<MetaReading> {
  const page = Buffer.alloc(metaSize)
  const size = await handle.read(page, offset)
  if (size === metaSize) return readMeta(page)
  return { offset: size, expected: 'a bbolt database', found: 'the end of the file' }
}

/** The second meta page tells the page size by where it stands, too. */
async function secondMetaAt(handle: FileHandle, offset: number): Promise<MetaReading> {
  const reading = await metaAt(handle, offset)
  if (!('meta' in reading) || reading.meta.pageSizeBytes === offset) return reading
  return { offset: 24, expected: `${offset}`, found: `page size ${reading.meta.pageSizeBytes}` }
}

/** When the first meta is damaged, the page size is unknown: each possible one is tried. */
async function findSecondMeta(handle: FileHandle, size: number): Promise<MetaReading> {
  for (let offset = pageSizeMin; offset <= pageSizeMax && offset < size; offset *= 2) {
    const reading = await secondMetaAt(handle, offset)
    if ('meta' in reading) return reading
  }
  return { offset: 0, expected: 'a meta page', found: 'none' }
}
