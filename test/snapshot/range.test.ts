// range.test.ts: what a snapshot file answers is what the history in it says, at every revision and
// for every interval, and damage is told.
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { KeyValue } from '../../src/api/gen/kv.js'
import { snapshotRange } from '../../src/snapshot/range.js'
import type { Item } from '../../src/storage/bbolt/writer.js'
import { encodeRevision, metaKey } from '../../src/storage/schema.js'
import { inMemory } from '../storage/bbolt/databases.js'
import { database, record, snapshotOf } from './files.js'

interface Change {
  readonly key: string
  readonly isDeletion: boolean
}

type Pairs = Map<string, KeyValue>

/** The records of a history, and what lives after each revision: the index is the revision. */
function historyOf(changes: readonly Change[]): { records: Item[]; states: Pairs[] } {
  const records: Item[] = []
  let pairs: Pairs = new Map()
  const states: Pairs[] = [pairs, pairs]
  for (const { key, isDeletion } of changes) {
    const before = pairs.get(key)
    if (isDeletion && before === undefined) continue
    const main = states.length
    pairs = new Map(pairs)
    if (isDeletion) {
      records.push(record(main, key))
      pairs.delete(key)
    } else {
      const kv = KeyValue.fromPartial({
        ...{ key: Buffer.from(key), value: Buffer.from(`at ${main}`), mod_revision: `${main}` },
        create_revision: before?.create_revision ?? `${main}`,
        version: `${Number(before?.version ?? '0') + 1}`,
      })
      records.push({ key: encodeRevision(main, 0), value: KeyValue.encode(kv).finish() })
      pairs.set(key, kv)
    }
    states.push(pairs)
  }
  return { records, states }
}

const keys = fc.constantFrom('a', 'aa', 'ab', 'b', '\u0001', 'é')
const change = fc.record({ key: keys, isDeletion: fc.boolean() })

test('each revision has the pairs that its history left', async () => {
  const cases = fc.asyncProperty(
    fc.array(change, { maxLength: 30 }),
    keys,
    fc.option(fc.oneof(keys, fc.constant('\0')), { nil: '' }),
    async (changes, from, to) => {
      const { records, states } = historyOf(changes)
      const files = inMemory(await snapshotOf(database(records)))
      const last = states.length - 1
      const [key, range_end] = [Buffer.from(from), Buffer.from(to)]
      const isInside = ({ key: one }: KeyValue): boolean => {
        if (to === '') return key.equals(one)
        const isBelow = to === '\0' || Buffer.compare(one, range_end) < 0
        return Buffer.compare(one, key) >= 0 && isBelow
      }
      for (let revision = 0; revision <= last; revision++) {
        const request = { key, range_end, revision: `${revision}` }
        const { kvs, count, header } = await snapshotRange('s', request, { files })
        const state = states[revision === 0 ? last : revision] ?? new Map()
        const expected = [...state.values()]
          .filter(isInside)
          .sort((a, b) => Buffer.compare(a.key, b.key))
        expect(kvs).toEqual(expected)
        expect([count, header?.revision]).toEqual([`${expected.length}`, `${last}`])
      }
      const beyond = { key, revision: `${last + 1}` }
      await expect(snapshotRange('s', beyond, { files })).rejects.toThrow('future revision')
    },
  )
  await fc.assert(cases, { numRuns: 40 })
})

test('what was compacted is refused, what the compaction kept is there', async () => {
  const records = [record(3, 'a', '1'), record(7, 'b', '1')]
  const compacted = { key: metaKey.scheduledCompactRevision, value: encodeRevision(5, 0) }
  const files = inMemory(await snapshotOf(database(records, [compacted])))
  const at = (revision: number) =>
    snapshotRange('s', { key: Buffer.from('a'), revision: `${revision}` }, { files })
  await expect(at(4)).rejects.toThrow('required revision has been compacted')
  expect((await at(5)).kvs.map(({ value }) => String(value))).toEqual(['1'])
})

test('the marker of a raised revision is no key, and counts as a revision', async () => {
  const marker = { key: encodeRevision(1000, 0), value: Buffer.alloc(0) }
  const files = inMemory(await snapshotOf(database([record(2, 'a', '1'), marker])))
  const everything = { key: Buffer.from([0]), range_end: Buffer.from([0]) }
  const { kvs, header } = await snapshotRange('s', everything, { files })
  expect(kvs.map(({ key }) => String(key))).toEqual(['a'])
  expect(header?.revision).toBe('1000')
})

test('a record that does not decode is named with its place', async () => {
  const broken = { key: encodeRevision(3, 0), value: Buffer.from('0a01', 'hex') }
  const files = inMemory(await snapshotOf(database([record(2, 'a', '1'), broken])))
  await expect(snapshotRange('s', { key: Buffer.from('a') }, { files })).rejects.toThrow(
    /^cannot read s at \d+: the record does not decode$/,
  )
})
