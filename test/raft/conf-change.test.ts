// Who belongs to the cluster after each kind of change, and what the tracker keeps of them.
import { expect, test } from 'vitest'
import { ConfChangeType } from '../../src/api/gen/raft.js'
import { changedMembership, restoredMembership } from '../../src/raft/conf-change.js'
import { Tracker } from '../../src/raft/tracker.js'

const types = {
  add: ConfChangeType.ConfChangeAddNode,
  learn: ConfChangeType.ConfChangeAddLearnerNode,
  remove: ConfChangeType.ConfChangeRemoveNode,
  update: ConfChangeType.ConfChangeUpdateNode,
}

const cases: [string, keyof typeof types, bigint, bigint[], bigint[]][] = [
  ['a new voter is put in order', 'add', 2n, [1n, 2n, 3n], [4n]],
  ['a voter that is there stays', 'add', 3n, [1n, 3n], [4n]],
  ['a learner is promoted', 'add', 4n, [1n, 3n, 4n], []],
  ['a new learner', 'learn', 9n, [1n, 3n], [4n, 9n]],
  ['a voter is demoted', 'learn', 3n, [1n], [3n, 4n]],
  ['a voter goes', 'remove', 1n, [3n], [4n]],
  ['a learner goes', 'remove', 4n, [1n, 3n], []],
  ['a stranger goes', 'remove', 9n, [1n, 3n], [4n]],
  ['an update changes nobody', 'update', 9n, [1n, 3n], [4n]],
  ['node 0 is no effect', 'add', 0n, [1n, 3n], [4n]],
  [
    'ids above 2^63 are in order too',
    'add',
    0x8e9e05c52164694dn,
    [1n, 3n, 0x8e9e05c52164694dn],
    [4n],
  ],
]

for (const [name, type, node_id, voters, learners] of cases) {
  test(`membership: ${name}`, () => {
    const before = { voters: [1n, 3n], learners: [4n] }
    const change = { id: 7n, type: types[type], node_id }
    expect(changedMembership(before, change)).toEqual({ voters, learners })
  })
}

test('the last voter cannot be taken away', () => {
  const alone = { voters: [1n], learners: [2n] }
  for (const type of [types.remove, types.learn]) {
    expect(() => changedMembership(alone, { id: 7n, type, node_id: 1n })).toThrow('last voter 1')
  }
})

test('a joint configuration is refused, not guessed at', () => {
  const state = {
    voters: [1n],
    learners: [],
    voters_outgoing: [2n],
    learners_next: [],
    auto_leave: false,
  }
  expect(() => restoredMembership(state)).toThrow('joint')
})

test('a newcomer is probed from the end of the log, those who stay keep their progress', () => {
  const tracker = new Tracker({ countMax: 8, bytesMax: 1_000 })
  tracker.switchTo({ voters: [1n, 2n], learners: [] }, 5)
  tracker.progress.get(2n)?.acknowledge(4)
  tracker.switchTo({ voters: [2n], learners: [0x10n, 3n].reverse() }, 9)
  expect([...tracker.progress.keys()]).toEqual([2n, 3n, 0x10n])
  expect(tracker.progress.get(2n)?.match).toBe(4)
  const newcomer = tracker.progress.get(3n)
  expect([newcomer?.match, newcomer?.next, newcomer?.recentActive]).toEqual([0, 9, true])
  expect(tracker.isVoter(3n)).toBe(false)
  expect(tracker.confState().learners).toEqual([3n, 0x10n])
})

test('a repeated vote is one vote', () => {
  const tracker = new Tracker({ countMax: 8, bytesMax: 1_000 })
  tracker.switchTo({ voters: [1n, 2n, 3n, 4n, 5n], learners: [] }, 5)
  expect(tracker.recordVote(1n, true)).toBe('pending')
  expect(tracker.recordVote(2n, true)).toBe('pending')
  expect(tracker.recordVote(2n, true)).toBe('pending')
  expect(tracker.recordVote(2n, false)).toBe('pending')
  expect(tracker.recordVote(3n, true)).toBe('won')
})
