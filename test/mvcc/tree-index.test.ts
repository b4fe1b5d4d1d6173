// The key tree against a sorted list.
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { KeyIndex, Stored } from '../../src/mvcc/key-index.js'
import { Block } from '../../src/mvcc/slab.js'
import { openEnd, TreeIndex } from '../../src/mvcc/tree-index.js'

const nowhere = { block: new Block(0), offset: 0, size: 0 }
let revision = 1

function change(index: KeyIndex, tombstone: boolean): void {
  const rest = { sub: 0, tombstone, createRevision: 0, version: 0, lease: 0n }
  index.append(new Stored({ index, main: revision++, ...rest }, nowhere))
}

function inserted(tree: TreeIndex, key: string): void {
  const index = new KeyIndex(key)
  change(index, false)
  tree.insert(index)
}

function deleted(tree: TreeIndex, key: string): void {
  const index = tree.get(key)
  if (index === undefined) throw new Error(`no ${key}`)
  change(index, true)
  tree.adjustLive(key, -1)
}

function keysIn(tree: TreeIndex, start: string, end: string): string[] {
  const keys: string[] = []
  tree.walk(start, end, ({ key }) => keys.push(key) > 0)
  return keys
}

/** Compares everything that the tree can be asked with a sorted list of keys. */
function check(tree: TreeIndex, all: Map<string, boolean>): void {
  const sorted = [...all.keys()].sort()
  const some = sorted.filter((_, i) => i % Math.ceil(sorted.length / 8) === 0)
  const bounds = ['', ...some, 'm', '\xff', openEnd]
  expect(keysIn(tree, '', openEnd)).toEqual(sorted)
  expect(tree.size).toBe(sorted.length)
  for (const start of bounds) {
    for (const end of bounds) {
      const within = sorted.filter((key) => key >= start && key < end)
      expect(keysIn(tree, start, end)).toEqual(within)
      expect(tree.liveIn(start, end)).toBe(within.filter((key) => all.get(key)).length)
    }
  }
  expect(sorted.map((key) => tree.get(key)?.key)).toEqual(sorted)
  expect(tree.get('nobody')).toBeUndefined()
}

test.each([
  ['rising', (i: number) => String(i).padStart(6, '0')],
  ['falling', (i: number) => String(100_000 - i).padStart(6, '0')],
  ['scattered', (i: number) => `${Math.imul(i, 0x9e3779b1) >>> 0}`],
])('%s keys come and go in the right places', (_, keyOf) => {
  const tree = new TreeIndex()
  const all = new Map<string, boolean>()
  for (let i = 0; i < 5000; i++) {
    inserted(tree, keyOf(i))
    all.set(keyOf(i), true)
  }
  check(tree, all)
  for (let i = 0; i < 5000; i += 2) {
    deleted(tree, keyOf(i))
    all.set(keyOf(i), false)
  }
  check(tree, all)
  for (let i = 0; i < 5000; i += 2) {
    tree.remove(keyOf(i))
    all.delete(keyOf(i))
  }
  check(tree, all)
  for (let i = 1; i < 5000; i += 2) {
    deleted(tree, keyOf(i))
    tree.remove(keyOf(i))
    all.delete(keyOf(i))
    if (i % 500 === 1) check(tree, all)
  }
  check(tree, all)
  inserted(tree, 'again')
  check(tree, new Map([['again', true]]))
})

test('any mix of inserts, deletes and removals agrees with a list', () => {
  const byte = fc.integer({ min: 0, max: 255 }).map((code) => String.fromCharCode(code))
  const key = fc.string({ unit: byte, minLength: 0, maxLength: 2 })
  const step = fc.tuple(fc.constantFrom('insert', 'insert', 'delete', 'remove'), key)
  fc.assert(
    fc.property(fc.array(step, { maxLength: 400, size: 'max' }), (steps) => {
      const tree = new TreeIndex()
      const all = new Map<string, boolean>()
      for (const [what, key] of steps) {
        if (what === 'insert' && !all.has(key)) {
          inserted(tree, key)
          all.set(key, true)
        } else if (what === 'delete' && all.get(key)) {
          deleted(tree, key)
          all.set(key, false)
        } else if (what === 'remove' && all.get(key) === false) {
          tree.remove(key)
          all.delete(key)
        }
      }
      check(tree, all)
    }),
    { numRuns: 50 },
  )
})
