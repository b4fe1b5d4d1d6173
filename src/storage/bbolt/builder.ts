// builder.ts: turns buckets and their items into pages, synchronously. Finished pages gather in
// `ready`, in file order from page 2 on; whoever drives the builder takes them from there.
import assert from 'node:assert'
import { PageIds, type PlannedPage, type PlannedTree, TreeLayout } from './layout.js'
import { isPageSize, type Meta } from './meta.js'
import {
  bucketFlag,
  bucketHeaderSize,
  type Child,
  type Item,
  keySizeMax,
  pageFlag,
  valueSizeMax,
  writeBranchChildren,
  writeId,
  writeLeafItems,
  writePageHeader,
} from './page.js'

/** Large enough that a write is worth its call, small enough to fill in well under 10 ms. */
const chunkSizeBytes = 256 * 1024

export class PageBuilder {
  readonly #pageSizeBytes: number
  readonly #ids = new PageIds()
  readonly #chunks: Chunks
  readonly #root: TreeBuilder
  #bucket: { name: Buffer; tree: TreeBuilder } | undefined
  #meta: Meta | undefined

  constructor(pageSizeBytes: number) {
    assert(isPageSize(pageSizeBytes), `page size ${pageSizeBytes}`)
    this.#pageSizeBytes = pageSizeBytes
    this.#chunks = new Chunks(pageSizeBytes)
    this.#root = this.#tree(bucketFlag)
  }

  /** Chunks of whole pages that are finished; to be taken out by the caller. */
  get ready(): Buffer[] {
    return this.#chunks.ready
  }

  /** Takes back memory of a chunk that nobody looks at any more. */
  reuse(chunk: Buffer): void {
    this.#chunks.reuse(chunk)
  }

