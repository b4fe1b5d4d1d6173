// writer.test.ts: what is written reads back the same, checks clean, and does not depend on the way
// it was written.
import { readFile, stat, writeFile } from 'node:fs/promises'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { FileHandle, Files } from '../../../src/platform/files.js'
import { checkDatabase } from '../../../src/storage/bbolt/check.js'
import { openDatabase } from '../../../src/storage/bbolt/reader.js'
import {
  type Bucket,
  type BucketStream,
  createDatabase,
  type Item,
  planDatabase,
  saveDatabase,
  type WriteOptions,
} from '../../../src/storage/bbolt/writer.js'
import {
  bucketsArbitrary,
  contentsOf,
  files,
  numbered,
  readContents,
  temporaryDir,
} from './databases.js'

async function planned(buckets: readonly Bucket[], options?: WriteOptions): Promise<Buffer> {
  const plan = await planDatabase(buckets, options)
  const chunks: Buffer[] = []
  for await (const chunk of plan.chunks()) chunks.push(chunk)
  const bytes = Buffer.concat(chunks)
  expect(bytes.length).toBe(plan.sizeBytes)
  return bytes
}

/** The same items in batches of three. */
function streamed({ name, items }: Bucket): BucketStream {
  async function* batches(): AsyncGenerator<Item[]> {
    const all = [...items]
    for (let at = 0; at < all.length; at += 3) yield all.slice(at, at + 3)
  }
  return { name, batches: batches() }
}

for (const pageSizeBytes of [1024, 4096]) {
  test(`random buckets read back the same with pages of ${pageSizeBytes} bytes`, async () => {
    await using place = await temporaryDir()
    let run = 0
    await fc.assert(
      fc.asyncProperty(bucketsArbitrary, async (buckets) => {
        const file = place.file(`db${run++}`)
        await createDatabase(file, buckets.map(streamed), { files, pageSizeBytes })
        expect(await readContents(file)).toEqual(contentsOf(buckets))
        const { findings, sizeBytes } = await checkDatabase(file, { files })
        expect(findings).toEqual([])
        expect(sizeBytes).toBe((await stat(file)).size)
        expect((await planned(buckets, { pageSizeBytes })).equals(await readFile(file))).toBe(true)
      }),
      { numRuns: 60 },
    )
  })
}

test('60,000 small items and values of megabytes read back the same', async () => {
  await using place = await temporaryDir()
  const buckets = [
    { name: 'key', items: numbered(60_000, 20) },
    { name: 'large', items: numbered(3, 2_500_000) },
    { name: 'longest', items: [{ key: Buffer.alloc(32768, 1), value: Buffer.alloc(5) }] },
  ]
  await saveDatabase(place.file('db'), buckets, { files })
  expect(await readContents(place.file('db'))).toEqual(contentsOf(buckets))
})

test('the file has mode 0600, replaces the one before and leaves nothing beside it', async () => {
  await using place = await temporaryDir()
  await writeFile(place.file('db.tmp.1'), 'left by a crash')
  await saveDatabase(place.file('db'), [{ name: 'a', items: [] }], { files })
  await saveDatabase(place.file('db'), [{ name: 'b', items: numbered(1, 1) }], { files })
  expect((await stat(place.file('db'))).mode & 0o777).toBe(0o600)
  expect(await files.list(place.dir)).toEqual(['db'])
  const database = await openDatabase(place.file('db'), { files })
  expect(database.bucketNames).toEqual(['b'])
  expect(await database.get('b', Buffer.from('00000000'))).toEqual(Buffer.from('v'))
  expect(await database.get('b', Buffer.from('00000001'))).toBeUndefined()
  expect(await database.get('nosuch', Buffer.from('1'))).toBeUndefined()
  await database.close()
})

test('a disk that is full leaves the database that was there before', async () => {
  await using place = await temporaryDir()
  await saveDatabase(place.file('db'), [{ name: 'a', items: numbered(5, 5) }], { files })
  const before = await readFile(place.file('db'))
  const full = writesFail(files, 600_000)
  const buckets = [{ name: 'a', items: numbered(50_000, 50) }]
  await expect(saveDatabase(place.file('db'), buckets, { files: full })).rejects.toThrow('ENOSPC')
  expect(await files.list(place.dir)).toEqual(['db'])
  expect((await readFile(place.file('db'))).equals(before)).toBe(true)
})

test('other work gets its turn at least every thousand items and every chunk', async () => {
  let items = 0
  let itemsAtPause = 0
  let mostItems = 0
  let bytes = 0
  function* counted(): Generator<Item> {
    for (const item of numbered(20_000, 100)) {
      items++
      mostItems = Math.max(mostItems, items - itemsAtPause)
      yield item
    }
  }
  const pause = async (): Promise<void> => {
    itemsAtPause = items
  }
  const bucket = { name: 'key', items: { [Symbol.iterator]: counted } }
  const plan = await planDatabase([bucket], { pause })
  items = 0
  itemsAtPause = 0
  for await (const chunk of plan.chunks()) {
    bytes += chunk.length
    expect(chunk.length).toBeLessThanOrEqual(256 * 1024)
  }
  expect(bytes).toBe(plan.sizeBytes)
  expect(mostItems).toBeLessThanOrEqual(1024)
})

test('items that change between the two passes are noticed', async () => {
  let passes = 0
  const changing = { [Symbol.iterator]: () => numbered(100 * ++passes, 50)[Symbol.iterator]() }
  const plan = await planDatabase([{ name: 'key', items: changing }])
  await expect(async () => {
    for await (const _ of plan.chunks());
  }).rejects.toThrow('the items changed')
})

const refused: [what: string, items: Item[]][] = [
  [
    'keys that do not rise',
    [numbered(2, 1)[1], numbered(2, 1)[0]].filter((item) => item !== undefined),
  ],
  ['an empty key', [{ key: Buffer.alloc(0), value: Buffer.alloc(1) }]],
  ['a key above 32768 bytes', [{ key: Buffer.alloc(32769), value: Buffer.alloc(1) }]],
]

for (const [what, items] of refused) {
  test(`${what} is refused before anything of it is written`, async () => {
    await expect(planned([{ name: 'key', items }])).rejects.toThrow()
  })
}

/** Files whose disk is full after `room` bytes. */
function writesFail(real: Files, room: number): Files {
  return {
    ...real,
    async open(file, mode) {
      const handle = await real.open(file, mode)
      const write: FileHandle['write'] = async (buffers, position) => {
        const size = buffers.reduce((sum, { length }) => sum + length, 0)
        if (position + size > room) throw Object.assign(new Error('ENOSPC'), { code: 'ENOSPC' })
        await handle.write(buffers, position)
      }
      return { ...handle, write }
    },
  }
}
