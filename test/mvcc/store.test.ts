// The store's rules, one by one, and all of them at once against a model.
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { Store, type Stored } from '../../src/mvcc/store.js'
import { encodeRevision } from '../../src/storage/schema.js'
import { codeOf } from '../support/error-code.js'
import { encoded, Model, type Version, type Write } from './model.js'
import { randomWrite } from './random-write.js'

const bytes = (text: string) => Buffer.from(text, 'latin1')
const maybeBytes = (text: string | undefined) => (text === undefined ? undefined : bytes(text))

function put(store: Store, key: string, value: string, lease = 0n): Stored {
  const txn = store.begin()
  const stored = txn.put(bytes(key), bytes(value), lease)
  txn.end()
  return stored
}

function remove(store: Store, key: string, end?: string): Stored[] {
  const txn = store.begin()
  const deleted = txn.deleteRange(bytes(key), maybeBytes(end))
  txn.end()
  return deleted
}

function compactAll(store: Store, revision: number): void {
  store.compact(revision)
  for (const _ of store.compactionSteps()) void _
}

const facts = ({ key, value, main, createRevision, version, lease }: Stored) => ({
  key: key.toString('latin1'),
  value: value.toString('latin1'),
  ...{ main, createRevision, version, lease },
})

const modelFacts = ({ key, value, main, createRevision, version, lease }: Version) => ({
  ...{ key, value, main, createRevision, version, lease },
})

test('a fresh store is at revision 1 and the first write makes 2', () => {
  const store = new Store()
  expect([store.revision, store.compactRevision]).toEqual([1, -1])
  expect(facts(put(store, 'a', '1'))).toMatchObject({ main: 2, createRevision: 2, version: 1 })
  expect(facts(put(store, 'a', '1'))).toMatchObject({ main: 3, createRevision: 2, version: 2 })
})

test('a key that comes back after a delete starts at version 1 with a new create revision', () => {
  const store = new Store()
  put(store, 'a', '1')
  put(store, 'a', '2')
  expect(remove(store, 'a').map(facts)).toMatchObject([{ value: '2', version: 2 }])
  expect(facts(put(store, 'a', '3'))).toMatchObject({ main: 5, createRevision: 5, version: 1 })
})

test('a transaction that changes nothing leaves the revision alone', () => {
  const store = new Store()
  put(store, 'a', '1')
  remove(store, 'b', 'z')
  store.begin().end()
  expect(store.revision).toBe(2)
})

test('all changes of a transaction share one revision and count their sub-revisions', () => {
  const store = new Store()
  for (const key of ['c', 'a', 'b']) put(store, key, 'x')
  const txn = store.begin()
  expect([txn.changed, txn.revision]).toEqual([false, 4])
  txn.put(bytes('d'), bytes('1'), 0n)
  expect([txn.changed, txn.revision]).toEqual([true, 5])
  expect(txn.range(bytes('a'), bytes('z')).items.map((item) => item.keyText)).toEqual(
    ['a', 'b', 'c', 'd'], // reads see own writes
  )
  txn.deleteRange(bytes('a'), bytes('c'))
  expect(txn.range(bytes('a'), bytes('z')).count).toBe(2)
  expect(txn.range(bytes('a'), bytes('z'), { revision: 4 }).count).toBe(3)
  expect(codeOf(() => txn.range(bytes('a'), undefined, { revision: 6 }))).toBe('futureRevision')
  expect(txn.end().map(({ keyText, main, sub }) => [keyText, main, sub])).toEqual([
    ['d', 5, 0],
    ['a', 5, 1],
    ['b', 5, 2],
  ])
  expect(store.revision).toBe(5)
})

test('a second transaction cannot begin inside the first', () => {
  const store = new Store()
  store.begin()
  expect(() => store.begin()).toThrow(/one write transaction/)
})

