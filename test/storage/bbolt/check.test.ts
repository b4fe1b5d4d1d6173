// check.test.ts: databases that are wrong in one way each. The check names the place, the reader
// refuses what it cannot read safely, and neither goes on for ever.
import { writeFile } from 'node:fs/promises'
import { expect, test } from 'vitest'
import { checkDatabase } from '../../../src/storage/bbolt/check.js'
import { type Meta, readMeta, writeMeta } from '../../../src/storage/bbolt/meta.js'
import { pageFlag, writeId, writePageHeader } from '../../../src/storage/bbolt/page.js'
import { openDatabase } from '../../../src/storage/bbolt/reader.js'
import { planDatabase } from '../../../src/storage/bbolt/writer.js'
import { files, numbered, readContents, temporaryDir } from './databases.js'

const pageSizeBytes = 1024

/**
 * A file of 1024-byte pages. Bucket `key` has a root branch on page 8 over leaves 2 to 7 with five
 * items each: 00000000, 00000002, … 00000008 in the first, 00000010 and on in the next. Bucket
 * `small` is inline, and page 9 is the root bucket.
 */
async function sound(): Promise<Buffer> {
  const even = numbered(60, 176).filter((_, at) => at % 2 === 0)
  const plan = await planDatabase(
    [
      { name: 'key', items: even },
      { name: 'small', items: numbered(2, 3) },
    ],
    { pageSizeBytes },
  )
  const chunks: Buffer[] = []
  for await (const chunk of plan.chunks()) chunks.push(chunk)
  return Buffer.concat(chunks)
}

const branch = 8 * pageSizeBytes
const page = (id: number): number => id * pageSizeBytes
/** The record of child `at` in the branch. */
const child = (at: number): number => branch + 16 + 16 * at
/** The record of item `at` in leaf `id`. */
const item = (id: number, at: number): number => page(id) + 16 + 16 * at

interface Case {
  what: string
  damage: (bytes: Buffer) => Buffer | undefined
  finding: string
  /** The reader takes it: it can be read, though etcd could not live with it. */
  isReadable?: boolean
}

