// Which keys are permitted: the rules one by one, and all of them against a naive model that asks
// key by key.
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { Permission_Type as Type } from '../../src/api/gen/auth.js'
import { isGrantable, permittedKeys } from '../../src/auth/permission-range.js'

const { READ, WRITE, READWRITE } = Type
const bytes = (text: string) => Buffer.from(text, 'latin1')
const permission = ([key, end]: readonly [string, string], permType: Type = READWRITE) => ({
  permType,
  key: bytes(key),
  range_end: bytes(end),
})

test.each<[asked: [string, string], granted: [string, string][], permitted: boolean]>([
  [['a', ''], [], false],
  [['a', ''], [['a', '']], true],
  [['a', ''], [['b', '']], false],
  [['b', ''], [['a', 'c']], true],
  [['c', ''], [['a', 'c']], false],
  [['a', 'c'], [['a', 'c']], true],
  [['a', 'd'], [['a', 'c']], false],
  [
    ['a', 'f'],
    [
      ['a', 'c'],
      ['c', 'f'],
    ],
    true,
  ],
  [
    ['a', 'f'],
    [
      ['a', 'c'],
      ['d', 'f'],
    ],
    false,
  ],
  [
    ['b', 'e'],
    [
      ['a', 'd'],
      ['c', 'f'],
    ],
    true,
  ],
  [
    ['a', 'b'],
    [
      ['a', ''],
      ['a\0', 'b'],
    ],
    true,
  ],
  [['a', 'b'], [['a', '']], false],
  [['a', 'a\0'], [['a', '']], true],
  [['a', '\0'], [['a', '\xff']], false],
  [['a', '\0'], [['a', '\0']], true],
  [
    ['b', '\0'],
    [
      ['a', 'c'],
      ['c', '\0'],
    ],
    true,
  ],
  [['\0', '\0'], [['a', '\0']], false],
  [['\0', '\0'], [['\0', '\0']], true],
  [['\xff\xff', ''], [['a', '\0']], true],
  [['c', 'b'], [['a', 'd']], true],
  [
    ['c', 'b'],
    [
      ['a', 'c'],
      ['c', 'd'],
    ],
    false,
  ],
  [['a', 'a'], [['a', 'd']], false],
])('%j of %j: %s', (asked, granted, expected) => {
  const { read } = permittedKeys(granted.map((each) => permission(each)))
  expect(read.cover(bytes(asked[0]), bytes(asked[1]))).toBe(expected)
})

test('reading and writing are permitted apart', () => {
  const { read, write } = permittedKeys([
    permission(['a', ''], READ),
    permission(['b', ''], WRITE),
    permission(['c', ''], READWRITE),
  ])
  const permitted = (keys: typeof read) =>
    ['a', 'b', 'c'].filter((key) => keys.cover(bytes(key), bytes('')))
  expect(permitted(read)).toEqual(['a', 'c'])
  expect(permitted(write)).toEqual(['b', 'c'])
})

test('what an old etcd may have stored with no key permits nothing', () => {
  const { read } = permittedKeys([permission(['', '\0']), permission(['', ''])])
  expect(read.cover(bytes('a'), bytes(''))).toBe(false)
  expect(read.cover(bytes('\0'), bytes('\0'))).toBe(false)
})

test.each<[string, string, boolean]>([
  ['a', '', true],
  ['a', 'b', true],
  ['a', '\0', true],
  ['\0', '\0', true],
  ['', '', false],
  ['', '\0', false],
  ['b', 'a', false],
  ['a', 'a', false],
])('[%j, %j) may be granted: %s', (key, end, expected) => {
  expect(isGrantable(bytes(key), bytes(end))).toBe(expected)
})

describe('against a model', () => {
  /** Few keys of few letters: intervals then touch, overlap and leave gaps of one key. */
  const letters = ['\0', 'a', 'b', '\xff']
  const every = ['', ...letters, ...letters.flatMap((one) => letters.map((two) => one + two))]
  const keys = every.filter((key) => key !== '')
  const interval = fc.tuple(fc.constantFrom(...keys), fc.constantFrom(...every))

  const holds = ([begin, end]: readonly [string, string], key: string): boolean => {
    if (end === '') return key === begin
    return begin <= key && (end === '\0' || key < end)
  }
  /** Keys of up to four letters: between any two that begin or end an interval there are some. */
  const universe = letters.reduce<string[]>(
    (all) => [...all, ...all.flatMap((key) => letters.map((letter) => key + letter))],
    [''],
  )
  const sample = [...new Set(universe)].filter((key) => key !== '' && key.length <= 4)

  test('an interval is permitted if each of its keys is', () => {
    const property = fc.property(
      interval,
      fc.array(interval, { maxLength: 6 }),
      (asked, granted) => {
        const inside = sample.filter((key) => holds(asked, key))
        fc.pre(inside.length > 0)
        const expected = inside.every((key) => granted.some((each) => holds(each, key)))
        const { write } = permittedKeys(granted.map((each) => permission(each)))
        // What lies above all samples is only held by an open end.
        const isOpen = asked[1] === '\0'
        const topHeld = granted.some(([, end]) => end === '\0')
        const wanted = expected && (!isOpen || topHeld)
        expect(write.cover(bytes(asked[0]), bytes(asked[1]))).toBe(wanted)
      },
    )
    fc.assert(property, { numRuns: 3000 })
  })
})
