// status.test.ts: figures, offline hash and verification, against what a real server said of the
// same data, and against files that are wrong.
import { readFile } from 'node:fs/promises'
import { expect, test } from 'vitest'
import { systemFiles } from '../../src/platform/files.js'
import { snapshotHashKv } from '../../src/snapshot/hashkv.js'
import { snapshotStatus } from '../../src/snapshot/status.js'
import { verifySnapshot } from '../../src/snapshot/verify.js'
import type { Bucket, Item } from '../../src/storage/bbolt/writer.js'
import { crc32c } from '../../src/storage/crc32c.js'
import { bucketNames, encodeRevision, metaKey } from '../../src/storage/schema.js'
import { inMemory } from '../storage/bbolt/databases.js'
import { database, record, recorded, recordedFile, snapshotOf } from './files.js'

const files = systemFiles

test('status of a file that etcd made is what etcdctl says, with live keys counted', async () => {
  const { status, kvs } = await recorded()
  expect(await snapshotStatus(recordedFile, { files })).toEqual({
    ...{ hash: status.hash, revision: status.revision, totalSize: status.totalSize },
    ...{ totalKey: kvs.length, version: '' },
  })
})

test('a key counts while its last record is a put, a bumped revision counts as one', async () => {
  const records = [record(2, 'a', '1'), record(3, 'b', '1'), record(4, 'a'), record(5, 'c', '')]
  const bytes = await snapshotOf(
    database(
      [...records, { key: encodeRevision(9, 0), value: Buffer.alloc(0) }],
      [{ key: metaKey.storageVersion, value: Buffer.from('3.6.0') }],
    ),
  )
  const status = await snapshotStatus('s', { files: inMemory(bytes) })
  expect(status).toMatchObject({ revision: 9, totalKey: 3, version: '3.6.0', totalSize: 12288 })
})

test('an empty database has revision 0 and no key', async () => {
  const bytes = await snapshotOf(database([]))
  const names = crc32c(Buffer.from(bucketNames.join('')))
  expect(await snapshotStatus('s', { files: inMemory(bytes) })).toEqual({
    ...{ hash: names, revision: 0, totalKey: 0, totalSize: 12288, version: '' },
  })
})

test('keys of every length are told apart', async () => {
  const lengths = [1, 126, 127, 128, 129, 300, 20_000]
  const records = lengths.map((length, at) => record(2 + at, 'k'.repeat(length), 'v'))
  const deletions = lengths.slice(3).map((length, at) => record(20 + at, 'k'.repeat(length)))
  const bytes = await snapshotOf(database([...records, ...deletions]))
  expect((await snapshotStatus('s', { files: inMemory(bytes) })).totalKey).toBe(3)
})

test('a file of many reads, large and small, is hashed as a whole', async () => {
  const records = Array.from({ length: 20_000 }, (_, at) => {
    const isLarge = at > 12_000 && at % 500 === 0
    const size = isLarge ? 70_000 : (at * 37) % 400
    return record(2 + at, `key/${at}`, 'v'.repeat(size))
  })
  const buckets = database(records)
  let hash = 0
  for (const { name, items } of buckets) {
    hash = crc32c(Buffer.from(name), hash)
    for (const { key, value } of items) hash = crc32c(value, crc32c(key, hash))
  }
  const options = { files: inMemory(await snapshotOf(buckets)) }
  const status = await snapshotStatus('s', options)
  expect(status).toMatchObject({ hash, totalKey: 20_000, revision: 20_001 })
  expect(status.totalSize).toBeGreaterThan(6_000_000)
})

test('a missing file and a directory are errors in words', async () => {
  await expect(snapshotStatus('/nosuch/s.db', { files })).rejects.toThrow(
    'stat /nosuch/s.db: no such file or directory',
  )
  await expect(snapshotStatus('/', { files })).rejects.toThrow('directory')
})

test('a damaged page fails the integrity check, with each finding on a line', async () => {
  const bytes = await snapshotOf(
    database(Array.from({ length: 200 }, (_, at) => record(2 + at, `${at}`, 'v'))),
  )
  bytes.writeUInt8(99, 2 * 4096)
  bytes.writeUInt8(99, 3 * 4096)
  await expect(snapshotStatus('s', { files: inMemory(bytes) })).rejects.toThrow(
    'snapshot file integrity check failed. 2 errors found.\n' +
      'database s at 8192: page 99, expected page 2\n' +
      'database s at 12288: page 99, expected page 3',
  )
})

test('HashKV of a file that etcd made is what its server says, at each revision', async () => {
  const { hashKv, hashKvAt90, revision } = await recorded()
  expect(await snapshotHashKv(recordedFile, { files })).toEqual({
    ...hashKv,
    hashRevision: revision,
  })
  expect(await snapshotHashKv(recordedFile, { files, revision: 90 })).toEqual({
    ...{ hash: hashKvAt90.hash, hashRevision: 90, compactRevision: 80 },
  })
})

