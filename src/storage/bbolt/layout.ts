// layout.ts: decides what goes on which page, from lengths alone. Items come in key order; pages
// come out in id order as soon as they are decided, a parent always after its children:
//
//     level 2                        12
//     level 1          5                        11
//     level 0     2    3    4         6    7    8    9    10
//
// Leaves are filled while they fit a page; a single item may take a leaf of several pages. Every
// branch has at least two children, or etcd dies at its next compaction. So a branch that is full
// waits until its successor has two; at the end it gives one up or takes the last one in.
import { pageHeaderSize, recordSize } from './page.js'

/**
 * A page that is decided. Its elements are the `count` oldest of its level that have no page yet:
 * items for level 0, the pages of the level below for the others.
 */
export interface PlannedPage {
  level: number
  id: number
  /** Pages in the block. */
  pages: number
  count: number
}

/** What a bucket became: a tree, or a leaf small enough to stand in the bucket's own value. */
export type PlannedTree = { root: number } | { inlineSizeBytes: number }

/** Hands out page ids for one file. The first two pages are the metas. */
export class PageIds {
  next = 2

  take(pages: number): number {
    const id = this.next
    this.next += pages
    return id
  }
}

export class TreeLayout {
  readonly #pageSizeBytes: number
  readonly #ids: PageIds
  readonly #onPage: (page: PlannedPage) => void
  readonly #branches: BranchLevel[] = []
  #leafSizeBytes = pageHeaderSize
  #leafCount = 0
  #leafKeySize = 0
  #lastId = 0

  constructor(pageSizeBytes: number, ids: PageIds, onPage: (page: PlannedPage) => void) {
    this.#pageSizeBytes = pageSizeBytes
    this.#ids = ids
    this.#onPage = onPage
  }

  /** The next item's sizes. May decide pages, none of which holds this item. */
  add(keySize: number, valueSize: number): void {
    const size = recordSize + keySize + valueSize
    if (this.#leafCount > 0 && this.#leafSizeBytes + size > this.#pageSizeBytes) this.#endLeaf()
    if (this.#leafCount === 0) this.#leafKeySize = keySize
    this.#leafCount++
    this.#leafSizeBytes += size
  }

  /** Decides all that is left. The root bucket itself can never be inline. */
  end(options: { mayInline: boolean }): PlannedTree {
    const isSmall = this.#branches.length === 0 && this.#leafSizeBytes <= this.#pageSizeBytes / 4
    if (options.mayInline && isSmall) return { inlineSizeBytes: this.#leafSizeBytes }
    if (this.#leafCount > 0 || this.#branches.length === 0) this.#endLeaf()
    // Ending a level may begin the one above it: the list grows while it is walked.
    for (let at = 0; at < this.#branches.length; at++) {
      const level = this.#branches[at]
      if (level === undefined || level.isOnlyChild) break
      level.end((count, sizeBytes, keySize) => this.#endBranch(at + 1, count, sizeBytes, keySize))
    }
    return { root: this.#lastId }
  }

  #endLeaf(): void {
    this.#place(0, this.#leafCount, this.#leafSizeBytes)
    const keySize = this.#leafKeySize
    this.#leafCount = 0
    this.#leafSizeBytes = pageHeaderSize
    this.#addChild(1, keySize)
  }

  #endBranch(level: number, count: number, sizeBytes: number, keySize: number): void {
    this.#place(level, count, sizeBytes)
    this.#addChild(level + 1, keySize)
  }

  #addChild(level: number, keySize: number): void {
    let branch = this.#branches[level - 1]
    if (branch === undefined) {
      branch = new BranchLevel(this.#pageSizeBytes)
      this.#branches.push(branch)
    }
    branch.add(keySize, (...page) => this.#endBranch(level, ...page))
  }

  #place(level: number, count: number, sizeBytes: number): void {
    const pages = Math.ceil(sizeBytes / this.#pageSizeBytes)
    const id = this.#ids.take(pages)
    this.#lastId = id
    this.#onPage({ level, id, pages, count })
  }
}

/** Told of a branch page: how many children, its size, the size of its first key. */
type OnBranch = (count: number, sizeBytes: number, keySize: number) => void

/** Groups the children of one level: sizes of their first keys. */
class BranchLevel {
  readonly #pageSizeBytes: number
  /** A full group that waits. Invariant: while it waits, #open holds exactly one child. */
  #full: number[] | undefined
  #open: number[] = []
  #openSizeBytes = pageHeaderSize
  #isFirst = true

  constructor(pageSizeBytes: number) {
    this.#pageSizeBytes = pageSizeBytes
  }

  /** The level has one child altogether: that child is the root and the level is not needed. */
  get isOnlyChild(): boolean {
    return this.#isFirst && this.#full === undefined && this.#open.length === 1
  }

  add(keySize: number, onBranch: OnBranch): void {
    const size = recordSize + keySize
    if (this.#open.length >= 2 && this.#openSizeBytes + size > this.#pageSizeBytes) {
      this.#full = this.#open
      this.#open = []
      this.#openSizeBytes = pageHeaderSize
    }
    this.#open.push(keySize)
    this.#openSizeBytes += size
    if (this.#open.length === 2 && this.#full !== undefined) {
      const full = this.#full
      this.#full = undefined
      this.#tell(full, onBranch)
    }
  }

  end(onBranch: OnBranch): void {
    const full = this.#full
    const last = this.#open[0]
    if (full === undefined || last === undefined) {
      this.#tell(this.#open, onBranch)
    } else if (full.length === 2) {
      this.#tell([...full, last], onBranch)
    } else {
      this.#tell(full.slice(0, -1), onBranch)
      this.#tell([...full.slice(-1), last], onBranch)
    }
  }

  #tell(group: readonly number[], onBranch: OnBranch): void {
    this.#isFirst = false
    const sizeBytes = group.reduce((sum, keySize) => sum + recordSize + keySize, pageHeaderSize)
    onBranch(group.length, sizeBytes, group[0] ?? 0)
  }
}
