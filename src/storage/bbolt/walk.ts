// walk.ts: visits the leaves of one tree from left to right, checking everything a careful reader
// can: page headers, record bounds, key order within a page and against the parent, and that no
// page is reached twice, which also ends cycles. Memory: two rounds of pages per level.
//
// Leaves come in groups, those of one round: a file has hundreds of thousands, and to hand on each
// through promises of its own takes longer than to check it.
import { CorruptionError } from '../errors.js'
import { Leaf } from './leaf.js'
import { pageFlag, pageHeaderSize, readId, recordSize } from './page.js'
import { type Block, FetchedPages, type PageFile, roundSizeBytes } from './pages.js'

/** Deeper trees are refused: bbolt would need more pages for one than a file can have. */
const depthMax = 64

/** A group ends with the leaf that makes it this large: values of megabytes come one by one. */
const groupSizeMax = 1024 * 1024

/** Pages that were reached, so that none is reached twice. */
export class PageSet {
  readonly #bits: Uint8Array

  constructor(pageCount: number) {
    this.#bits = new Uint8Array(Math.ceil(pageCount / 8))
  }

  has(id: number): boolean {
    return ((this.#bits[id >>> 3] ?? 0) & (1 << (id & 7))) !== 0
  }

  add(id: number): void {
    this.#bits[id >>> 3] = (this.#bits[id >>> 3] ?? 0) | (1 << (id & 7))
  }
}

export interface WalkOptions {
  /** Shared by the walks of one file, to find pages that two trees claim. */
  reached: PageSet
  holdsBuckets: boolean
  /**
   * Also refuses what can be read but kills etcd later: a branch with one child, and a branch key
   * that is not the first key of its child.
   */
  isStrict?: boolean
  /** Told of damage; the walk then goes on after the damaged page. Absent: the walk throws. */
  onDamage?: ((error: CorruptionError) => void) | undefined
}

/** A key where it stands. A view of each would cost more than all that is done with it. */
interface Key {
  readonly bytes: Buffer
  readonly start: number
  readonly end: number
}

/** A page still to visit. Its keys are at least `from` and below `before`. */
interface Pending {
  readonly id: number
  readonly from: Key | undefined
  readonly before: Key | undefined
}

/** The children of one branch, and how far the walk has come. */
interface Level {
  readonly children: readonly Pending[]
  next: number
  fetched: FetchedPages
  /** Children before this one are fetched, or have been. */
  fetchedEnd: number
  /** The round after this one, being read while this one is looked at. */
  upcoming: Promise<FetchedPages> | undefined
}

/**
 * `namedAt` is where the file says that `id` is the root. Each group is good until the next one is
 * asked for. What the walk throws comes after the leaves before the damage.
 */
export async function* walkLeaves(
  pages: PageFile,
  root: { id: number; namedAt: number },
  options: WalkOptions,
): AsyncGenerator<readonly Leaf[], void, void> {
  const levels: Level[] = []
  try {
    checkId(pages, root.id, root.namedAt)
    levels.push(newLevel([{ id: root.id, from: undefined, before: undefined }]))
  } catch (error) {
    if (!isReported(error, options)) throw error
  }
  try {
    for (let level = levels.at(-1); level !== undefined; level = levels.at(-1)) {
      if (level.next === level.children.length) {
        pages.release(level.fetched)
        levels.pop()
        continue
      }
      const group: Leaf[] = []
      const failure = await visitSome(pages, levels, group, options)
      if (group.length > 0) yield group
      if (failure !== undefined) throw failure.error
    }
  } finally {
    // The caller may close the file next.
    await Promise.allSettled(levels.map(({ upcoming }) => upcoming))
  }
}

function newLevel(children: readonly Pending[]): Level {
  const fetched = new FetchedPages([])
  return { children, next: 0, fetched, fetchedEnd: 0, upcoming: undefined }
}

/** False for what is no damage, or when nobody wants to be told: then it is to be thrown. */
function isReported(error: unknown, { onDamage }: WalkOptions): boolean {
  if (!(error instanceof CorruptionError) || onDamage === undefined) return false
  onDamage(error)
  return true
}

/**
 * Visits children of the lowest level until a group is full, the round is over, or a branch is the
 * new lowest level. Returns what is to be thrown once the group was handed on.
 */
async function visitSome(
  pages: PageFile,
  levels: Level[],
  group: Leaf[],
  options: WalkOptions,
): Promise<{ error: unknown } | undefined> {
  const level = levels.at(-1)
  let sizeBytes = 0
  while (level !== undefined && level === levels.at(-1) && sizeBytes < groupSizeMax) {
    const child = level.children[level.next]
    if (child === undefined || (level.next >= level.fetchedEnd && group.length > 0)) break
    level.next++
    try {
      if (level.next > level.fetchedEnd) await fetchRound(pages, level)
      const block =
        pages.fetchedBlock(child.id, level.fetched) ?? (await pages.block(child.id, level.fetched))
      claim(pages, block, options.reached)
      const visited = visit(pages, block, child, options)
      if (levels.length >= depthMax) {
        throw pages.fail(pages.offsetOf(child.id), `at most ${depthMax} levels`, 'more')
      }
      if (visited instanceof Leaf) {
        group.push(visited)
        sizeBytes += block.data.length
      } else {
        levels.push(newLevel(visited))
      }
    } catch (error) {
      if (!isReported(error, options)) return { error }
    }
  }
  return undefined
}

function visit(
  pages: PageFile,
  block: Block,
  child: Pending,
  options: WalkOptions,
): Leaf | Pending[] {
  const { flags } = block.header
  if (flags === pageFlag.leaf) return leafOf(pages, block, child, options)
  if (flags === pageFlag.branch) return childrenOf(pages, block, child, options)
  throw pages.fail(block.offset + 8, 'a branch or a leaf', `page flags ${flags}`)
}

async function fetchRound(pages: PageFile, level: Level): Promise<void> {
  pages.release(level.fetched)
  level.fetched = new FetchedPages([])
  const size = Math.max(1, Math.floor(roundSizeBytes / pages.meta.pageSizeBytes))
  const begin = (from: number): Promise<FetchedPages> =>
    pages.fetch(level.children.slice(from, from + size).map(({ id }) => id))
  const from = level.next - 1
  const round = level.upcoming ?? begin(from)
  level.upcoming = undefined
  level.fetched = await round
  level.fetchedEnd = from + size
  if (level.fetchedEnd >= level.children.length) return
  level.upcoming = begin(level.fetchedEnd)
  level.upcoming.catch(() => {}) // Seen when the round is due.
}

function claim(pages: PageFile, { header, offset }: Block, reached: PageSet): void {
  for (let id = header.id; id <= header.id + header.overflow; id++) {
    if (reached.has(id)) throw pages.fail(offset, `page ${id} in one place`, 'a second use of it')
    reached.add(id)
  }
}

function leafOf(pages: PageFile, block: Block, child: Pending, options: WalkOptions): Leaf {
  const { header, data, offset } = block
  const { holdsBuckets } = options
  const leaf = new Leaf({ data, count: header.count, offset, holdsBuckets }, pages.fail)
  // Only a tree that is one leaf may be empty.
  if (leaf.count === 0 && child.from !== undefined) {
    throw pages.fail(offset + 10, 'at least one element', 'none')
  }
  if (leaf.count > 0) {
    const last = leaf.count - 1
    checkFirst(pages, leaf.offset(0), keyOf(leaf, 0), child, options)
    checkLast(pages, leaf.offset(last), keyOf(leaf, last), child)
  }
  return leaf
}

const keyOf = (leaf: Leaf, at: number): Key => ({
  bytes: leaf.bytes,
  start: leaf.keyStart(at),
  end: leaf.valueStart(at),
})

function childrenOf(
  pages: PageFile,
  { header, data, offset }: Block,
  parent: Pending,
  options: WalkOptions,
): Pending[] {
  const recordsEnd = pageHeaderSize + recordSize * header.count
  if (header.count === 0 || recordsEnd > data.length) {
    throw pages.fail(
      offset + 10,
      `1 to ${data.length / recordSize - 1} elements`,
      `${header.count}`,
    )
  }
  if (header.count === 1 && options.isStrict) {
    throw pages.fail(offset + 10, 'at least 2 children', '1 child')
  }
  const children: { key: Key; id: number }[] = []
  for (let record = pageHeaderSize; record < recordsEnd; record += recordSize) {
    const start = record + data.readUInt32LE(record)
    const end = start + data.readUInt32LE(record + 4)
    if (start < recordsEnd || end > data.length || start === end) {
      const expected = `a key between ${recordsEnd} and ${data.length} in the page`
      throw pages.fail(offset + record, expected, `${end - start} bytes from ${start} to ${end}`)
    }
    const key: Key = { bytes: data, start, end }
    const before = children.at(-1)
    if (before !== undefined && order(before.key, key) >= 0) {
      throw pages.fail(offset + start, 'a key above the one before', 'a lower or equal key')
    }
    if (before === undefined) checkFirst(pages, offset + start, key, parent, options)
    else checkLast(pages, offset + start, key, parent)
    const id = readId(data, record + 8)
    checkId(pages, id, offset + record + 8)
    children.push({ key, id })
  }
  return children.map(({ key, id }, at) => ({
    id,
    from: key,
    before: children[at + 1]?.key ?? parent.before,
  }))
}

function checkId(pages: PageFile, id: number, namedAt: number): void {
  const { highWaterMark } = pages.meta
  if (id >= 2 && id < highWaterMark) return
  throw pages.fail(namedAt, `a page from 2 to ${highWaterMark - 1}`, `page ${id}`)
}

function checkFirst(
  pages: PageFile,
  offset: number,
  key: Key,
  { from }: Pending,
  { isStrict }: WalkOptions,
): void {
  if (from === undefined) return
  const difference = order(key, from)
  if (difference < 0) throw pages.fail(offset, "a key not below the parent's", 'a lower key')
  if (difference > 0 && isStrict)
    throw pages.fail(offset, 'the key that the parent names', 'another')
}

function checkLast(pages: PageFile, offset: number, key: Key, { before }: Pending): void {
  if (before === undefined || order(key, before) < 0) return
  throw pages.fail(offset, "a key below the parent's next", 'a higher or equal key')
}

/** Below zero: `one` comes first; zero: they are equal. */
function order(one: Key, other: Key): number {
  const common = Math.min(one.end - one.start, other.end - other.start)
  for (let at = 0; at < common; at++) {
    const difference = (one.bytes[one.start + at] ?? 0) - (other.bytes[other.start + at] ?? 0)
    if (difference !== 0) return difference
  }
  return one.end - one.start - (other.end - other.start)
}
