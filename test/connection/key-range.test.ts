// Prefixes and open ends as ranges.
import { endRangeForPrefix } from 'etcd3/lib/util.js'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { fromKeyRange, openEnd, prefixEnd, prefixRange } from '../../src/connection/key-range.js'

test.each([
  ['61', '62'],
  ['6100', '6101'],
  ['61ff', '62'],
  ['61ffff', '62'],
  ['00', '01'],
  ['fe', 'ff'],
  ['ff', '00'],
  ['ffff', '00'],
  ['', '00'],
])('the prefix %s ends before %s', (prefix, end) => {
  expect(prefixEnd(Buffer.from(prefix, 'hex')).toString('hex')).toBe(end)
})

test('a key is below the end of a prefix exactly if it begins with the prefix or is below it', () => {
  const keys = fc.uint8Array({ minLength: 1, maxLength: 4 }).map((bytes) => Buffer.from(bytes))
  fc.assert(
    fc.property(keys, keys, (prefix, key) => {
      const { key: first, range_end: end } = prefixRange(prefix)
      const isOpen = end.equals(openEnd)
      const isInside = Buffer.compare(key, first) >= 0 && (isOpen || Buffer.compare(key, end) < 0)
      expect(isInside).toBe(key.subarray(0, prefix.length).equals(prefix))
    }),
    { numRuns: 2000 },
  )
})

test('the prefix end is the one that etcd3 computes, and the prefix stays as it was', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 6 }), (bytes) => {
      const prefix = Buffer.from(bytes)
      expect(prefixEnd(prefix)).toEqual(endRangeForPrefix(prefix))
      expect(prefix).toEqual(Buffer.from(bytes))
    }),
  )
})

test('the empty key stands for the first key there can be', () => {
  expect(prefixRange(Buffer.alloc(0))).toEqual({ key: openEnd, range_end: openEnd })
  expect(fromKeyRange(Buffer.alloc(0))).toEqual({ key: openEnd, range_end: openEnd })
  expect(fromKeyRange(Buffer.from('a'))).toEqual({ key: Buffer.from('a'), range_end: openEnd })
})
