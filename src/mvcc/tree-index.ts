// tree-index.ts: all keys, twice: in byte order as a B+tree, for intervals, and hashed, for the
// reads and writes of one key, which are most of them and take a quarter of the tree's time.
//
// Each node of the tree counts the live keys below it, so that the number of keys in an interval at
// the newest revision takes two descents instead of a walk: every range answer carries that count,
// also one that is limited to one key.
//
//                      [ "", "g", "q" ]        children start at these keys; the first one is
//                     /       |        \       open to the left, whatever its key says
//          [a b c d e]   [g h k m]   [q s z]
//
// Intervals are [start, end) over latin1 strings; openEnd is above every key.
import type { KeyIndex } from './key-index.js'

/** Greater than any latin1 string: its one character is above 0xff. */
export const openEnd = '\uffff'

/** Entries of a leaf, children of an inner node. 64 strings compare in the time of a cache miss. */
const nodeMax = 64

interface Leaf {
  readonly children: undefined
  readonly keys: string[]
  readonly entries: KeyIndex[]
  live: number
}

interface Inner {
  readonly children: Node[]
  readonly keys: string[]
  readonly entries: undefined
  live: number
}

type Node = Leaf | Inner

/** Maps that share the keys, so that none grows so large that its rehash is a pause. */
const hashShards = 64

/** What a split leaves to the right of the node that was too full, and where that part begins. */
interface Split {
  readonly key: string
  readonly right: Node
}

export class TreeIndex {
  private root: Node = { children: undefined, keys: [], entries: [], live: 0 }
  private keyCount = 0
  private readonly shards = Array.from({ length: hashShards }, () => new Map<string, KeyIndex>())

  /** Keys with any record, deleted ones included. */
  get size(): number {
    return this.keyCount
  }

  get live(): number {
    return this.root.live
  }

  get(key: string): KeyIndex | undefined {
    return this.shard(key).get(key)
  }

  /** The key must be absent; it counts as live when `isLive` says so. */
  insert(index: KeyIndex): void {
    this.shard(index.key).set(index.key, index)
    const split = insertInto(this.root, index)
    this.keyCount++
    if (split === undefined) return
    const { root } = this
    const live = root.live + split.right.live
    this.root = { children: [root, split.right], keys: ['', split.key], entries: undefined, live }
  }

  /** Tells that a key which is in the tree came to life (1) or was deleted (-1). */
  adjustLive(key: string, change: 1 | -1): void {
    let node = this.root
    for (;;) {
      node.live += change
      if (node.children === undefined) return
      node = node.children[childIndex(node.keys, key)] as Node
    }
  }

  /** Takes out a key that is in the tree and not live. */
  remove(key: string): void {
    this.shard(key).delete(key)
    removeFrom(this.root, key)
    this.keyCount--
    while (this.root.children?.length === 1) this.root = this.root.children[0] as Node
    if (this.root.children?.length === 0) {
      this.root = { children: undefined, keys: [], entries: [], live: 0 }
    }
  }

  /** Live keys in [start, end) at the newest revision. */
  liveIn(start: string, end: string): number {
    return Math.max(0, liveBefore(this.root, end) - liveBefore(this.root, start))
  }

  /** Visits the keys in [start, end) in order until `visit` answers false. */
  walk(start: string, end: string, visit: (index: KeyIndex) => boolean): void {
    if (start < end) walkNode(this.root, { start, end, visit })
  }

  /** By the last two characters: neighbors differ there. */
  private shard(key: string): Map<string, KeyIndex> {
    const { length } = key
    const mixed = length < 2 ? length : key.charCodeAt(length - 1) + 31 * key.charCodeAt(length - 2)
    return this.shards[mixed % hashShards] as Map<string, KeyIndex> // below hashShards
  }

  walkAll(visit: (index: KeyIndex) => void): void {
    this.walk('', openEnd, (index) => {
      visit(index)
      return true
    })
  }
}

/** Index of the first key that is not below `key`. */
function lowerBound(keys: readonly string[], key: string): number {
  let low = 0
  let high = keys.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if ((keys[middle] as string) < key)
      low = middle + 1 // middle < high <= length
    else high = middle
  }
  return low
}

/** Which child holds `key`: the last one that starts at or before it, or the first. */
function childIndex(keys: readonly string[], key: string): number {
  let low = 1
  let high = keys.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if ((keys[middle] as string) <= key) low = middle + 1
    else high = middle
  }
  return low - 1
}

