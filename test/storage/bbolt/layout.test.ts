// layout.test.ts: the decisions of the layout, from lengths alone.
import fc from 'fast-check'
import { expect, test } from 'vitest'
import {
  PageIds,
  type PlannedPage,
  type PlannedTree,
  TreeLayout,
} from '../../../src/storage/bbolt/layout.js'

function layOut(sizes: readonly [key: number, value: number][], pageSizeBytes = 1024) {
  const pages: PlannedPage[] = []
  const ids = new PageIds()
  const layout = new TreeLayout(pageSizeBytes, ids, (page) => pages.push(page))
  for (const [key, value] of sizes) layout.add(key, value)
  const tree: PlannedTree = layout.end({ mayInline: true })
  return { pages, tree, end: ids.next }
}

const repeat = (count: number, key: number, value: number): [number, number][] =>
  Array.from({ length: count }, () => [key, value])

test('a bucket is inline up to a quarter of a page and not a byte beyond', () => {
  // 16 header, then 16 + 10 + value: 256 in all.
  expect(layOut([[10, 214]])).toEqual({ pages: [], tree: { inlineSizeBytes: 256 }, end: 2 })
  expect(layOut([[10, 215]])).toEqual({
    pages: [{ level: 0, id: 2, pages: 1, count: 1 }],
    tree: { root: 2 },
    end: 3,
  })
})

test('an empty bucket is inline and takes 16 bytes for its page header', () => {
  expect(layOut([]).tree).toEqual({ inlineSizeBytes: 16 })
})

test('a leaf takes items until the next one would pass the page', () => {
  // Two items of 504 fill 1024 exactly.
  expect(layOut(repeat(2, 8, 480)).pages).toEqual([{ level: 0, id: 2, pages: 1, count: 2 }])
  expect(layOut(repeat(2, 8, 481)).pages.map(({ count }) => count)).toEqual([1, 1, 2])
})

test('an item larger than a page is a leaf of several pages, and ids go on behind it', () => {
  expect(layOut([...repeat(1, 8, 5000), ...repeat(1, 8, 600)])).toEqual({
    pages: [
      { level: 0, id: 2, pages: 5, count: 1 },
      { level: 0, id: 7, pages: 1, count: 1 },
      { level: 1, id: 8, pages: 1, count: 2 },
    ],
    tree: { root: 8 },
    end: 9,
  })
})

// A leaf for each item, and a branch holds 21 children of 16 + 32 bytes.
const branchCases: [leaves: number, branches: number[]][] = [
  [2, [2]],
  [21, [21]],
  [22, [20, 2, 2]],
  [23, [21, 2, 2]],
  [42, [21, 21, 2]],
  [43, [21, 20, 2, 3]],
]

for (const [leaves, branches] of branchCases) {
  test(`${leaves} leaves have branches of ${branches.join(', ')} children`, () => {
    const { pages } = layOut(repeat(leaves, 32, 900))
    const found = pages.filter(({ level }) => level > 0).map(({ count }) => count)
    expect(found).toEqual(branches)
  })
}

test('keys so long that a branch page holds two: no branch is left with one child', () => {
  for (let leaves = 2; leaves <= 40; leaves++) {
    const { pages } = layOut(repeat(leaves, 460, 900))
    for (const { level, count } of pages) if (level > 0) expect(count).toBeGreaterThanOrEqual(2)
  }
})

test('every page has a parent but the root, ids have no gap, and branches two children', () => {
  const sizes = fc.tuple(
    fc.oneof(fc.integer({ min: 1, max: 40 }), fc.integer({ min: 200, max: 2000 })),
    fc.oneof(fc.nat(100), fc.nat(3000)),
  )
  fc.assert(
    fc.property(fc.array(sizes, { maxLength: 400 }), (items) => {
      const { pages, tree, end } = layOut(items)
      if (!('root' in tree)) {
        expect(pages).toEqual([])
        return
      }
      let next = 2
      for (const page of pages) {
        expect(page.id).toBe(next)
        next += page.pages
        if (page.level > 0) expect(page.count).toBeGreaterThanOrEqual(2)
      }
      expect(end).toBe(next)
      expect(tree.root).toBe(pages.at(-1)?.id)
      const levels = Math.max(...pages.map(({ level }) => level))
      let elements = items.length
      for (let level = 0; level <= levels; level++) {
        const here = pages.filter((page) => page.level === level)
        expect(here.reduce((sum, { count }) => sum + count, 0)).toBe(elements)
        elements = here.length
      }
      expect(elements).toBe(1)
    }),
  )
})
