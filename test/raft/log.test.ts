// The log rules of raft §5.3 and §5.4 on one member's log, stable part and rest.
import { expect, test } from 'vitest'
import { type Entry, EntryType } from '../../src/api/gen/raft.js'
import { Log } from '../../src/raft/log.js'
import { MemoryStorage } from '../../src/raft/storage.js'

/** Terms of entries 1, 2, 3 ... */
const entriesOf = (terms: readonly number[], first = 1, bytes = 0): Entry[] =>
  terms.map((Term, at) => {
    const Data = Buffer.alloc(bytes)
    return { Type: EntryType.EntryNormal, Term, Index: first + at, Data }
  })

/** A log whose first `stable` entries are in the storage. */
function logOf(terms: readonly number[], stable = terms.length, commit = 0): Log {
  const storage = new MemoryStorage()
  storage.append(entriesOf(terms.slice(0, stable)))
  const log = new Log(storage, { commit, applied: 0 })
  log.append(entriesOf(terms.slice(stable), stable + 1))
  return log
}

const termsOf = (log: Log): (number | undefined)[] =>
  Array.from({ length: log.lastIndex() }, (_, at) => log.term(at + 1))

test('logs compare by the term of the last entry, then by length (raft §5.4.1)', () => {
  const log = logOf([1, 1, 3])
  const cases: [number, number, boolean][] = [
    [2, 9, false],
    [3, 2, false],
    [3, 3, true],
    [3, 4, true],
    [4, 1, true],
  ]
  for (const [term, index, expected] of cases)
    expect(log.isUpToDate({ term, index })).toBe(expected)
})

test('an append fits only behind an entry of the same term', () => {
  const log = logOf([1, 1, 2], 2)
  expect(log.appendAfter({ index: 3, term: 1 }, [], 0)).toBeUndefined()
  expect(log.appendAfter({ index: 5, term: 2 }, [], 0)).toBeUndefined()
  expect(log.appendAfter({ index: 0, term: 0 }, [], 0)).toBe(0)
  expect(log.appendAfter({ index: 3, term: 2 }, entriesOf([2, 3], 4), 4)).toBe(5)
  expect([log.committed, termsOf(log)]).toEqual([4, [1, 1, 2, 2, 3]])
})

test('a conflict cuts the log there, also below what is stable', () => {
  const log = logOf([1, 1, 2, 2, 2], 4)
  expect(log.appendAfter({ index: 2, term: 1 }, entriesOf([3, 3], 3), 0)).toBe(4)
  expect([termsOf(log), log.stableIndex()]).toEqual([[1, 1, 3, 3], 2])
})

test('counting commits an entry of the own term, and with it those before (raft §5.4.2)', () => {
  const log = logOf([1, 2, 2, 4])
  expect([log.commitCounted(3, 4), log.committed]).toEqual([false, 0])
  expect([log.commitCounted(4, 4), log.committed]).toEqual([true, 4])
  expect([log.commitCounted(3, 2), log.committed]).toEqual([false, 4])
})

test('a late and shorter append cuts nothing off', () => {
  const log = logOf([1, 1, 2, 2, 2], 3)
  expect(log.appendAfter({ index: 1, term: 1 }, entriesOf([1, 2], 2), 9)).toBe(3)
  // The commit index of the message is held to what the message vouches for.
  expect([termsOf(log), log.committed]).toEqual([[1, 1, 2, 2, 2], 3])
})

test('a committed entry is never replaced', () => {
  const log = logOf([1, 1, 2], 3, 2)
  expect(() => log.appendAfter({ index: 1, term: 1 }, entriesOf([3], 2), 0)).toThrow('committed')
  expect(termsOf(log)).toEqual([1, 1, 2])
})

test('a commit index beyond the log stops the member: it lost what it acknowledged', () => {
  expect(() => logOf([1]).commitTo(2)).toThrow('lost acknowledged')
})