  /** Known once end() was called. */
  get meta(): Meta {
    assert(this.#meta !== undefined, 'end() comes first')
    return this.#meta
  }

  /** Begins the next bucket; names must rise. */
  beginBucket(name: string): void {
    assert(this.#bucket === undefined, 'endBucket() comes first')
    this.#bucket = { name: Buffer.from(name), tree: this.#tree(0) }
  }

  add(item: Item): void {
    assert(this.#bucket !== undefined, 'beginBucket() comes first')
    this.#bucket.tree.add(item)
  }

  endBucket(): void {
    assert(this.#bucket !== undefined, 'beginBucket() comes first')
    const { name, tree } = this.#bucket
    this.#root.add({ key: name, value: tree.endAsBucketValue() })
    this.#bucket = undefined
  }

  /** Writes the root bucket and completes the last chunk. */
  end(): void {
    assert(this.#bucket === undefined, 'endBucket() comes first')
    this.#meta = newMeta(this.#pageSizeBytes, this.#root.endAsRoot(), this.#ids.next)
    this.#chunks.flush()
  }

  #tree(flags: number): TreeBuilder {
    return new TreeBuilder(this.#pageSizeBytes, this.#ids, this.#chunks, flags)
  }
}

/** The meta of a file that was written in one go: no freelist, because no page is free. */
export function newMeta(pageSizeBytes: number, root: number, highWaterMark: number): Meta {
  return { pageSizeBytes, root, freelist: undefined, highWaterMark, txid: 2n }
}

class TreeBuilder {
  readonly #chunks: Chunks
  readonly #layout: TreeLayout
  readonly #flags: number
  /** Items that have no page yet. */
  #items: Item[] = []
  /** For each level, its pages that have no parent yet. */
  readonly #pages: Child[][] = []
  #lastKey: Uint8Array = Buffer.alloc(0)

  constructor(pageSizeBytes: number, ids: PageIds, chunks: Chunks, flags: number) {
    this.#chunks = chunks
    this.#flags = flags
    this.#layout = new TreeLayout(pageSizeBytes, ids, (page) => this.#write(page))
  }

  add(item: Item): void {
    const { key, value } = item
    assert(key.length > 0 && key.length <= keySizeMax, `key of ${key.length} bytes`)
    assert(value.length <= valueSizeMax, `value of ${value.length} bytes`)
    assert(Buffer.compare(this.#lastKey, key) < 0, 'keys must rise')
    this.#layout.add(key.length, value.length)
    this.#items.push(item)
    this.#lastKey = key
  }

  endAsRoot(): number {
    const tree = this.#layout.end({ mayInline: false })
    assert('root' in tree)
    return tree.root
  }

  endAsBucketValue(): Buffer {
    const tree = this.#layout.end({ mayInline: true })
    return 'root' in tree ? bucketHeader(tree.root) : this.#inlineBucket(tree)
  }

  #inlineBucket({ inlineSizeBytes }: PlannedTree & { inlineSizeBytes: number }): Buffer {
    const value = Buffer.alloc(bucketHeaderSize + inlineSizeBytes)
    const page = value.subarray(bucketHeaderSize)
    writePageHeader(page, {
      id: 0,
      flags: pageFlag.leaf,
      count: this.#items.length,
      overflow: 0,
    })
    writeLeafItems(page, this.#items, this.#flags)
    return value
  }

  #write({ level, id, pages, count }: PlannedPage): void {
    const page = this.#chunks.block(pages)
    const flags = level === 0 ? pageFlag.leaf : pageFlag.branch
    writePageHeader(page, { id, flags, count, overflow: pages - 1 })
    const firstKey =
      level === 0 ? this.#writeLeaf(page, count) : this.#writeBranch(page, level, count)
    // A copy: the key may be a view of a large piece of memory that should not be held for it.
    this.#pagesAt(level).push({ key: Buffer.from(firstKey), id })
  }

  #writeLeaf(page: Buffer, count: number): Uint8Array {
    const items = this.#items
    assert(items.length === count, `leaf of ${items.length} items, planned ${count}`)
    writeLeafItems(page, items, this.#flags)
    this.#items = []
    return items[0]?.key ?? Buffer.alloc(0)
  }

  #writeBranch(page: Buffer, level: number, count: number): Uint8Array {
    const children = this.#pagesAt(level - 1).splice(0, count)
    assert(children.length === count && count >= 2, `branch of ${children.length}`)
    writeBranchChildren(page, children)
    return children[0]?.key ?? Buffer.alloc(0)
  }

  #pagesAt(level: number): Child[] {
    for (let at = this.#pages.length; at <= level; at++) this.#pages.push([])
    return this.#pages[level] ?? []
  }
}

function bucketHeader(root: number): Buffer {
  const value = Buffer.alloc(bucketHeaderSize)
  writeId(value, root, 0)
  return value
}

/** Memory for pages, handed out in file order, with whatever was in it before. */
class Chunks {
  readonly ready: Buffer[] = []
  readonly #pageSizeBytes: number
  #chunk: Buffer = Buffer.alloc(0)
  #used = 0
  readonly #spare: Buffer[] = []

  constructor(pageSizeBytes: number) {
    this.#pageSizeBytes = pageSizeBytes
  }

  reuse(chunk: Buffer): void {
    // A chunk that was cut short or is for one large block is not worth keeping.
    if (chunk.length === chunkSizeBytes) this.#spare.push(chunk)
  }

  block(pages: number): Buffer {
    const size = pages * this.#pageSizeBytes
    if (this.#used + size > this.#chunk.length) {
      this.flush()
      this.#chunk = this.#fresh(Math.max(size, chunkSizeBytes))
    }
    this.#used += size
    return this.#chunk.subarray(this.#used - size, this.#used)
  }

  flush(): void {
    if (this.#used > 0) this.ready.push(this.#chunk.subarray(0, this.#used))
    this.#chunk = Buffer.alloc(0)
    this.#used = 0
  }

  #fresh(size: number): Buffer {
    const spare = size === chunkSizeBytes ? this.#spare.pop() : undefined
    return spare ?? Buffer.allocUnsafeSlow(size)
  }
}