test('HashKV of a compacted or a future revision is refused', async () => {
  await expect(snapshotHashKv(recordedFile, { files, revision: 79 })).rejects.toThrow('compacted')
  await expect(snapshotHashKv(recordedFile, { files, revision: 118 })).rejects.toThrow('future')
})

test('HashKV does not depend on how far an accepted compaction has come', async () => {
  const scheduled = { key: metaKey.scheduledCompactRevision, value: encodeRevision(5, 0) }
  const finished = { key: metaKey.finishedCompactRevision, value: encodeRevision(5, 0) }
  const [a, b, c, d, e] = [
    ...[record(2, 'a', '1'), record(3, 'b', '1'), record(4, 'a', '2')],
    ...[record(5, 'b'), record(6, 'c', '1')],
  ]
  const before = await snapshotOf(database([a, b, c, d, e].filter(isItem), [scheduled]))
  const after = await snapshotOf(database([c, e].filter(isItem), [finished, scheduled]))
  const options = { files: inMemory(before) }
  const hash = await snapshotHashKv('s', options)
  expect(hash).toMatchObject({ hashRevision: 6, compactRevision: 5 })
  expect(await snapshotHashKv('s', { files: inMemory(after) })).toEqual(hash)
})

test('HashKV of an emptied store does not depend on it either', async () => {
  const scheduled = { key: metaKey.scheduledCompactRevision, value: encodeRevision(3, 0) }
  const finished = { key: metaKey.finishedCompactRevision, value: encodeRevision(3, 0) }
  const [first, kept, end] = [record(2, 'a', '1'), record(3, 'a', '2'), record(4, 'a')]
  const before = await snapshotOf(database([first, kept, end], [scheduled]))
  const after = await snapshotOf(database([kept, end], [finished, scheduled]))
  const hash = await snapshotHashKv('s', { files: inMemory(before) })
  expect(await snapshotHashKv('s', { files: inMemory(after) })).toEqual(hash)
})

function isItem(item: Item | undefined): item is Item {
  return item !== undefined
}

test('nothing is found wrong with a file that etcd made', async () => {
  expect(await verifySnapshot(recordedFile, { files })).toEqual({
    ...{ digest: 'valid', findings: [], findingCount: 0 },
  })
})

test('a copy of a database is sound without a digest', async () => {
  const bytes = await snapshotOf(database([]))
  const report = await verifySnapshot('s', { files: inMemory(bytes.subarray(0, -32)) })
  expect(report).toMatchObject({ digest: 'missing', findingCount: 0 })
})

test('a change of any byte and a cut at any length is found', async () => {
  const bytes = await snapshotOf(database([record(2, 'a', '1')]), { pageSizeBytes: 1024 })
  const isClean = async (of: Uint8Array): Promise<boolean> => {
    const { digest, findingCount } = await verifySnapshot('s', { files: inMemory(of) })
    return digest === 'valid' && findingCount === 0
  }
  expect(await isClean(bytes)).toBe(true)
  for (let at = 0; at < bytes.length; at++) {
    const before = bytes.readUInt8(at)
    bytes.writeUInt8(before ^ (1 << (at % 8)), at)
    expect(await isClean(bytes)).toBe(false)
    bytes.writeUInt8(before, at)
  }
  for (let length = 0; length < bytes.length; length++) {
    expect(await isClean(bytes.subarray(0, length))).toBe(false)
  }
})

const contents: [what: string, buckets: Bucket[], finding: string][] = [
  [
    'a key that is no revision',
    database([{ key: Buffer.from('abc'), value: Buffer.alloc(0) }]),
    'key 616263 is no revision',
  ],
  [
    'a record that does not decode',
    database([{ key: encodeRevision(2, 0), value: Buffer.from([0x0a, 0x50, 1]) }]),
    'record 2/0 does not decode',
  ],
  [
    'a record that names another revision',
    database([{ key: encodeRevision(3, 0), value: record(2, 'a', '1').value }]),
    'record 3/0 says that it was modified at 2',
  ],
  [
    'a put and a deletion at one revision',
    database([record(2, 'a', '1'), record(2, 'a')]),
    'record 2/0 comes after 2/0',
  ],
  [
    'a damaged setting',
    database([], [{ key: metaKey.consistentIndex, value: Buffer.from('7') }]),
    'meta has an item that does not decode: consistent_index',
  ],
  ['a missing bucket', database([]).slice(0, 9), 'no bucket "meta"'],
]

for (const [what, buckets, finding] of contents) {
  test(`${what} is found`, async () => {
    const { findings } = await verifySnapshot('s', { files: inMemory(await snapshotOf(buckets)) })
    expect(findings.map(({ what: found }) => found)).toEqual([finding])
  })
}

test('one damaged meta is found, though the file can be used', async () => {
  const bytes = await readFile(recordedFile)
  bytes.writeUInt8(1, 4096 + 16)
  const { digest, findings } = await verifySnapshot('s', { files: inMemory(bytes) })
  expect(digest).toBe('wrong')
  expect(findings.map(({ offset }) => offset)).toEqual([4112, 102400])
  expect((await snapshotStatus('s', { files: inMemory(bytes) })).revision).toBe(117)
})
