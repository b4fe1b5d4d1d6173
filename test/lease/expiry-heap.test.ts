// The expiry heap against a list.
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { ExpiryHeap } from '../../src/lease/expiry-heap.js'

test('whatever was added, moved and removed, the earliest lease is due first', () => {
  const step = fc.tuple(fc.constantFrom('set', 'set', 'delete'), fc.nat({ max: 20 }), fc.nat())
  fc.assert(
    fc.property(fc.array(step, { maxLength: 100 }), (steps) => {
      const heap = new ExpiryHeap()
      const dues = new Map<bigint, number>()
      for (const [what, number, dueMs] of steps) {
        const id = BigInt(number)
        if (what === 'set') {
          heap.set(id, dueMs)
          dues.set(id, dueMs)
        } else {
          heap.delete(id)
          dues.delete(id)
        }
        const earliest = Math.min(...dues.values())
        expect(heap.size).toBe(dues.size)
        expect(heap.due(earliest - 1)).toBeUndefined()
        if (dues.size > 0) expect(dues.get(heap.due(earliest) ?? -1n)).toBe(earliest)
      }
    }),
  )
})
