// check.ts: the whole-file consistency check: every page once, in its place, in order, and each
// page either in use or free. What it finds it lists, and goes on behind the damage. A caller that
// wants the contents too is shown every sound leaf on the way, so that one pass does for both.
import type { FileHandle, Files } from '../../platform/files.js'
import { CorruptionError } from '../errors.js'
import type { Leaf } from './leaf.js'
import { pageFlag, pageHeaderSize, readId } from './page.js'
import { PageFile } from './pages.js'
import { bucketLeaves, listBuckets, liveMeta } from './reader.js'
import { PageSet } from './walk.js'

export interface DatabaseCheck {
  readonly pageSizeBytes: number
  /** Used pages × page size. */
  readonly sizeBytes: number
  /** The first ones; a file of garbage would have millions. */
  readonly findings: readonly CorruptionError[]
  /** All of them. */
  readonly findingCount: number
}

export interface CheckOptions {
  files: Files
  /** Told of each bucket, in order, before its leaves. */
  onBucket?: (name: Buffer) => void
  /** Shown each sound leaf of the bucket last told of, good only until this returns. */
  onLeaf?: (leaf: Leaf) => void
}

const findingsMax = 100

/** Throws CorruptionError only when no meta page can be used; other damage is in the findings. */
export async function checkDatabase(file: string, options: CheckOptions): Promise<DatabaseCheck> {
  const handle = await options.files.open(file, 'read')
  try {
    return await check(file, handle, options)
  } finally {
    await handle.close()
  }
}

async function check(
  file: string,
  handle: FileHandle,
  { onBucket, onLeaf }: CheckOptions,
): Promise<DatabaseCheck> {
  const meta = await liveMeta(file, handle)
  // The buckets' own entries are kept while their trees are read, the leaves of those are not.
  const pages = new PageFile(file, handle, meta, { reusesMemory: false })
  const passing = new PageFile(file, handle, meta, { reusesMemory: true })
  const findings: CorruptionError[] = []
  let findingCount = 0
  const onDamage = (error: CorruptionError): void => {
    if (++findingCount <= findingsMax) findings.push(error)
  }
  const walk = { reached: new PageSet(meta.highWaterMark), isStrict: true, onDamage }
  const buckets = await listBuckets(pages, walk)
  for (const bucket of buckets) {
    onBucket?.(bucket.name)
    await reporting(onDamage, async () => {
      for await (const leaves of bucketLeaves(passing, bucket, walk)) {
        for (const leaf of leaves) onLeaf?.(leaf)
      }
    })
  }
  // Behind damaged pages whole subtrees are unknown, and all would seem to be lost pages.
  if (findingCount === 0 && meta.freelist !== undefined) {
    const freelist = meta.freelist
    await reporting(onDamage, () => checkFreelist(pages, freelist, walk.reached, onDamage))
  }
  const { pageSizeBytes, highWaterMark } = meta
  return { pageSizeBytes, sizeBytes: highWaterMark * pageSizeBytes, findings, findingCount }
}

async function reporting(
  onDamage: (error: CorruptionError) => void,
  work: () => Promise<void>,
): Promise<void> {
  try {
    await work()
  } catch (error) {
    if (!(error instanceof CorruptionError)) throw error
    onDamage(error)
  }
}

/** With a freelist on disk, each page must be reached or listed, and not both. */
async function checkFreelist(
  pages: PageFile,
  id: number,
  reached: PageSet,
  onDamage: (error: CorruptionError) => void,
): Promise<void> {
  const { highWaterMark } = pages.meta
  if (id < 2 || id >= highWaterMark) {
    throw pages.fail(48, `a freelist page from 2 to ${highWaterMark - 1}`, `page ${id}`)
  }
  const block = await pages.block(id, await pages.fetch([id]))
  const { header, data, offset } = block
  if (header.flags !== pageFlag.freelist) {
    throw pages.fail(offset + 8, 'a freelist page', `page flags ${header.flags}`)
  }
  for (let at = 0; at <= header.overflow; at++) claim(id + at, offset)
  for (const { id: free, at } of freeIds(pages, data, offset, header.count)) claim(free, at)
  for (let page = 2; page < highWaterMark; page++) {
    if (reached.has(page)) continue
    onDamage(pages.fail(pages.offsetOf(page), 'a page in use or free', `neither: page ${page}`))
  }

  function claim(page: number, at: number): void {
    if (page < 2 || page >= highWaterMark) {
      onDamage(pages.fail(at, `a free page from 2 to ${highWaterMark - 1}`, `page ${page}`))
    } else if (reached.has(page)) {
      onDamage(pages.fail(at, `page ${page} to be free`, 'it is used or listed already'))
    } else {
      reached.add(page)
    }
  }
}

/** From 0xffff ids on, the count does not fit its field and stands before the ids. */
function* freeIds(
  pages: PageFile,
  data: Buffer,
  offset: number,
  shortCount: number,
): Generator<{ id: number; at: number }> {
  const isLong = shortCount === 0xffff
  const start = isLong ? pageHeaderSize + 8 : pageHeaderSize
  const count = isLong ? readId(data, pageHeaderSize) : shortCount
  const room = Math.floor((data.length - start) / 8)
  if (count > room) throw pages.fail(offset + 10, `at most ${room} free pages`, `${count}`)
  for (let at = start; at < start + 8 * count; at += 8) {
    yield { id: readId(data, at), at: offset + at }
  }
}