test('a start with a commit or applied index outside of the log is refused', () => {
  expect(() => logOf([1, 1], 2, 3)).toThrow('commit 3')
  const storage = new MemoryStorage()
  storage.append(entriesOf([1, 1, 1]))
  storage.compact(2)
  expect(() => new Log(storage, { commit: 1, applied: 0 })).toThrow('must lie in the log [2, 3]')
  expect(() => new Log(storage, { commit: 2, applied: 1 })).toThrow('must lie in the log [2, 3]')
  // The commit index on disk may lag behind what was applied; then the latter is right.
  expect(new Log(storage, { commit: 2, applied: 3 }).committed).toBe(3)
})

test('the hint for a refusal skips terms that the other log cannot have', () => {
  const log = logOf([1, 3, 3, 4, 4, 5, 5, 5, 6], 5)
  expect(log.lastIndexWithTermAtMost(8, 3)).toEqual({ index: 3, term: 3 })
  expect(log.lastIndexWithTermAtMost(9, 6)).toEqual({ index: 9, term: 6 })
  expect(log.lastIndexWithTermAtMost(9, 2)).toEqual({ index: 1, term: 1 })
  expect(log.lastIndexWithTermAtMost(9, 0)).toEqual({ index: 0, term: 0 })
})

test('only what is stable is handed out to be applied', () => {
  const log = logOf([1, 1, 1, 1], 2)
  log.commitTo(4)
  expect(log.nextCommitted(1e9).map(({ Index }) => Index)).toEqual([1, 2])
  log.appliedTo(2)
  expect(log.hasNextCommitted()).toBe(false)
})

test('reads run on from the stable part into the rest, within the limit of bytes', () => {
  const storage = new MemoryStorage()
  storage.append(entriesOf([1, 1, 1], 1, 84)) // 84 + 16 each
  const log = new Log(storage, { commit: 0, applied: 0 })
  log.append(entriesOf([2, 2], 4, 84))
  const indexes = (lo: number, bytes: number): number[] =>
    log.entriesFrom(lo, bytes)?.map(({ Index }) => Index) ?? []
  expect(indexes(1, 500)).toEqual([1, 2, 3, 4, 5])
  expect(indexes(1, 499)).toEqual([1, 2, 3, 4])
  expect(indexes(1, 300)).toEqual([1, 2, 3])
  expect(indexes(2, 150)).toEqual([2])
  expect(indexes(2, 0)).toEqual([2])
  expect(indexes(3, 0)).toEqual([3])
  expect(indexes(4, 0)).toEqual([4])
  expect(indexes(6, 500)).toEqual([])
})

test('entries that were replaced while they were saved do not count as stable', () => {
  const log = logOf([1, 2, 2], 1)
  log.append(entriesOf([3, 3, 3], 2)) // the save of 2/2 and 2/3 is still under way
  log.unstable.stableTo(3, 2)
  expect(log.stableIndex()).toBe(1)
  log.unstable.stableTo(3, 3)
  expect([log.stableIndex(), log.unstable.entries.length]).toEqual([3, 1])
})

test('a snapshot replaces the log and holds back what comes after it until it is saved', () => {
  const log = logOf([1, 1, 1], 1)
  const metadata = { conf_state: undefined, index: 7, term: 2 }
  log.restore({ metadata })
  log.append(entriesOf([2], 8))
  expect([log.firstIndex(), log.lastIndex(), log.committed]).toEqual([8, 8, 7])
  expect([log.term(6), log.term(7), log.term(8), log.term(9)]).toEqual([undefined, 2, 2, undefined])
  expect([log.hasNextCommitted(), log.entriesFrom(7, 9)]).toEqual([false, undefined])
  log.unstable.stableSnapshotTo(6)
  expect(log.unstable.snapshot).toBeDefined()
  log.unstable.stableSnapshotTo(7)
  expect(log.unstable.snapshot).toBeUndefined()
})

test('a membership change is found in committed entries that are not applied, page by page', () => {
  const storage = new MemoryStorage()
  const entries = entriesOf([1, 1, 1, 1, 1], 1, 10)
  storage.append(entries.map((entry) => (entry.Index === 4 ? { ...entry, Type: 1 } : entry)))
  const log = new Log(storage, { commit: 3, applied: 1 })
  expect(log.hasUnappliedConfChange(1)).toBe(false)
  log.commitTo(4)
  expect(log.hasUnappliedConfChange(1)).toBe(true)
  log.appliedTo(4)
  expect(log.hasUnappliedConfChange(1)).toBe(false)
})
