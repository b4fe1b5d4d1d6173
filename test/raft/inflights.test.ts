// The window of appends in flight, also against a plain queue as its model.
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { Inflights } from '../../src/raft/inflights.js'

const bytesMax = 1_000

test('an answer settles all appends up to its index', () => {
  const inflights = new Inflights({ countMax: 4, bytesMax })
  for (const last of [3, 7, 9]) inflights.add(last, 1)
  inflights.freeUpTo(2)
  expect(inflights.count).toBe(3)
  inflights.freeUpTo(8)
  expect(inflights.count).toBe(1)
  inflights.freeUpTo(9)
  expect(inflights.count).toBe(0)
})

test('a full window takes no more, and takes again after an answer', () => {
  const inflights = new Inflights({ countMax: 2, bytesMax })
  inflights.add(1, 1)
  inflights.add(2, 1)
  expect(inflights.isFull).toBe(true)
  expect(() => inflights.add(3, 1)).toThrow('no room for 3')
  inflights.freeUpTo(1)
  expect(inflights.isFull).toBe(false)
  inflights.add(3, 1)
  inflights.reset()
  expect(inflights.count).toBe(0)
})

test('as many bytes as are allowed fill the window, and those settled leave it', () => {
  const inflights = new Inflights({ countMax: 8, bytesMax: 100 })
  inflights.add(1, 60)
  inflights.add(2, 39)
  expect(inflights.isFull).toBe(false)
  inflights.add(3, 500)
  expect(inflights.isFull).toBe(true)
  inflights.freeUpTo(2)
  expect(inflights.isFull).toBe(true)
  inflights.freeUpTo(3)
  expect(inflights.isFull).toBe(false)
  inflights.add(4, 100)
  expect(inflights.isFull).toBe(true)
  inflights.reset()
  expect(inflights.isFull).toBe(false)
})

test('the ring behaves as a plain queue, whatever comes', () => {
  const step = fc.oneof(
    fc.record({ add: fc.integer({ min: 0, max: 3 }), bytes: fc.integer({ min: 1, max: 40 }) }),
    fc.record({ free: fc.integer({ min: 0, max: 60 }) }),
  )
  const limits = fc.record({
    countMax: fc.integer({ min: 1, max: 5 }),
    bytesMax: fc.integer({ min: 1, max: 100 }),
  })
  const property = fc.property(limits, fc.array(step), (limit, steps) => {
    const inflights = new Inflights(limit)
    let queue: { index: number; bytes: number }[] = []
    let last = 0
    for (const each of steps) {
      if ('free' in each) {
        inflights.freeUpTo(each.free)
        queue = queue.filter(({ index }) => index > each.free)
      } else if (!inflights.isFull) {
        last += each.add
        inflights.add(last, each.bytes)
        queue.push({ index: last, bytes: each.bytes })
      }
      const bytes = queue.reduce((sum, append) => sum + append.bytes, 0)
      expect(inflights.count).toBe(queue.length)
      expect(inflights.isFull).toBe(queue.length === limit.countMax || bytes >= limit.bytesMax)
    }
  })
  fc.assert(property)
})
