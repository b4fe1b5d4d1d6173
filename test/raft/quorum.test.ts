// Every configuration of up to five voters, against the definition said the slow way.
import { expect, test } from 'vitest'
import { committedIndex, majority, type VoteResult, voteResult } from '../../src/raft/quorum.js'

const votersMax = 5
const voterSets = Array.from({ length: votersMax + 1 }, (_, count) =>
  Array.from({ length: count }, (__, at) => BigInt(at + 1)),
)

/** Every way to give each of `count` places one of the values. */
function* combinations<T>(count: number, values: readonly T[]): Generator<T[]> {
  if (count === 0) yield []
  else
    for (const rest of combinations(count - 1, values)) for (const v of values) yield [...rest, v]
}

test('any two majorities share a voter, and no smaller count has that property', () => {
  for (let count = 1; count <= 9; count++) {
    expect(2 * majority(count)).toBeGreaterThan(count)
    expect(2 * (majority(count) - 1)).toBeLessThanOrEqual(count)
  }
})

test('the committed index is the highest that more than half of the voters hold', () => {
  for (const voters of voterSets) {
    for (const held of combinations(voters.length, [0, 1, 2, 3, 4, 5])) {
      const isHeldByMost = (index: number): boolean =>
        held.filter((each) => each >= index).length * 2 > voters.length
      const expected = [5, 4, 3, 2, 1].find(isHeldByMost) ?? 0
      expect(committedIndex(voters, (id) => held[Number(id) - 1] ?? 0)).toBe(expected)
    }
  }
})

test('an election is won by more than half, lost when that is out of reach, else open', () => {
  for (const voters of voterSets) {
    for (const cast of combinations(voters.length, [true, false, undefined])) {
      const votes = new Map<bigint, boolean>()
      for (const [at, vote] of cast.entries())
        if (vote !== undefined) votes.set(BigInt(at + 1), vote)
      const granted = cast.filter((vote) => vote === true).length
      const open = cast.filter((vote) => vote === undefined).length
      let expected: VoteResult = 'pending'
      if (granted * 2 > voters.length) expected = 'won'
      else if (voters.length > 0 && (granted + open) * 2 <= voters.length) expected = 'lost'
      expect(voteResult(voters, votes), `${cast}`).toBe(expected)
    }
  }
})

test('who is no voter neither votes nor acknowledges', () => {
  const votes = new Map([
    [7n, true],
    [8n, true],
    [1n, true],
  ])
  expect(voteResult([1n, 2n, 3n], votes)).toBe('pending')
  expect(committedIndex([1n, 2n, 3n], (id) => (id > 3n ? 9 : 1))).toBe(1)
})

test('without voters nothing is committed and nobody is elected', () => {
  expect(committedIndex([], () => 9)).toBe(0)
  expect(voteResult([], new Map([[1n, true]]))).toBe('pending')
})
