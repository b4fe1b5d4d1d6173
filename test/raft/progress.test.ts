// The three states in which a leader sees a member, move by move.
import { expect, test } from 'vitest'
import { type Entry, EntryType } from '../../src/api/gen/raft.js'
import { Progress } from '../../src/raft/progress.js'

const progressAt = (match: number, next: number): Progress => {
  const inflightLimits = { countMax: 2, bytesMax: 200 }
  const progress = new Progress({ next, isLearner: false, recentActive: true, inflightLimits })
  progress.match = match
  return progress
}

/** Each counts for its data and 16 bytes more. */
const entries = (count: number, dataBytes = 4): Entry[] =>
  Array.from({ length: count }, () => {
    const Data = Buffer.alloc(dataBytes)
    return { Type: EntryType.EntryNormal, Term: 1, Index: 0, Data }
  })

const replicating = (match: number): Progress => {
  const progress = progressAt(match, match + 1)
  progress.becomeReplicate()
  return progress
}

test('a probe sends one append with entries, then waits', () => {
  const progress = progressAt(0, 5)
  progress.sentEntries(entries(0))
  expect(progress.isPaused).toBe(false)
  progress.sentEntries(entries(3))
  expect(progress.isPaused).toBe(true)
  expect(progress.next).toBe(5)
})

test('replicating runs ahead of the answers until the window is full', () => {
  const progress = replicating(4)
  progress.sentEntries(entries(3))
  expect([progress.next, progress.isPaused]).toEqual([8, false])
  progress.sentEntries(entries(1))
  expect([progress.next, progress.isPaused]).toEqual([9, true])
  // An answer to the first makes room; what is beyond it stays in flight.
  expect(progress.acknowledge(7)).toBe(true)
  progress.inflights.freeUpTo(7)
  expect([progress.match, progress.next, progress.isPaused]).toEqual([7, 9, false])
})

test('few large appends fill the window, too, and the answer to them makes room', () => {
  const progress = replicating(4)
  progress.sentEntries(entries(1, 84))
  expect(progress.isPaused).toBe(false)
  // One of any size may go while there is any room.
  progress.becomeReplicate()
  progress.sentEntries(entries(1, 1_000))
  expect([progress.next, progress.isPaused]).toEqual([6, true])
  progress.acknowledge(5)
  progress.inflights.freeUpTo(5)
  progress.sentEntries(entries(1, 83))
  expect(progress.isPaused).toBe(false)
})

test('an acknowledgement never moves match back', () => {
  const progress = replicating(4)
  expect(progress.acknowledge(4)).toBe(false)
  expect(progress.acknowledge(3)).toBe(false)
  expect(progress.match).toBe(4)
})

test('a refusal moves a probe back to the hint, but not below match', () => {
  const cases = [
    { match: 0, next: 10, refused: 9, hint: 4, to: 5 },
    { match: 0, next: 10, refused: 9, hint: 9, to: 9 }, // at least one back
    { match: 0, next: 10, refused: 9, hint: 30, to: 9 }, // a hint beyond the probe helps nobody
    { match: 6, next: 10, refused: 9, hint: 2, to: 7 },
    { match: 0, next: 1, refused: 0, hint: 0, to: 1 },
  ]
  for (const { match, next, refused, hint, to } of cases) {
    const progress = progressAt(match, next)
    expect(progress.moveBack(refused, hint)).toBe(true)
    expect(progress.next).toBe(to)
  }
})

test('a late refusal says nothing', () => {
  const probe = progressAt(3, 10)
  expect(probe.moveBack(7, 5)).toBe(false)
  expect(probe.next).toBe(10)
  const replicate = replicating(8)
  expect(replicate.moveBack(8, 2)).toBe(false)
  expect(replicate.moveBack(9, 2)).toBe(true)
  expect(replicate.next).toBe(9)
})

test('a snapshot pauses everything, and probing goes on behind it', () => {
  const progress = progressAt(2, 3)
  progress.becomeSnapshot(20)
  expect([progress.isPaused, progress.next]).toEqual([true, 21])
  progress.becomeProbe()
  expect([progress.isPaused, progress.next, progress.pendingSnapshot]).toEqual([false, 21, 0])
})

test('a snapshot that failed is not probed behind', () => {
  const progress = progressAt(2, 3)
  progress.becomeSnapshot(20)
  progress.pendingSnapshot = 0
  progress.becomeProbe()
  expect(progress.next).toBe(3)
})

test('the commit index is told when it can raise the member, and once', () => {
  const progress = replicating(4)
  expect(progress.canRaiseCommit(3)).toBe(true)
  progress.sentCommit = 3
  expect(progress.canRaiseCommit(3)).toBe(false)
  expect(progress.canRaiseCommit(9)).toBe(true)
  // It has been told of all that it holds or that is on its way.
  progress.sentCommit = 4
  expect(progress.canRaiseCommit(9)).toBe(false)
})