const cases: Case[] = [
  {
    what: 'a page with another id',
    damage: (bytes) => void writeId(bytes, 77, page(3)),
    finding: 'at 3072: page 77, expected page 3',
  },
  {
    what: 'a page with two flags',
    damage: (bytes) => void bytes.writeUInt16LE(3, page(3) + 8),
    finding: 'at 3080: page flags 3, expected page flags 1, 2, 4 or 16',
  },
  {
    what: 'a freelist page in a tree',
    damage: (bytes) => void bytes.writeUInt16LE(pageFlag.freelist, page(3) + 8),
    finding: 'at 3080: page flags 16, expected a branch or a leaf',
  },
  {
    what: 'an overflow that leaves the file',
    damage: (bytes) => void bytes.writeUInt32LE(7, page(3) + 12),
    finding: 'at 3084: 7 overflow pages, expected at most 6 overflow pages',
  },
  {
    what: 'an overflow over a page that is in use',
    damage: (bytes) => void bytes.writeUInt32LE(1, page(3) + 12),
    finding: 'at 4096: a second use of it, expected page 4 in one place',
  },
  {
    what: 'more elements than a page holds',
    damage: (bytes) => void bytes.writeUInt16LE(64, page(3) + 10),
    finding: 'at 3082: 64 elements, expected elements within 1024 bytes',
  },
  {
    what: 'a child outside the file',
    damage: (bytes) => void writeId(bytes, 10, child(1) + 8),
    finding: 'at 8232: page 10, expected a page from 2 to 9',
  },
  {
    what: 'a child id beyond all numbers',
    damage: (bytes) => void bytes.writeBigUInt64LE(2n ** 64n - 1n, child(1) + 8),
    finding: 'at 8232: page 18446744073709552000, expected a page from 2 to 9',
  },
  {
    what: 'a child that is a meta page',
    damage: (bytes) => void writeId(bytes, 1, child(1) + 8),
    finding: 'at 8232: page 1, expected a page from 2 to 9',
  },
  {
    what: 'a branch that is its own child',
    damage: (bytes) => void writeId(bytes, 8, child(1) + 8),
    finding: 'at 8192: a second use of it, expected page 8 in one place',
  },
  {
    what: 'a page with two parents',
    damage: (bytes) => void writeId(bytes, 2, child(1) + 8),
    finding: 'at 2048: a second use of it, expected page 2 in one place',
  },
  {
    what: 'a key that is not above the one before',
    damage: (bytes) => void bytes.write('00000010', keyAt(bytes, 3, 1)),
    finding: `: a lower or equal key, expected a key above the one before`,
  },
  {
    what: 'a branch key that is not above the one before',
    damage: (bytes) => void bytes.write('00000000', childKeyAt(bytes, 1)),
    finding: ': a lower or equal key, expected a key above the one before',
  },
  {
    what: 'a key below what the parent says',
    damage: (bytes) => void bytes.write('00000009', keyAt(bytes, 3, 0)),
    finding: ": a lower key, expected a key not below the parent's",
  },
  {
    what: "a key that belongs under the parent's next",
    damage: (bytes) => void bytes.write('00000020', keyAt(bytes, 3, 4)),
    finding: ": a higher or equal key, expected a key below the parent's next",
  },
  {
    what: 'a branch key that is only near the first key of its child',
    damage: (bytes) => void bytes.write('00000009', childKeyAt(bytes, 1)),
    finding: ': another, expected the key that the parent names',
    isReadable: true,
  },
  {
    what: 'a branch with one child',
    damage: (bytes) => void bytes.writeUInt16LE(1, branch + 10),
    finding: 'at 8202: 1 child, expected at least 2 children',
    isReadable: true,
  },
  {
    what: 'a branch with no child',
    damage: (bytes) => void bytes.writeUInt16LE(0, branch + 10),
    finding: 'at 8202: 0, expected 1 to 63 elements',
  },
  {
    what: 'an empty leaf under a branch',
    damage: (bytes) => void bytes.writeUInt16LE(0, page(3) + 10),
    finding: 'at 3082: none, expected at least one element',
  },
  {
    what: 'an item that leaves its page',
    damage: (bytes) => void bytes.writeUInt32LE(1000, item(3, 1) + 4),
    finding: 'expected a key and a value between 96 and 1024 in the page',
  },
  {
    what: 'sizes that overflow 32 bits together',
    damage: (bytes) => void bytes.writeUInt32LE(0xffffffff, item(3, 1) + 12),
    finding: 'expected a key and a value between 96 and 1024 in the page',
  },
  {
    what: 'a key without bytes',
    damage: (bytes) => void bytes.writeUInt32LE(0, item(3, 1) + 8),
    finding: 'expected a key and a value between 96 and 1024 in the page',
  },
  {
    what: 'a bucket inside a bucket',
    damage: (bytes) => void bytes.writeUInt32LE(1, item(3, 1)),
    finding: 'at 3104: leaf flags 1, expected leaf flags 0',
  },
  {
    what: 'a root item that is no bucket',
    damage: (bytes) => void bytes.writeUInt32LE(0, item(9, 0)),
    finding: 'at 9232: leaf flags 0, expected leaf flags 1',
  },
  {
    what: 'an inline bucket that says it is a branch',
    damage: (bytes) => void bytes.writeUInt16LE(1, inlineAt(bytes) + 8),
    finding: 'expected an inline leaf with id 0',
  },
  {
    what: 'a bucket too short for its header',
    damage: (bytes) => void bytes.writeUInt32LE(15, item(9, 1) + 12),
    finding: ': 15, expected a bucket of at least 16 bytes',
  },
  {
    what: 'a bucket root outside the file',
    damage: (bytes) => void writeId(bytes, 99, bytes.indexOf('key', page(9)) + 3),
    finding: ': page 99, expected a page from 2 to 9',
  },
]

for (const { what, damage, finding, isReadable } of cases) {
  test(`${what} is found${isReadable ? ', though it can be read' : ' and not read'}`, async () => {
    await using place = await temporaryDir()
    const bytes = await sound()
    const file = place.file('db')
    await writeFile(file, damage(bytes) ?? bytes)
    const { findings } = await checkDatabase(file, { files })
    expect(findings.map(({ message }) => message).join('\n')).toContain(finding)
    const read = readContents(file)
    if (isReadable) await read
    else await expect(read).rejects.toThrow(finding)
  })
}

test('the check goes on behind the damage and lists each', async () => {
  await using place = await temporaryDir()
  const bytes = await sound()
  writeId(bytes, 70, page(3))
  writeId(bytes, 71, page(5))
  await writeFile(place.file('db'), bytes)
  const { findings, findingCount } = await checkDatabase(place.file('db'), { files })
  expect(findings.map(({ offset, found }) => [offset, found])).toEqual([
    [3072, 'page 70'],
    [5120, 'page 71'],
  ])
  expect(findingCount).toBe(2)
})

test('what stands before the damage is read before the reader refuses', async () => {
  await using place = await temporaryDir()
  const bytes = await sound()
  writeId(bytes, 70, page(4))
  await writeFile(place.file('db'), bytes)
  const database = await openDatabase(place.file('db'), { files })
  const leaves = database.leaves('key')
  const first: string[] = []
  for (const _ of [2, 3]) first.push(String((await leaves.next()).value?.key(0)))
  expect(first).toEqual(['00000000', '00000010'])
  await expect(leaves.next()).rejects.toThrow('at 4096: page 70, expected page 4')
  await database.close()
})

