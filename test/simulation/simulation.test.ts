// A share of the simulations that `npm run sim` runs by the thousand. A failure names its seed;
// `npm run sim -- --seed N` replays it with a line an event.
import { describe, expect, test } from 'vitest'
import { checkRegister, type Operation } from './linearizable.js'
import { findMutation, type Mutation } from './mutation.js'
import { mutations } from './mutations.js'
import { simulate } from './simulation.js'

const seeds = Array.from({ length: 15 }, (_, at) => at + 1)

test(`clusters of ${seeds.length} seeds keep their promises, and do something`, async () => {
  const totals = {
    ...{ applied: 0, leaders: 0, hashes: 0, answered: 0, snapshots: 0, lost: 0 },
    ...{ granted: 0, renewed: 0, ended: 0, events: 0, resumed: 0, compacted: 0 },
    ...{ plots: 0, rolls: 0, waitsForRoom: 0 },
  }
  for (const seed of seeds) {
    const { failure, figures } = await simulate(seed)
    expect(failure, `seed ${seed}`).toBeUndefined()
    for (const name of Object.keys(totals) as (keyof typeof totals)[]) {
      totals[name] += figures[name] ?? 0
    }
  }
  expect(totals.answered / seeds.length).toBeGreaterThan(50)
  expect(totals.leaders / seeds.length).toBeGreaterThan(2)
  expect(totals.hashes / seeds.length).toBeGreaterThan(20)
  expect(totals.snapshots).toBeGreaterThan(2)
  expect(totals.lost).toBeGreaterThan(100)
  expect(totals.renewed).toBeGreaterThan(15)
  expect(totals.ended).toBeGreaterThan(15)
  expect(totals.events / seeds.length).toBeGreaterThan(50)
  expect(totals.resumed).toBeGreaterThan(30)
  expect(totals.compacted).toBeGreaterThan(0)
  expect(totals.plots).toBeGreaterThan(0)
  expect(totals.rolls).toBeGreaterThan(10)
  expect(totals.waitsForRoom).toBeGreaterThan(0)
}, 120_000)

test('a seed replays exactly, with and without a trace', async () => {
  const one = await simulate(7)
  const other = await simulate(7, { keepTrace: true })
  expect(other.digest).toBe(one.digest)
  expect(other.figures).toEqual(one.figures)
  expect(one.trace).toEqual([])
  expect(other.trace.length).toBeGreaterThan(50)
}, 60_000)

describe('a member that is broken on purpose is found out', () => {
  /** Found within a few seeds; the others need `npm run sim -- --mutations`. */
  const quick = mutations.filter(({ isRare }) => isRare !== true)

  test.each(quick)(
    '$name',
    async (mutation: Mutation) => {
      const found = await findMutation(mutation, { first: 1, count: 60, plot: mutation.plot })
      expect(found?.failure).toBeDefined()
    },
    120_000,
  )
})

describe('the check of a history', () => {
  const put = (value: string, before: string | undefined, at: [number, number]): Operation => {
    return { call: { kind: 'put', value }, called: at[0], answered: at[1], answer: { before } }
  }
  const get = (before: string | undefined, at: [number, number]): Operation => {
    return { call: { kind: 'get' }, called: at[0], answered: at[1], answer: { before } }
  }
  const lost = (value: string, called: number): Operation => {
    return { call: { kind: 'put', value }, called }
  }
  const cases: { name: string; operations: Operation[]; is: boolean }[] = [
    {
      name: 'one after the other',
      operations: [put('a', undefined, [0, 1]), get('a', [2, 3])],
      is: true,
    },
    {
      name: 'a stale read',
      operations: [put('a', undefined, [0, 1]), get(undefined, [2, 3])],
      is: false,
    },
    {
      name: 'a read beside a write',
      operations: [put('a', undefined, [0, 3]), get(undefined, [1, 2])],
      is: true,
    },
    {
      name: 'an unanswered write that was seen',
      operations: [lost('a', 0), get('a', [1, 2])],
      is: true,
    },
    {
      name: 'an unanswered write that never was',
      operations: [lost('a', 0), get(undefined, [1, 2])],
      is: true,
    },
    {
      name: 'an unanswered write that is seen and then is not',
      operations: [lost('a', 0), get('a', [1, 2]), get(undefined, [3, 4])],
      is: false,
    },
    {
      name: 'two reads in the wrong order beside a write',
      operations: [put('a', undefined, [0, 9]), get('a', [1, 2]), get(undefined, [3, 4])],
      is: false,
    },
    {
      name: 'a write that came twice',
      operations: [put('a', undefined, [0, 1]), put('b', 'a', [2, 3]), get('a', [4, 5])],
      is: false,
    },
  ]
  test.each(cases)('$name', ({ operations, is }) => {
    expect(checkRegister(operations)).toBe(is ? 'linearizable' : 'not linearizable')
  })
})
