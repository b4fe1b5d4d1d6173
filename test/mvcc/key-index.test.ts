// The lives of one key: what a read finds at each revision, and what compactions leave.
import { expect, test } from 'vitest'
import { KeyIndex, Stored } from '../../src/mvcc/key-index.js'
import { Block } from '../../src/mvcc/slab.js'

const nowhere = { block: new Block(0), offset: 0, size: 0 }

/** `put@2 delete@6` and so on, as text: "2 4 6x 9". */
function indexOf(text: string): KeyIndex {
  const index = new KeyIndex('key')
  for (const word of text.split(' ').filter((part) => part !== '')) {
    const tombstone = word.endsWith('x')
    const [main = '', sub = '0'] = word.replace('x', '').split('.')
    const revision = { main: Number(main), sub: Number(sub) }
    const rest = { tombstone, createRevision: 0, version: 0, lease: 0n }
    index.append(new Stored({ index, ...revision, ...rest }, nowhere))
  }
  return index
}

function textOf(index: KeyIndex): string {
  const words: string[] = []
  index.visitSince(0, ({ main, sub, tombstone }) => {
    words.push(`${main}${sub > 0 ? `.${sub}` : ''}${tombstone ? 'x' : ''}`)
    return true
  })
  return words.join(' ')
}

test('a read finds the newest record at or before its revision, nothing between lives', () => {
  const index = indexOf('2 4 6x 9 12.0 12.1x')
  const found = (main: number) => index.at(main)?.main
  expect([1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 12, 99].map(found)).toEqual([
    undefined,
    2,
    2,
    4,
    4,
    undefined,
    undefined,
    undefined,
    9,
    9,
    undefined,
    undefined,
  ])
  expect(index.isLive).toBe(false)
})

test.each([
  ['2 4 6x 9', 1, '2 4 6x 9'],
  ['2 4 6x 9', 2, '2 4 6x 9'],
  ['2 4 6x 9', 3, '2 4 6x 9'],
  ['2 4 6x 9', 5, '4 6x 9'],
  ['2 4 6x 9', 6, '6x 9'], // a tombstone exactly at the compact revision stays
  ['2 4 6x 9', 7, '9'], // and goes with the next one
  ['2 4 6x 9', 9, '9'],
  ['2 4 6x 9', 50, '9'],
  ['2 4 6x', 6, '6x'],
  ['2 4 6x', 7, ''],
  ['2.0 2.1x', 2, '2.1x'],
  ['2 3.0x 3.1', 3, '3.1'],
  ['2', 50, '2'],
])('%s compacted at %i is %s', (before, at, after) => {
  const index = indexOf(before)
  index.compact(at)
  expect(textOf(index)).toBe(after)
  expect(index.isEmpty).toBe(after === '')
})

test('records are visited from a revision on until the visitor has enough', () => {
  const index = indexOf('2 4 6x 9')
  const seen: number[] = []
  index.visitSince(3, ({ main }) => seen.push(main) < 2)
  expect(seen).toEqual([4, 6])
})