test.each([
  ['one key', 'b', undefined, ['b']],
  ['a key that is not there', 'bb', undefined, []],
  ['from and to', 'b', 'c', ['b', 'b\0', 'b\xff']],
  ['everything from a key on', 'b\xff', '\0', ['b\xff', 'c', '\xff\xff']],
  ['everything', '\0', '\0', ['a', 'b', 'b\0', 'b\xff', 'c', '\xff\xff']],
  ['an end below the start', 'c', 'a', []],
  ['an end equal to the start', 'b', 'b', []],
])('a range over %s', (_, key, end, expected) => {
  const store = new Store()
  for (const name of ['c', 'b\xff', 'a', '\xff\xff', 'b', 'b\0']) put(store, name, name)
  const { items, count } = store.range(bytes(key), maybeBytes(end))
  expect(items.map((item) => item.key.toString('latin1'))).toEqual(expected)
  expect(count).toBe(expected.length)
  expect(store.range(bytes(key), maybeBytes(end), { countOnly: true })).toEqual({
    items: [],
    count: expected.length,
  })
})

test('the count ignores the limit, at the newest revision and at an older one', () => {
  const store = new Store()
  for (let i = 0; i < 300; i++) put(store, `k${String(i).padStart(3, '0')}`, '')
  remove(store, 'k1', 'k2')
  const at = (revision: number, limit: number) => {
    const { items, count } = store.range(bytes('k0'), bytes('k3'), { revision, limit })
    return [items.length, count]
  }
  expect([at(0, 1), at(0, 0), at(0, 150), at(301, 1), at(301, 0), at(2, 5)]).toEqual([
    [1, 200],
    [200, 200],
    [150, 200],
    [1, 300],
    [300, 300],
    [1, 1],
  ])
})

test('revisions that are to come or compacted cannot be read or compacted', () => {
  const store = new Store()
  for (const value of ['1', '2', '3']) put(store, 'a', value)
  const read = (revision: number) => codeOf(() => store.range(bytes('a'), undefined, { revision }))
  expect([read(5), read(-1), codeOf(() => store.compact(5))]).toEqual([
    'futureRevision',
    undefined,
    'futureRevision',
  ])
  store.compact(3)
  expect([read(2), read(3), read(4)]).toEqual(['compacted', undefined, undefined])
  expect([1, 3].map((revision) => codeOf(() => store.compact(revision)))).toEqual([
    'compacted',
    'compacted',
  ])
  expect([store.scheduledCompactRevision, store.finishedCompactRevision]).toEqual([3, -1])
  for (const _ of store.compactionSteps()) void _
  expect([store.scheduledCompactRevision, store.finishedCompactRevision]).toEqual([3, 3])
  store.compact(4) // the newest revision can be compacted
})

test('a store that was never compacted accepts a compaction at 0, once', () => {
  const store = new Store()
  expect([0, 0].map((revision) => codeOf(() => store.compact(revision)))).toEqual([
    undefined,
    'compacted',
  ])
})

test('a tombstone at the compact revision stays until the next compaction', () => {
  const store = new Store()
  put(store, 'a', '1')
  remove(store, 'a')
  put(store, 'b', '1')
  const left = () => [...store.records()].map(({ keyText, main }) => `${keyText}${main}`)
  compactAll(store, 3)
  expect(left()).toEqual(['a3', 'b4'])
  compactAll(store, 4)
  expect(left()).toEqual(['b4'])
})

test('an iteration over records sees none of what happens after it began', () => {
  const store = new Store()
  for (let i = 0; i < 10; i++) put(store, 'a', String(i))
  const records = store.records(5)
  const values = () => [...records].map(({ value }) => value.toString())
  const before = values()
  put(store, 'a', 'new')
  compactAll(store, 12)
  expect(before).toEqual(['3', '4', '5', '6', '7', '8', '9'])
  expect(values()).toEqual(before)
})

test('views stay what they were when a compaction moves records together', () => {
  const store = new Store()
  const cold = Array.from({ length: 50 }, (_, i) => {
    for (let k = 0; k < 200; k++) put(store, 'hot', 'h'.repeat(500))
    return put(store, `cold${i}`, `value ${i}`)
  })
  const views = cold.map(({ value }) => value)
  const blocks = () => new Set(cold.map(({ encoded }) => encoded.buffer)).size
  expect(blocks()).toBeGreaterThan(20)
  compactAll(store, store.revision)
  put(store, 'hot', '')
  compactAll(store, store.revision)
  expect(blocks()).toBeLessThan(3)
  for (const [i, stored] of cold.entries()) {
    expect(stored.value.toString()).toBe(`value ${i}`)
    expect(views[i]?.toString()).toBe(`value ${i}`)
  }
})

