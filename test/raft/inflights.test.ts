// The window of appends in flight, also against a plain queue as its model.
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { Inflights } from '../../src/raft/inflights.js'

test('an answer settles all appends up to its index', () => {
  const inflights = new Inflights(4)
  for (const last of [3, 7, 9]) inflights.add(last)
  inflights.freeUpTo(2)
  expect(inflights.count).toBe(3)
  inflights.freeUpTo(8)
  expect(inflights.count).toBe(1)
  inflights.freeUpTo(9)
  expect(inflights.count).toBe(0)
})

test('a full window takes no more, and takes again after an answer', () => {
  const inflights = new Inflights(2)
  inflights.add(1)
  inflights.add(2)
  expect(inflights.isFull).toBe(true)
  expect(() => inflights.add(3)).toThrow('no room for 3')
  inflights.freeUpTo(1)
  expect(inflights.isFull).toBe(false)
  inflights.add(3)
  inflights.reset()
  expect(inflights.count).toBe(0)
})

test('the ring behaves as a plain queue, whatever comes', () => {
  const step = fc.oneof(
    fc.record({ add: fc.integer({ min: 0, max: 3 }) }),
    fc.record({ free: fc.integer({ min: 0, max: 60 }) }),
  )
  const property = fc.property(fc.integer({ min: 1, max: 5 }), fc.array(step), (max, steps) => {
    const inflights = new Inflights(max)
    let queue: number[] = []
    let last = 0
    for (const each of steps) {
      if ('free' in each) {
        inflights.freeUpTo(each.free)
        queue = queue.filter((index) => index > each.free)
      } else if (!inflights.isFull) {
        last += each.add
        inflights.add(last)
        queue.push(last)
      }
      expect(inflights.count).toBe(queue.length)
      expect(inflights.isFull).toBe(queue.length === max)
    }
  })
  fc.assert(property)
})