function insertInto(node: Node, index: KeyIndex): Split | undefined {
  if (index.isLive) node.live++
  if (node.children === undefined) {
    const at = lowerBound(node.keys, index.key)
    insertAt(node.keys, at, index.key)
    insertAt(node.entries, at, index)
    return node.keys.length > nodeMax ? splitLeaf(node, at) : undefined
  }
  const at = childIndex(node.keys, index.key)
  const split = insertInto(node.children[at] as Node, index)
  if (split === undefined) return undefined
  insertAt(node.keys, at + 1, split.key)
  insertAt(node.children, at + 1, split.right)
  return node.keys.length > nodeMax ? splitInner(node, at + 1) : undefined
}

/** What splice() does, without the list of removed items that it makes. */
function insertAt<T>(list: T[], at: number, item: T): void {
  list.push(item)
  for (let i = list.length - 1; i > at; i--) list[i] = list[i - 1] as T // i > 0
  list[at] = item
}

/** Keys that come in order fill their leaf: after an insert at the end only that one moves on. */
const splitPoint = (size: number, insertedAt: number): number =>
  insertedAt === size - 1 ? size - 1 : size >>> 1

function splitLeaf(node: Leaf, insertedAt: number): Split {
  const from = splitPoint(node.keys.length, insertedAt)
  const entries = node.entries.splice(from)
  const keys = node.keys.splice(from)
  const live = entries.reduce((count, entry) => count + (entry.isLive ? 1 : 0), 0)
  node.live -= live
  return { key: keys[0] as string, right: { children: undefined, keys, entries, live } }
}

function splitInner(node: Inner, insertedAt: number): Split {
  const from = splitPoint(node.keys.length, insertedAt)
  const children = node.children.splice(from)
  const keys = node.keys.splice(from)
  const live = children.reduce((count, child) => count + child.live, 0)
  node.live -= live
  return { key: keys[0] as string, right: { children, keys, entries: undefined, live } }
}

function removeFrom(node: Node, key: string): void {
  if (node.children === undefined) {
    const at = lowerBound(node.keys, key)
    node.keys.splice(at, 1)
    node.entries.splice(at, 1)
    return
  }
  const at = childIndex(node.keys, key)
  const child = node.children[at] as Node
  removeFrom(child, key)
  if (child.keys.length === 0) dropChild(node, at)
  else if (child.keys.length < nodeMax / 4) joinWithNeighbor(node, at)
}

function dropChild(node: Inner, at: number): void {
  node.keys.splice(at, 1)
  node.children.splice(at, 1)
}

/** Keeps half-empty nodes from piling up; skipped when both would not fit comfortably into one. */
function joinWithNeighbor(node: Inner, at: number): void {
  const leftAt = at > 0 ? at - 1 : at
  const left = node.children[leftAt]
  const right = node.children[leftAt + 1]
  if (left === undefined || right === undefined) return
  if (left.keys.length + right.keys.length > nodeMax / 2) return
  if (left.children === undefined) {
    left.keys.push(...right.keys)
    left.entries.push(...(right.entries ?? []))
  } else {
    // The first key of an inner node is never compared; in the middle of one it has to be real.
    left.keys.push(node.keys[leftAt + 1] as string, ...right.keys.slice(1))
    left.children.push(...(right.children ?? []))
  }
  left.live += right.live
  dropChild(node, leftAt + 1)
}

function liveBefore(root: Node, key: string): number {
  let node = root
  let live = 0
  while (node.children !== undefined) {
    const at = childIndex(node.keys, key)
    for (let i = 0; i < at; i++) live += (node.children[i] as Node).live
    node = node.children[at] as Node
  }
  const end = lowerBound(node.keys, key)
  for (let i = 0; i < end; i++) if (node.entries[i]?.isLive) live++
  return live
}

interface Walk {
  readonly start: string
  readonly end: string
  readonly visit: (index: KeyIndex) => boolean
}

function walkNode(node: Node, walk: Walk): boolean {
  const { start, end, visit } = walk
  if (node.children !== undefined) {
    for (let i = childIndex(node.keys, start); i < node.children.length; i++) {
      if (i > 0 && (node.keys[i] as string) >= end) return false
      if (!walkNode(node.children[i] as Node, walk)) return false
    }
    return true
  }
  for (let i = lowerBound(node.keys, start); i < node.keys.length; i++) {
    if ((node.keys[i] as string) >= end) return false
    if (!visit(node.entries[i] as KeyIndex)) return false
  }
  return true
}
