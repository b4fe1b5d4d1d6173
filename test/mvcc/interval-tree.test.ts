// The interval tree against a list of intervals.
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { IntervalTree } from '../../src/mvcc/interval-tree.js'

const point = fc.stringMatching(/^[a-f]{1,2}$/)
const interval = fc.tuple(point, point).filter(([start, end]) => start < end)
const step = fc.tuple(fc.constantFrom('add', 'add', 'delete'), interval, fc.nat({ max: 2 }))

test('a key finds every interval that holds it, once', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 80 }), fc.array(point), (steps, probes) => {
      const tree = new IntervalTree<string>()
      const all = new Map<string, [string, string]>()
      for (const [what, [start, end], copy] of steps) {
        const item = `${start}-${end}#${copy}`
        if (what === 'add') {
          tree.add(start, end, item)
          all.set(item, [start, end])
        } else {
          tree.delete(start, end, item)
          all.delete(item)
        }
      }
      for (const key of probes) {
        const found: string[] = []
        tree.visit(key, (item) => found.push(item))
        const expected = [...all].filter(([, [start, end]]) => start <= key && key < end)
        expect(found.sort()).toEqual(expected.map(([item]) => item).sort())
      }
    }),
  )
})

test('ten thousand intervals in order do not make a deep tree', () => {
  const tree = new IntervalTree<number>()
  const name = (i: number) => String(i).padStart(6, '0')
  for (let i = 0; i < 10_000; i++) tree.add(name(i), name(i + 1), i)
  const found: number[] = []
  tree.visit(name(7321), (item) => found.push(item))
  expect(found).toEqual([7321])
})
