// key-table.test.ts: the table agrees with a Map of the same keys, also while it grows.
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { KeyTable } from '../../src/snapshot/key-table.js'

test('it keeps the last number of each key, as a Map does', () => {
  const entry = fc.tuple(fc.uint8Array({ maxLength: 6 }), fc.nat(255))
  fc.assert(
    fc.property(fc.array(entry, { maxLength: 300 }), fc.uint8Array(), (entries, other) => {
      const table = new KeyTable((length) => new Uint8Array(length))
      const map = new Map<string, number>()
      for (const [key, number] of entries) {
        table.set(key, 0, key.length, number)
        map.set(Buffer.from(key).toString('hex'), number)
      }
      for (const [hex, number] of map) {
        const key = Buffer.from(hex, 'hex')
        expect(table.get(key, 0, key.length)).toBe(number)
      }
      expect(table.countNonZero()).toBe([...map.values()].filter((number) => number > 0).length)
      expect(table.get(other, 0, other.length)).toBe(map.get(Buffer.from(other).toString('hex')))
    }),
  )
})

test('keys that differ little are told apart', () => {
  const table = new KeyTable((length) => new Uint32Array(length))
  const key = Buffer.from('prefix/0000000')
  for (let at = 1; at <= 200_000; at++) {
    key.write(at.toString().padStart(7, '0'), 7)
    table.set(key, 0, key.length, at)
  }
  expect(table.countNonZero()).toBe(200_000)
  key.write('0154321', 7)
  expect(table.get(key, 0, key.length)).toBe(154_321)
})
