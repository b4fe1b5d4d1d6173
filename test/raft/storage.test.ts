// The log in memory as raft reads it back: append, compact, snapshots.
import { expect, test } from 'vitest'
import { type Entry, EntryType } from '../../src/api/gen/raft.js'
import { MemoryStorage } from '../../src/raft/storage.js'

const entry = (Term: number, Index: number, bytes = 0): Entry => ({
  Type: EntryType.EntryNormal,
  Term,
  Index,
  Data: Buffer.alloc(bytes),
})

function storageOf(...terms: number[]): MemoryStorage {
  const storage = new MemoryStorage()
  storage.append(terms.map((term, at) => entry(term, at + 1)))
  return storage
}

test('an append replaces from its first index on', () => {
  const storage = storageOf(1, 1, 2, 2)
  storage.append([entry(3, 3)])
  expect([storage.lastIndex(), storage.term(3), storage.term(4)]).toEqual([3, 3, undefined])
})

test('an append that would leave a hole is refused, and one below the log is cut', () => {
  const storage = storageOf(1, 1, 1)
  expect(() => storage.append([entry(1, 5)])).toThrow('leaves a hole')
  storage.compact(2)
  storage.append([entry(1, 1), entry(1, 2), entry(1, 3), entry(2, 4)])
  expect([storage.firstIndex(), storage.lastIndex(), storage.term(4)]).toEqual([3, 4, 2])
  storage.append([entry(1, 1)])
  expect(storage.lastIndex()).toBe(4)
})

test('compaction keeps the term of the last entry it takes', () => {
  const storage = storageOf(1, 2, 3)
  storage.compact(2)
  expect([1, 2, 3, 4].map((index) => storage.term(index))).toEqual([undefined, 2, 3, undefined])
  expect(() => storage.entries(2, 4, 1e9)).toThrow('entries [2, 4) asked, [3, 4) kept')
  expect(() => storage.compact(1)).toThrow('compact to 1')
  expect(() => storage.compact(4)).toThrow('compact to 4')
  storage.compact(3)
  expect([storage.firstIndex(), storage.lastIndex()]).toEqual([4, 3])
})

test('a read is cut to bytes but has at least one entry', () => {
  const storage = new MemoryStorage()
  storage.append([entry(1, 1, 100), entry(1, 2, 100), entry(1, 3, 100)])
  const indexes = (bytes: number): number[] =>
    storage.entries(1, 4, bytes).map(({ Index }) => Index)
  expect([indexes(0), indexes(250), indexes(1000)]).toEqual([[1], [1, 2], [1, 2, 3]])
  expect(storage.entries(4, 4, 1000)).toEqual([])
})

test('its size follows what is added, replaced and forgotten', () => {
  const storage = new MemoryStorage()
  const sizes: number[] = []
  const note = () => sizes.push(storage.bytes)
  storage.append([entry(1, 1, 100), entry(1, 2, 200), entry(1, 3, 300), entry(1, 4, 400)])
  note()
  storage.append([entry(2, 3, 5), entry(2, 4, 6)])
  note()
  storage.compact(1)
  note()
  storage.append([entry(1, 1, 100), entry(1, 2, 200), entry(2, 3, 5), entry(2, 4, 6)])
  note()
  storage.applySnapshot({
    data: Buffer.alloc(0),
    metadata: { conf_state: undefined, index: 9, term: 2 },
  })
  note()
  const head = 16 // each entry counts for that beside its data
  const [four, three] = [4 * head, 3 * head]
  expect(sizes).toEqual([1000 + four, 311 + four, 211 + three, 211 + three, 0])
})

test('its tail is as long as its limit of bytes lets it be', () => {
  const storage = new MemoryStorage()
  storage.append(Array.from({ length: 10 }, (_, at) => entry(1, at + 1, 84)))
  storage.compact(4)
  const limits = [600, 599, 500, 100, 99, 0]
  expect(limits.map((bytes) => storage.tailWithin(bytes))).toEqual([5, 6, 6, 10, 11, 11])
})

test('a snapshot of another member replaces all, one of our own nothing', () => {
  const storage = storageOf(1, 1, 1)
  const state = {
    voters: [1n],
    learners: [],
    voters_outgoing: [],
    learners_next: [],
    auto_leave: false,
  }
  const own = storage.createSnapshot(2, state, Buffer.from('x'))
  expect(own.metadata).toEqual({ conf_state: state, index: 2, term: 1 })
  expect([storage.firstIndex(), storage.lastIndex()]).toEqual([1, 3])
  storage.applySnapshot({ metadata: { conf_state: state, index: 9, term: 4 } })
  expect([storage.firstIndex(), storage.lastIndex(), storage.term(9)]).toEqual([10, 9, 4])
  expect(storage.initialState().confState).toEqual(state)
  expect(() => storage.createSnapshot(3, state, Buffer.alloc(0))).toThrow('snapshot at 3')
})