test('a request buffer may be reused once a put returned', () => {
  const store = new Store()
  const request = Buffer.from('keyvalue')
  const txn = store.begin()
  const stored = txn.put(request.subarray(0, 3), request.subarray(3), 0n)
  txn.end()
  request.fill(0)
  expect([stored.key.toString(), stored.value.toString()]).toEqual(['key', 'value'])
})

const key = fc.constantFrom('a', 'ab', 'b', 'b\0', '\x80', '\xff', 'z')
const end = fc.constantFrom(undefined, undefined, 'b', 'c', '\xff', '\0')
const value = fc.string({ maxLength: 3 })
const write = randomWrite({ key, end, value, lease: fc.constantFrom(0n, 7n, -1n) })
const step = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({
      do: fc.constant('txn' as const),
      writes: fc.array(write, { maxLength: 4 }),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ do: fc.constant('compact' as const), back: fc.nat({ max: 8 }) }),
  },
  {
    weight: 2,
    arbitrary: fc.record({ do: fc.constant('work' as const), steps: fc.nat({ max: 4 }) }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('restart' as const) }) },
)

function run(store: Store, writes: readonly Write[]): void {
  const txn = store.begin()
  for (const one of writes) {
    if (one.kind === 'put') txn.put(bytes(one.key), bytes(one.value), one.lease)
    else txn.deleteRange(bytes(one.key), maybeBytes(one.end))
  }
  txn.end()
}

/** A new store from what a checkpoint of the old one would hold. */
function restarted(store: Store): Store {
  const next = new Store()
  const restoring = next.restoring({
    source: 'db',
    scheduledCompactRevision: store.scheduledCompactRevision,
    finishedCompactRevision: store.finishedCompactRevision,
  })
  for (const record of store.records()) {
    const { main, sub, tombstone, encoded: value } = record
    restoring.add({ key: encodeRevision(main, sub, tombstone), value })
  }
  restoring.finish()
  return next
}

function compare(store: Store, model: Model): void {
  expect([store.revision, store.compactRevision]).toEqual([model.revision, model.compactRevision])
  const oldest = Math.max(1, model.compactRevision)
  for (let revision = oldest; revision <= model.revision; revision++) {
    for (const [from, to] of [
      ['\0', '\0'],
      ['ab', '\x80'],
    ] as const) {
      const { items, count } = store.range(bytes(from), bytes(to), { revision })
      const expected = model.range(from, to, revision)
      expect(items.map(facts)).toEqual(expected.map(modelFacts))
      expect(count).toBe(expected.length)
      const limited = store.range(bytes(from), bytes(to), { revision, limit: 2 })
      expect(limited).toEqual({ items: items.slice(0, 2), count })
    }
    expect(store.hashKv(revision).hashRevision).toBe(revision)
  }
  expect(store.hashKv(0).hash).toBe(model.hash(model.revision, store.hashKv(0).compactRevision))
  expect(store.keyCount).toBe(model.range('\0', '\0', model.revision).length)
}

test('any history reads, hashes and restarts like a list of all versions', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60, size: 'max' }), (steps) => {
      let store = new Store()
      const model = new Model()
      let work: Generator<void> | undefined
      for (const one of steps) {
        if (one.do === 'txn') {
          run(store, one.writes)
          model.write(one.writes)
        } else if (one.do === 'compact') {
          const revision = model.revision - one.back
          if (revision <= Math.max(0, model.compactRevision)) continue
          store.compact(revision)
          model.compactRevision = revision
          work ??= store.compactionSteps(3)
        } else if (one.do === 'work') {
          for (let i = 0; i < one.steps; i++) if (work?.next().done) work = undefined
        } else {
          store = restarted(store)
          work = store.compactionSteps(3)
        }
      }
      compare(store, model)
      for (const _ of store.compactionSteps(3)) void _
      compare(store, model)
      const records = [...store.records()]
      expect(records.map(({ encoded: value }) => value)).toEqual(model.kept().map(encoded))
      const sizes = records.map(({ size, tombstone }) => size + (tombstone ? 18 : 17))
      expect(store.bytes).toBe(sizes.reduce((sum, size) => sum + size, 0))
      compare(restarted(store), model)
    }),
    { numRuns: 200 },
  )
})
