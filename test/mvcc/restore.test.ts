// What a store makes of the key bucket of a db file, and what it refuses.
import { expect, test } from 'vitest'
import { KeyValue } from '../../src/api/gen/kv.js'
import { type BucketRecord, type RestoreOptions, Store } from '../../src/mvcc/store.js'
import { CorruptionError } from '../../src/storage/errors.js'
import { encodeRevision } from '../../src/storage/schema.js'

interface Pair {
  key: string
  value?: string
  create?: number
  version?: number
  lease?: bigint
}

function record(main: number, sub: number, pair: Pair | 'marker'): BucketRecord {
  if (pair === 'marker') return { key: encodeRevision(main, sub), value: Buffer.alloc(0) }
  const { key, value = '', create = main, version = 1, lease = 0n } = pair
  const message = {
    key: Buffer.from(key),
    create_revision: String(create),
    mod_revision: String(main),
    version: String(version),
    value: Buffer.from(value),
    lease: lease.toString(),
  }
  return { key: encodeRevision(main, sub), value: Buffer.from(KeyValue.encode(message).finish()) }
}

function tombstone(main: number, sub: number, key: string): BucketRecord {
  const bytes = Buffer.from(key)
  const value = Buffer.concat([Buffer.from([0x0a, bytes.length]), bytes])
  return { key: encodeRevision(main, sub, true), value }
}

function restored(records: BucketRecord[], options: Partial<RestoreOptions> = {}): Store {
  const store = new Store()
  const restoring = store.restoring({ source: 'db', ...options })
  for (const one of records) restoring.add(one)
  restoring.finish()
  return store
}

const history = [
  record(2, 0, { key: 'a', value: '1' }),
  record(2, 1, { key: 'b', value: '1', lease: 9n }),
  record(3, 0, { key: 'a', value: '2', create: 2, version: 2 }),
  tombstone(4, 0, 'a'),
]

test('records become keys with all their revisions', () => {
  const store = restored(history)
  const at = (revision: number) =>
    store
      .range(Buffer.from('a'), Buffer.from('z'), { revision })
      .items.map(({ value }) => `${value}`)
  expect([1, 2, 3, 4].map(at)).toEqual([[], ['1', '1'], ['2', '1'], ['1']])
  expect([store.revision, store.keyCount, store.compactRevision]).toEqual([4, 1, -1])
  const txn = store.begin()
  expect(txn.put(Buffer.from('b'), Buffer.from('2'), 0n)).toMatchObject({ version: 2, main: 5 })
  txn.end()
})

test('keys belong to the lease of their newest record', () => {
  const store = restored([
    ...history,
    record(5, 0, { key: 'c', lease: -3n }),
    record(6, 0, { key: 'd', lease: 9n }),
    record(7, 0, { key: 'd', create: 6, version: 2 }),
  ])
  expect(store.leasedKeys()).toEqual([
    { key: Buffer.from('b'), lease: 9n },
    { key: Buffer.from('c'), lease: -3n },
  ])
})

test.each([
  ['nothing', [], {}, 1, -1],
  ['the largest one seen', history, {}, 4, -1],
  [
    'the finished compaction',
    history,
    { finishedCompactRevision: 7, scheduledCompactRevision: 7 },
    7,
    7,
  ],
  [
    'the scheduled compaction',
    [],
    { finishedCompactRevision: 3, scheduledCompactRevision: 8 },
    8,
    8,
  ],
])('the revision comes from %s', (_, records, options, revision, compactRevision) => {
  const store = restored(records, options)
  expect([store.revision, store.compactRevision]).toEqual([revision, compactRevision])
})

test('a compaction that was scheduled and not finished goes on', () => {
  const store = restored(history, { finishedCompactRevision: 2, scheduledCompactRevision: 3 })
  expect([store.compactRevision, store.finishedCompactRevision, store.recordCount]).toEqual([
    3, 2, 4,
  ])
  for (const _ of store.compactionSteps()) void _
  expect([store.finishedCompactRevision, store.recordCount]).toEqual([3, 3])
})

test('the marker of bumped revisions raises the revision and is no key', () => {
  const store = restored([...history, record(1_000_004, 0, 'marker')], {
    scheduledCompactRevision: 1_000_004,
  })
  expect([store.revision, store.compactRevision]).toEqual([1_000_004, 1_000_004])
  const all = store.range(Buffer.from('\0'), Buffer.from('\0'))
  expect([all.count, all.items.map(({ keyText }) => keyText)]).toEqual([1, ['b']])
  for (const _ of store.compactionSteps()) void _
  expect([...store.records()].map(({ main, size }) => [main, size > 0])).toEqual([
    [2, true],
    [1_000_004, false],
  ])
})

test.each([
  ['a key of the wrong length', { ...record(5, 0, { key: 'c' }), key: Buffer.alloc(9) }],
  ['a revision that does not rise', record(4, 0, { key: 'c' })],
  ['a value that is no KeyValue', { key: encodeRevision(5, 0), value: Buffer.from('ff', 'hex') }],
  ['a value of another revision', { ...record(6, 0, { key: 'c' }), key: encodeRevision(5, 0) }],
  ['a tombstone with a value', { ...record(5, 0, { key: 'c' }), key: encodeRevision(5, 0, true) }],
])('%s is refused, and the store stays as it was', (_, bad) => {
  const store = restored(history)
  const restoring = store.restoring({ source: '/data/member/snap/db' })
  for (const one of history) restoring.add(one)
  expect(() => restoring.add(bad)).toThrow(CorruptionError)
  expect(() => restoring.add(bad)).toThrow('/data/member/snap/db')
  expect(store.keyCount).toBe(1)
})
