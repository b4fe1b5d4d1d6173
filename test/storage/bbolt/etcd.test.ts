// etcd.test.ts: databases between this reader and writer and etcd's: what one writes, the other
// reads. The oracle is `etcdctl snapshot status`, which checks every page and hashes every item.
import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { checkDatabase } from '../../../src/storage/bbolt/check.js'
import { openDatabase } from '../../../src/storage/bbolt/reader.js'
import { type Bucket, saveDatabase, type WriteOptions } from '../../../src/storage/bbolt/writer.js'
import { crc32c } from '../../../src/storage/crc32c.js'
import { encodeRevision } from '../../../src/storage/schema.js'
import { describeWithEtcd } from '../../support/real-etcd.js'
import { bucketsArbitrary, files, numbered, temporaryDir } from './databases.js'

async function etcdctlStatus(file: string) {
  const env = { PATH: process.env.PATH, ETCDCTL_API: '3' }
  const words = ['snapshot', 'status', file, '-w', 'json']
  const { stdout } = await promisify(execFile)('etcdctl', words, { env })
  return JSON.parse(stdout) as {
    hash: number
    revision: number
    totalKey: number
    totalSize: number
  }
}

/** What etcdctl's status should say of these buckets: 3.4 counts the items of all of them. */
function expectedStatus(buckets: readonly Bucket[]) {
  let hash = 0
  let totalKey = 0
  for (const { name, items } of buckets) {
    hash = crc32c(Buffer.from(name), hash)
    for (const { key, value } of items) {
      hash = crc32c(value, crc32c(key, hash))
      totalKey++
    }
  }
  return { hash, totalKey }
}

/** etcdctl takes the keys of the bucket `key` for revisions. */
function withoutKeyBucket(buckets: readonly Bucket[]): Bucket[] {
  return buckets.map(({ name, items }) => ({ name: name === 'key' ? 'kez' : name, items }))
}

describeWithEtcd('etcd and databases written here', () => {
  test('etcdctl finds random databases sound and hashes them alike', async () => {
    await using place = await temporaryDir()
    await fc.assert(
      fc.asyncProperty(bucketsArbitrary, async (random) => {
        const buckets = withoutKeyBucket(random)
        const { sizeBytes } = await saveDatabase(place.file('db'), buckets, { files })
        expect(await etcdctlStatus(place.file('db'))).toMatchObject({
          ...expectedStatus(buckets),
          totalSize: sizeBytes,
        })
      }),
      { numRuns: 25 },
    )
  })

  const sizes: [what: string, count: number, valueSize: number, options?: WriteOptions][] = [
    ['no item', 0, 0],
    ['one item', 1, 0],
    ['an inline bucket just below the limit', 1, 984],
    ['a bucket just above the inline limit', 1, 985],
    ['items that fill pages exactly', 40, 1996],
    ['values one byte over a page', 40, 4065],
    ['values of megabytes', 4, 1_500_000],
    ['60,000 items', 60_000, 30],
    ['pages of 1024 bytes', 3000, 30, { pageSizeBytes: 1024 }],
    ['pages of 16384 bytes', 3000, 30, { pageSizeBytes: 16384 }],
  ]

  for (const [what, count, valueSize, options] of sizes) {
    test(`etcdctl finds a database sound with ${what}`, async () => {
      await using place = await temporaryDir()
      const buckets = [
        { name: 'a', items: numbered(count, valueSize) },
        { name: 'key', items: [{ key: encodeRevision(7, 0), value: Buffer.alloc(0) }] },
      ]
      await saveDatabase(place.file('db'), buckets, { files, ...options })
      const status = await etcdctlStatus(place.file('db'))
      expect(status).toMatchObject({ ...expectedStatus(buckets), revision: 7 })
    })
  }
})

test('a database that a real etcd wrote checks clean and has its ten buckets', async () => {
  const file = 'fixtures/disk/bbolt/etcd-3.4.23.snapshot'
  expect((await checkDatabase(file, { files })).findings).toEqual([])
  const database = await openDatabase(file, { files })
  expect(database.bucketNames).toEqual([
    ...['alarm', 'auth', 'authRoles', 'authUsers', 'cluster'],
    ...['key', 'lease', 'members', 'members_removed', 'meta'],
  ])
  await database.close()
})
