// snap-file.test.ts: .snap files out and in, and which of several is taken.
import { expect, test } from 'vitest'
import { silentLog } from '../../src/platform/log.js'
import { CorruptionError } from '../../src/storage/errors.js'
import {
  decodeSnapFile,
  encodeSnapFile,
  purgeSnapFiles,
  readNewestSnapFile,
  type SnapFile,
  snapFileName,
  writeSnapFile,
} from '../../src/storage/snap-file.js'
import { FakeFiles, seededRandom } from '../support/fake-files.js'

const dir = '/snap'
const ids = [1n, 0xb39767d7bb8680en, 0xffff_ffff_ffff_fffdn] as const

const full: SnapFile = {
  index: 2 ** 40,
  term: 7,
  confState: {
    voters: [ids[0], ids[1]],
    learners: [ids[2]],
    voters_outgoing: [],
    learners_next: [],
    auto_leave: false,
  },
  tree: {
    members: [
      {
        id: ids[0],
        peerUrls: ['http://a:2380', 'unix://b:1'],
        isLearner: false,
        attributes: { name: 'näme "1"', clientUrls: ['http://a:2379'] },
      },
      { id: ids[1], peerUrls: ['http://c:2380'], isLearner: false },
      {
        id: ids[2],
        peerUrls: [],
        isLearner: true,
        attributes: { name: '', clientUrls: [] },
      },
    ],
    removed: [0x8000_0000_0000_0001n],
    version: '3.4.0',
  },
}

const at = (index: number, term = 1): SnapFile => ({
  ...full,
  index,
  term,
  tree: { members: [], removed: [] },
})

async function disk(seed = 3) {
  const files = new FakeFiles({ random: seededRandom(seed) })
  await files.makeDir(dir)
  await files.syncDir('/')
  return { files, options: { files, log: silentLog } }
}

async function change(files: FakeFiles, name: string, edit: (content: Buffer) => Buffer) {
  const content = edit(await files.readFile(`${dir}/${name}`))
  await files.remove(`${dir}/${name}`)
  const handle = await files.open(`${dir}/${name}`, 'create')
  await handle.write([content], 0)
  await handle.close()
}

test('ids of 64 bits, names and URLs come back as they were', () => {
  expect(decodeSnapFile('f', encodeSnapFile(full))).toEqual(full)
})

test('the tree holds what etcd looks for, and neither watchers nor statistics', () => {
  const text = encodeSnapFile(full).toString()
  expect(text).toContain('"Path":"/0/members/b39767d7bb8680e/raftAttributes","CreatedIndex":0,')
  expect(text).toContain('"Value":"{\\"peerURLs\\":[\\"http://c:2380\\"]}","Children":null}')
  expect(text).toContain('"Value":"{\\"peerURLs\\":[],\\"isLearner\\":true}","Children":null}')
  expect(text).toContain('"1":{"Path":"/1",')
  expect(text).not.toContain('WatcherHub')
  expect(encodeSnapFile(at(5)).toString()).not.toContain('removed_members')
})

test('the name gives the term first', () => {
  expect(snapFileName({ term: 2, index: 0x1234 })).toBe('0000000000000002-0000000000001234.snap')
})

test('a flipped bit anywhere is found', () => {
  const sound = encodeSnapFile(at(5))
  for (let position = 0; position < sound.length; position++) {
    const damaged = Buffer.from(sound)
    damaged[position] = (damaged[position] ?? 0) ^ (1 << (position % 8))
    // The last byte of the checksum has four bits that mean nothing.
    if (position === 5) expect(decodeSnapFile('f', damaged)).toEqual(at(5))
    else expect(() => decodeSnapFile('f', damaged), `${position}`).toThrow(CorruptionError)
  }
})

test('a file cut anywhere is found', () => {
  const sound = encodeSnapFile(at(5))
  for (let length = 0; length < sound.length; length++) {
    expect(() => decodeSnapFile('f', sound.subarray(0, length))).toThrow(CorruptionError)
  }
})

test('a written file survives a crash at once', async () => {
  for (let seed = 0; seed < 20; seed++) {
    const { files, options } = await disk(seed)
    await writeSnapFile(dir, full, options)
    files.crash()
    expect(await files.list(dir)).toEqual([snapFileName(full)])
    expect(await readNewestSnapFile(dir, () => true, options)).toEqual(full)
  }
})

test('at every moment of a power failure the file is there whole or not at all', async () => {
  for (let seed = 0; seed < 80; seed++) {
    const { files, options } = await disk(seed)
    files.powerFailsAfter(seed % 8)
    await writeSnapFile(dir, full, options).catch(() => {})
    files.crash()
    const found = await readNewestSnapFile(dir, () => true, options)
    expect([undefined, full]).toContainEqual(found)
    expect((await files.list(dir)).filter((name) => name.endsWith('.broken'))).toEqual([])
  }
})

test('the newest file in name order that the log knows is taken', async () => {
  const { options } = await disk()
  for (const snap of [at(900, 1), at(20, 2), at(30, 2)]) await writeSnapFile(dir, snap, options)
  expect(await readNewestSnapFile(dir, () => true, options)).toMatchObject({ term: 2, index: 30 })
  const known = ({ index }: { index: number }) => index !== 30
  expect(await readNewestSnapFile(dir, known, options)).toMatchObject({ term: 2, index: 20 })
  expect(await readNewestSnapFile(dir, () => false, options)).toBeUndefined()
})

test('a damaged file is set aside and the one before it taken', async () => {
  const { files, options } = await disk()
  for (const snap of [at(10), at(20), at(30)]) await writeSnapFile(dir, snap, options)
  await change(files, snapFileName(at(30)), (content) => content.subarray(0, 50))
  await change(files, snapFileName(at(20)), () => Buffer.alloc(0))
  expect(await readNewestSnapFile(dir, () => true, options)).toMatchObject({ index: 10 })
  expect(await files.list(dir)).toEqual([
    snapFileName(at(10)),
    `${snapFileName(at(20))}.broken`,
    `${snapFileName(at(30))}.broken`,
  ])
})

test('five files are kept, and no database that a newer one overtook', async () => {
  const { files, options } = await disk()
  for (let index = 1; index <= 7; index++) await writeSnapFile(dir, at(index), options)
  for (const name of ['0000000000000006.snap.db', '0000000000000007.snap.db', 'db']) {
    await (await files.open(`${dir}/${name}`, 'create')).close()
  }
  await purgeSnapFiles(dir, options)
  expect(await files.list(dir)).toEqual(
    [
      ...[3, 4, 5, 6].map((index) => snapFileName(at(index))),
      '0000000000000007.snap.db',
      snapFileName(at(7)),
      'db',
    ].sort(),
  )
})
