// restore.test.ts: what a restore refuses, what it leaves behind when it fails, and what it makes.
// That a real etcd lives on what it makes is in etcd.test.ts.
import { mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises'
import { expect, test } from 'vitest'
import { type Files, systemFiles } from '../../src/platform/files.js'
import { silentLog } from '../../src/platform/log.js'
import {
  type RestoreOptions,
  restoreDefaults,
  restoreSnapshot,
} from '../../src/snapshot/restore.js'
import { snapshotStatus } from '../../src/snapshot/status.js'
import { verifySnapshot } from '../../src/snapshot/verify.js'
import { openDatabase } from '../../src/storage/bbolt/reader.js'
import {
  bucketNames,
  decodeRevision,
  decodeUint64,
  encodeUint64,
  metaKey,
} from '../../src/storage/schema.js'
import { readNewestSnapFile } from '../../src/storage/snap-file.js'
import { walSnapshots } from '../../src/storage/wal/reader.js'
import { openWal } from '../../src/storage/wal/writer.js'
import { type Contents, numbered, readContents, temporaryDir } from '../storage/bbolt/databases.js'
import { recordedFile, snapshotOf } from './files.js'

const parts = { files: systemFiles, log: silentLog }

async function restored(dataDir: string, change: Partial<RestoreOptions> = {}) {
  return restoreSnapshot(recordedFile, { ...restoreDefaults, dataDir, ...change }, parts)
}

test('the directory has what etcd expects, with its modes', async () => {
  await using place = await temporaryDir()
  const dataDir = place.file('data')
  const member = await restored(dataDir)
  expect(member.memberId.toString(16)).toBe('8e9e05c52164694d')
  expect(member.clusterId.toString(16)).toBe('cdf818194e3a8c32')
  expect((await readdir(dataDir, { recursive: true })).sort()).toEqual([
    ...['member', 'member/snap', 'member/snap/0000000000000001-0000000000000001.snap'],
    ...['member/snap/db', 'member/wal'],
    'member/wal/0000000000000000-0000000000000000.wal',
  ])
  for (const dir of ['', 'member', 'member/snap', 'member/wal']) {
    expect((await stat(`${dataDir}/${dir}`)).mode & 0o777).toBe(0o700)
  }
  expect((await stat(`${dataDir}/member/snap/db`)).mode & 0o777).toBe(0o600)
  expect((await verifySnapshot(`${dataDir}/member/snap/db`, parts)).findings).toEqual([])
})

// The whole log of a restored default member, as etcdutl 3.5 and 3.6 write it.
const recordedLog = [
  '040000000000008408041000000000002000000000000000080110bb81c7fc05',
  '1a1608cdd2918bd2b881cf8e0110b298eaf1948386fccd010e00000000000082',
  '08051094bbc7ed0e1a040800100000007400000000000084080210c2ee92950b',
  '1a6a08011001180122620800100018cdd2918bd2b881cf8e0122517b22696422',
  '3a31303237363635373734333933323937353433372c227065657255524c7322',
  '3a5b22687474703a2f2f6c6f63616c686f73743a32333830225d2c226e616d65',
  '223a2264656661756c74227d0000000019000000000000870803109b98d6c308',
  '1a0f080110cdd2918bd2b881cf8e011801000000000000001d00000000000083',
  '0805108d9eaeef0d1a13080110011a0d08cdd2918bd2b881cf8e012800000000',
].join('')

test('the log is byte for byte that of a real restore', async () => {
  await using place = await temporaryDir()
  const { walDir } = await restored(place.file('data'))
  const log = await readFile(`${walDir}/0000000000000000-0000000000000000.wal`)
  expect(log.subarray(0, 288).toString('hex')).toBe(recordedLog)
  expect(log.subarray(288).every((byte) => byte === 0)).toBe(true)
})

test('all buckets are kept but for the members and what the log says', async () => {
  await using place = await temporaryDir()
  await restored(place.file('data'))
  const before = await readContents(recordedFile)
  const after = await readContents(place.file('data/member/snap/db'))
  const changed: Contents = {
    members: [
      [
        '8e9e05c52164694d',
        '{"id":10276657743932975437,"peerURLs":["http://localhost:2380"],"name":"default"}',
      ],
    ],
    members_removed: [],
    meta: [
      ['consistent_index', encodeUint64(1).toString('latin1')],
      ...(before.meta ?? []).filter(([key]) => key !== 'consistent_index'),
      ['term', encodeUint64(1).toString('latin1')],
    ],
  }
  expect(after).toEqual({ ...before, ...changed })
})

test('the members of the old cluster and those it removed are forgotten', async () => {
  await using place = await temporaryDir()
  const buckets = bucketNames.map((name) => ({
    name,
    items: name.startsWith('members') ? [{ key: Buffer.from('1'), value: Buffer.from('old') }] : [],
  }))
  await writeFile(place.file('s'), await snapshotOf(buckets))
  await restoreSnapshot(place.file('s'), { ...restoreDefaults, dataDir: place.file('data') }, parts)
  const { members, members_removed } = await readContents(place.file('data/member/snap/db'))
  expect(members?.map(([key]) => key)).toEqual(['8e9e05c52164694d'])
  expect(members_removed).toEqual([])
})

test('buckets that the source lacks are made, for etcd dies without them', async () => {
  await using place = await temporaryDir()
  await writeFile(place.file('s'), await snapshotOf([{ name: 'other', items: numbered(2, 2) }]))
  await restoreSnapshot(place.file('s'), { ...restoreDefaults, dataDir: place.file('data') }, parts)
  const contents = await readContents(place.file('data/member/snap/db'))
  expect(Object.keys(contents).sort()).toEqual([...bucketNames, 'other'].sort())
  expect(contents.other?.length).toBe(2)
})

test('members restored from one file have one cluster and db, and their own logs', async () => {
  await using place = await temporaryDir()
  const names = ['a', 'b', 'c']
  const initialCluster = names.map((name, at) => `${name}=http://10.0.0.${at}:2380`).join(',')
  const dbs: Buffer[] = []
  for (const [at, name] of names.entries()) {
    const initialAdvertisePeerUrls = `http://10.0.0.${at}:2380`
    const dataDir = place.file(name)
    const member = await restored(dataDir, { name, initialCluster, initialAdvertisePeerUrls })
    dbs.push(await readFile(`${dataDir}/member/snap/db`))
    const log = `${dataDir}/member/wal`
    const [zero, snapshot] = await walSnapshots(log, parts)
    expect([zero, snapshot]).toEqual([
      { index: 0, term: 0 },
      { index: 3, term: 1 },
    ])
    const { wal, metadata, hardState, entries } = await openWal(log, { index: 0, term: 0 }, parts)
    await wal.close()
    expect(metadata).toEqual({ nodeId: member.memberId, clusterId: member.clusterId })
    expect(hardState).toEqual({ term: 1, vote: member.members[0]?.id, commit: 3 })
    expect(entries.map(({ Index }) => Index)).toEqual([1, 2, 3])
    const snap = await readNewestSnapFile(`${dataDir}/member/snap`, () => true, parts)
    const ids = member.members.map(({ id }) => id)
    expect(snap?.confState.voters).toEqual(ids)
    expect(snap?.tree.members.map(({ id }) => id).sort()).toEqual([...ids].sort())
  }
  expect(dbs[1]?.equals(dbs[0] ?? Buffer.alloc(0))).toBe(true)
  expect(dbs[2]?.equals(dbs[0] ?? Buffer.alloc(0))).toBe(true)
})

test('a bumped revision is above all others and marks them compacted', async () => {
  await using place = await temporaryDir()
  await restored(place.file('data'), { bumpRevision: 1_000_000_000, markCompacted: true })
  const db = place.file('data/member/snap/db')
  const { revision, totalKey } = await snapshotStatus(db, parts)
  expect(revision).toBe(1_000_000_117)
  // The mark counts as a key, as in etcd.
  expect(totalKey).toBe((await snapshotStatus(recordedFile, parts)).totalKey + 1)
  const database = await openDatabase(db, parts)
  const scheduled = await database.get('meta', metaKey.scheduledCompactRevision)
  expect(scheduled && decodeRevision(scheduled)?.main).toBe(1_000_000_117)
  const index = await database.get('meta', metaKey.consistentIndex)
  expect(index && decodeUint64(index)).toBe(1)
  await database.close()
})

test('a directory that is there and empty is used, and a log may be elsewhere', async () => {
  await using place = await temporaryDir()
  await mkdir(place.file('data'))
  const member = await restored(place.file('data'), { walDir: place.file('logs/wal') })
  expect(await readdir(place.file('logs/wal'))).toEqual(['0000000000000000-0000000000000000.wal'])
  expect(await readdir(`${member.dataDir}/member`)).toEqual(['snap'])
})

test('a copy of a database is restored when the hash check is skipped', async () => {
  await using place = await temporaryDir()
  const copy = place.file('copy.db')
  await writeFile(copy, (await readFile(recordedFile)).subarray(0, -32))
  const options = { ...restoreDefaults, dataDir: place.file('data') }
  await expect(restoreSnapshot(copy, options, parts)).rejects.toThrow(
    'snapshot missing hash but --skip-hash-check=false',
  )
  expect(await readdir(place.dir)).toEqual(['copy.db'])
  await restoreSnapshot(copy, { ...options, skipHashCheck: true }, parts)
})

const refused: [what: string, change: Partial<RestoreOptions>, message: string][] = [
  [
    'a bump without the mark',
    { bumpRevision: 5 },
    '--mark-compacted required if --revision-bump > 0',
  ],
  [
    'a mark without the bump',
    { markCompacted: true },
    '--mark-compacted required if --revision-bump > 0',
  ],
  [
    'a name that is not in the cluster',
    { name: 'x' },
    `couldn't find local name "x" in the initial cluster configuration`,
  ],
  [
    'a bump beyond all numbers',
    { bumpRevision: Number.MAX_SAFE_INTEGER, markCompacted: true },
    '--bump-revision leads to revision',
  ],
]

for (const [what, change, message] of refused) {
  test(`${what} is refused and leaves nothing`, async () => {
    await using place = await temporaryDir()
    await expect(restored(place.file('data'), change)).rejects.toThrow(message)
    expect(await readdir(place.dir)).toEqual([])
  })
}

test('a directory with anything in it, and a log directory, are not touched', async () => {
  await using place = await temporaryDir()
  await mkdir(place.file('data'))
  await writeFile(place.file('data/precious'), '')
  await expect(restored(place.file('data'))).rejects.toThrow(
    `data-dir "${place.file('data')}" not empty or could not be read`,
  )
  await expect(restored(place.file('data/precious'))).rejects.toThrow('not empty or could not be')
  await mkdir(place.file('wal'))
  await expect(restored(place.file('new'), { walDir: place.file('wal') })).rejects.toThrow(
    `wal-dir "${place.file('wal')}" exists`,
  )
  expect((await readdir(place.dir, { recursive: true })).sort()).toEqual([
    ...['data', 'data/precious', 'wal'],
  ])
})

test('a file that is missing or too short is an error in words', async () => {
  await using place = await temporaryDir()
  const options = { ...restoreDefaults, dataDir: place.file('data') }
  await expect(restoreSnapshot(place.file('no.db'), options, parts)).rejects.toThrow(
    `open ${place.file('no.db')}: no such file or directory`,
  )
  await writeFile(place.file('short'), 'hello')
  const skip = { ...options, skipHashCheck: true }
  await expect(restoreSnapshot(place.file('short'), skip, parts)).rejects.toThrow('database')
  expect(await readdir(place.dir)).toEqual(['short'])
})

test('a damaged file is refused before anything is made', async () => {
  await using place = await temporaryDir()
  const bytes = await readFile(recordedFile)
  for (let at = 0; at < bytes.length; at += 1009) {
    const before = bytes.readUInt8(at)
    bytes.writeUInt8(before ^ 0x20, at)
    await writeFile(place.file('s'), bytes)
    bytes.writeUInt8(before, at)
    const options = { ...restoreDefaults, dataDir: place.file('data') }
    await expect(restoreSnapshot(place.file('s'), options, parts)).rejects.toThrow('sha256')
    expect(await readdir(place.dir)).toEqual(['s'])
  }
})

test('whatever call fails, nothing is left', async () => {
  await using place = await temporaryDir()
  let calls = 0
  await restoreSnapshot(
    recordedFile,
    { ...restoreDefaults, dataDir: place.file('counted') },
    { ...parts, files: failingAt(() => ++calls < 0) },
  )
  for (let failing = 1; failing <= calls; failing++) {
    let call = 0
    await mkdir(place.file('empty'), { recursive: true })
    const options = { ...restoreDefaults, dataDir: place.file(failing % 2 === 0 ? 'empty' : 'new') }
    const files = failingAt(() => ++call === failing)
    await expect(restoreSnapshot(recordedFile, options, { ...parts, files })).rejects.toThrow()
    expect(await readdir(place.file('empty'))).toEqual([])
    expect((await readdir(place.dir)).sort()).toEqual(['counted', 'empty'])
  }
})

test('a restore that is given up leaves nothing', async () => {
  await using place = await temporaryDir()
  const options = { ...restoreDefaults, dataDir: place.file('data') }
  for (const callsBefore of [0, 1, 5]) {
    const controller = new AbortController()
    let calls = 0
    const progress = (): void => {
      if (++calls === callsBefore) controller.abort(new Error('given up'))
    }
    if (callsBefore === 0) controller.abort(new Error('given up'))
    const { signal } = controller
    const giving = restoreSnapshot(recordedFile, options, { ...parts, progress, signal })
    await expect(giving).rejects.toThrow('given up')
    expect(await readdir(place.dir)).toEqual([])
  }
})

/** Files of which one changing call fails with EIO. */
function failingAt(isDue: () => boolean): Files {
  const maybe = (): void => {
    if (isDue()) throw Object.assign(new Error('EIO: i/o error'), { code: 'EIO' })
  }
  return {
    ...systemFiles,
    async open(file, mode) {
      if (mode === 'read') return systemFiles.open(file, mode)
      maybe()
      const handle = await systemFiles.open(file, mode)
      return {
        ...handle,
        async write(buffers, position) {
          maybe()
          await handle.write(buffers, position)
        },
        async sync() {
          maybe()
          await handle.sync()
        },
      }
    },
    async makeDir(dir) {
      maybe()
      await systemFiles.makeDir(dir)
    },
    async rename(from, to) {
      maybe()
      await systemFiles.rename(from, to)
    },
    async syncDir(dir) {
      maybe()
      await systemFiles.syncDir(dir)
    },
  }
}