const metaCases: [what: string, change: Partial<Meta>, finding: string][] = [
  ['a root outside the file', { root: 10 }, 'at 32: page 10, expected a root page from 2 to 9'],
  ['a root that is a meta page', { root: 1 }, 'at 32: page 1, expected a root page from 2 to 9'],
  ['fewer pages than can be', { highWaterMark: 2 }, 'at 56: 2, expected at least 3 pages'],
  [
    'more pages than the file has',
    { highWaterMark: 11 },
    'at 56: 11 pages of 1024 bytes, expected no more than the 10240 bytes of the file',
  ],
]

for (const [what, change, finding] of metaCases) {
  test(`a meta that names ${what} is refused`, async () => {
    await using place = await temporaryDir()
    await writeFile(place.file('db'), withMeta(await sound(), change))
    await expect(readContents(place.file('db'))).rejects.toThrow(finding)
    await expect(checkDatabase(place.file('db'), { files })).rejects.toThrow(finding)
  })
}

test('one damaged meta is survived, with whatever page it is, and two are not', async () => {
  await using place = await temporaryDir()
  for (const damaged of [[0], [1], [0, 1]]) {
    const bytes = await sound()
    for (const id of damaged) bytes.writeUInt8(0x55, page(id) + 20)
    await writeFile(place.file('db'), bytes)
    const read = readContents(place.file('db')).then(({ key }) => key?.length)
    if (damaged.length === 1) expect(await read).toBe(30)
    else await expect(read).rejects.toThrow('at 20: 85, expected version 2')
  }
})

test('a database of a big-endian machine is named as such', async () => {
  await using place = await temporaryDir()
  const bytes = await sound()
  for (const id of [0, 1]) bytes.subarray(page(id) + 16, page(id) + 20).reverse()
  await writeFile(place.file('db'), bytes)
  await expect(readContents(place.file('db'))).rejects.toThrow('a big-endian machine')
})

for (const [what, bytes] of [
  ['an empty file', Buffer.alloc(0)],
  ['a file of a few bytes', Buffer.from('hello')],
  ['a file of zeros', Buffer.alloc(100_000)],
  ['a file of ones', Buffer.alloc(100_000, 0xff)],
] as const) {
  test(`${what} is no database`, async () => {
    await using place = await temporaryDir()
    await writeFile(place.file('db'), bytes)
    await expect(readContents(place.file('db'))).rejects.toThrow('database')
  })
}

test('with a freelist on disk every page must be used or free', async () => {
  await using place = await temporaryDir()
  const file = place.file('db')
  const findingsWith = async (free: number[], isLong = false): Promise<string[]> => {
    await writeFile(file, withFreelist(await sound(), free, isLong))
    const { findings } = await checkDatabase(file, { files })
    return findings.map(({ expected, found }) => `${found}, expected ${expected}`)
  }
  // Pages 10 and 11 are added, and 12 is the freelist itself.
  expect(await findingsWith([10, 11])).toEqual([])
  expect(await findingsWith([10, 11], true)).toEqual([])
  expect(await findingsWith([10])).toEqual(['neither: page 11, expected a page in use or free'])
  expect(await findingsWith([10, 11, 11])).toEqual([
    'it is used or listed already, expected page 11 to be free',
  ])
  expect(await findingsWith([5, 10, 11])).toEqual([
    'it is used or listed already, expected page 5 to be free',
  ])
  expect(await findingsWith([1, 10, 11])).toEqual(['page 1, expected a free page from 2 to 12'])
})

function keyAt(bytes: Buffer, id: number, at: number): number {
  return item(id, at) + bytes.readUInt32LE(item(id, at) + 4)
}

function childKeyAt(bytes: Buffer, at: number): number {
  return child(at) + bytes.readUInt32LE(child(at))
}

function inlineAt(bytes: Buffer): number {
  return bytes.indexOf('small', page(9)) + 'small'.length + 16
}

function withMeta(bytes: Buffer, change: Partial<Meta>): Buffer {
  for (const id of [0, 1]) {
    const target = bytes.subarray(page(id), page(id + 1))
    const reading = readMeta(target)
    if ('meta' in reading) writeMeta(target, id, { ...reading.meta, ...change })
  }
  return bytes
}

function withFreelist(bytes: Buffer, free: readonly number[], isLong: boolean): Buffer {
  const added = Buffer.alloc(3 * pageSizeBytes)
  const freelist = added.subarray(2 * pageSizeBytes)
  const count = isLong ? 0xffff : free.length
  writePageHeader(freelist, { id: 12, flags: pageFlag.freelist, count, overflow: 0 })
  for (const [at, id] of (isLong ? [free.length, ...free] : free).entries()) {
    writeId(freelist, id, 16 + 8 * at)
  }
  return withMeta(Buffer.concat([bytes, added]), { freelist: 12, highWaterMark: 13 })
}
