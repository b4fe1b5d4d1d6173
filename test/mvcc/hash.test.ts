// HashKV against values that real servers gave for the same writes.
import { expect, test } from 'vitest'
import { Store } from '../../src/mvcc/store.js'
import { encodeRevision } from '../../src/storage/schema.js'
import { Model } from './model.js'

function put(store: Store, ...pairs: [string, string][]): void {
  for (const [key, value] of pairs) {
    const txn = store.begin()
    txn.put(Buffer.from(key), Buffer.from(value), 0n)
    txn.end()
  }
}

/** a=1, a=2, then in one transaction b=x and a deleted, then c empty: revision 5. */
function known(): Store {
  const store = new Store()
  put(store, ['a', '1'], ['a', '2'])
  const txn = store.begin()
  txn.put(Buffer.from('b'), Buffer.from('x'), 0n)
  txn.deleteRange(Buffer.from('a'), undefined)
  txn.end()
  put(store, ['c', ''])
  return store
}

function finish(store: Store): void {
  for (const _ of store.compactionSteps()) void _
}

test('an empty store hashes to the checksum of the bucket name', () => {
  expect(new Store().hashKv(0)).toEqual({
    hash: 1084519789,
    compactRevision: -1,
    hashRevision: 1,
  })
})

test('hashes are those of a real etcd, before and after compactions', () => {
  const store = known()
  expect(store.hashKv(5).hash).toBe(214715176)
  expect(store.hashKv(0).hash).toBe(214715176)
  expect(store.hashKv(3).hash).toBe(535221974)
  store.compact(3)
  expect(store.hashKv(5)).toEqual({ hash: 4225011044, compactRevision: 3, hashRevision: 5 })
  finish(store)
  expect(store.hashKv(5).hash).toBe(4225011044)
  store.compact(4)
  expect(store.hashKv(5).hash).toBe(3689099446)
  finish(store)
  expect(store.hashKv(5).hash).toBe(3689099446)
})

test('when every key is deleted, what the compaction has kept counts, as in etcd', () => {
  const store = known()
  store.compact(3)
  finish(store)
  const txn = store.begin()
  txn.deleteRange(Buffer.from('a'), Buffer.from('z'))
  txn.end()
  // Of b and c as they were put, and both of their tombstones.
  expect(store.hashKv(0)).toEqual({ hash: 3301365636, compactRevision: 3, hashRevision: 6 })
})

test('a revision below zero hashes nothing', () => {
  expect(known().hashKv(-3).hash).toBe(1084519789)
})

test('revisions that are to come or compacted have no hash', () => {
  const store = known()
  store.compact(4)
  expect(() => store.hashKv(6)).toThrow('future revision')
  expect(() => store.hashKv(3)).toThrow('compacted')
})

test('a compaction leaves the hash at its revision, made with the one compacted before', () => {
  const store = known()
  const before = store.hashKv(3)
  store.compact(3)
  finish(store)
  store.compact(4)
  const between = { ...before, compactRevision: -1 }
  expect(store.compactionHashes()).toEqual([between])
  finish(store)
  expect(store.compactionHashes().map(({ compactRevision }) => compactRevision)).toEqual([-1, 3])
  expect(store.hashKv(3)).toEqual(between)
  expect(store.hashKv(4)).toEqual(store.compactionHashes()[1])
})

// What etcd's compaction keeps is never nothing: the newest change stays, be it a deletion. So its
// hash leaves out all that it removes of what was old already. A HashKV that is asked for before it
// is through, or after a restart, has another rule: a deletion does not count as kept, and where
// nothing is kept nothing old is left out.
test('where every key is deleted, compactions and requests hash as in etcd 3.7.1', () => {
  const store = known()
  store.compact(4)
  finish(store)
  expect(store.hashKv(4)).toEqual({ hash: 2232757629, compactRevision: -1, hashRevision: 4 })
  const txn = store.begin()
  txn.deleteRange(Buffer.from('a'), Buffer.from('z'))
  txn.end()
  expect(store.hashKv(6)).toEqual({ hash: 1468954621, compactRevision: 4, hashRevision: 6 })
  store.compact(6)
  expect(store.hashKv(6)).toEqual({ hash: 1084519789, compactRevision: 6, hashRevision: 6 })
  finish(store)
  expect(store.hashKv(6)).toEqual({ hash: 3078305279, compactRevision: 4, hashRevision: 6 })
  expect(store.hashKv(4)).toEqual({ hash: 2232757629, compactRevision: -1, hashRevision: 4 })
})

test('a compaction that overtakes another leaves no hash, nor does one resumed by a restart', () => {
  const store = known()
  store.compact(3)
  store.compact(4)
  finish(store)
  expect(store.compactionHashes().map(({ hashRevision }) => hashRevision)).toEqual([3])
  expect(store.hashKv(4).compactRevision).toBe(4)

  const records = [...known().records()].map(({ main, sub, tombstone, encoded }) => ({
    key: encodeRevision(main, sub, tombstone),
    value: Buffer.from(encoded),
  }))
  const restarted = new Store()
  const restoring = restarted.restoring({ source: 'db', scheduledCompactRevision: 3 })
  // The member before was stopped when it had removed the first record.
  for (const record of records.slice(1)) restoring.add(record)
  restoring.finish()
  finish(restarted)
  expect(restarted.finishedCompactRevision).toBe(3)
  expect(restarted.compactionHashes()).toEqual([])
  expect(restarted.hashKv(5)).toEqual({ hash: 4225011044, compactRevision: 3, hashRevision: 5 })
  restarted.compact(4)
  finish(restarted)
  expect(restarted.compactionHashes().map(({ hashRevision }) => hashRevision)).toEqual([4])
})

test('the hashes of the last ten compactions are kept', () => {
  const store = known()
  put(store, ...Array.from({ length: 12 }, (_, i): [string, string] => ['k', String(i)]))
  for (let revision = 3; revision < 15; revision++) {
    store.compact(revision)
    finish(store)
  }
  expect(store.compactionHashes().map(({ hashRevision }) => hashRevision)).toEqual([
    5, 6, 7, 8, 9, 10, 11, 12, 13, 14,
  ])
  expect(() => store.hashKv(4)).toThrow('compacted')
  expect(store.hashKv(5).hashRevision).toBe(5)
})

test('a hash made in slices is that of its beginning, whatever happens meanwhile', () => {
  const store = known()
  put(store, ...Array.from({ length: 25_000 }, (_, i): [string, string] => ['k', String(i)]))
  store.compact(4)
  const expected = store.hashKv(0)
  const steps = store.hashKvSteps(0)
  const compaction = store.compactionSteps(3)
  steps.next()
  put(store, ['a', 'later'], ['k', 'later'])
  store.compact(20_000)
  for (let i = 0; i < 10; i++) expect(compaction.next().done).toBe(false)
  let step = steps.next()
  while (!step.done) step = steps.next()
  expect(step.value).toEqual(expected)
  for (const _ of compaction) void _
  expect(store.finishedCompactRevision).toBe(20_000)
})

test('records larger than the gathering buffer hash like small ones', () => {
  const pairs: [string, string][] = [
    ['a', 'x'.repeat(70_000)],
    ['b', 'y'.repeat(65_500)],
    ['c', 'z'],
  ]
  const store = new Store()
  const model = new Model()
  put(store, ...pairs)
  for (const [key, value] of pairs) model.write([{ kind: 'put', key, value, lease: 0n }])
  expect(store.hashKv(0).hash).toBe(model.hash(4, -1))
})
