// data-dir.test.ts: what openDataDir makes, refuses and takes away. Locks are tried on real files
// and processes; the rest on fake files.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import type { Files } from '../../src/platform/files.js'
import { systemFiles } from '../../src/platform/files.js'
import { type LogFields, silentLog } from '../../src/platform/log.js'
import { type DataDir, openDataDir } from '../../src/storage/data-dir.js'
import { type LockOwner, lockedByEtcd, thisProcess } from '../../src/storage/dir-lock.js'
import { DataDirError } from '../../src/storage/errors.js'
import { FakeFiles, seededRandom } from '../support/fake-files.js'
import { describeWithEtcd, startRealEtcd } from '../support/real-etcd.js'

const dir = '/data'
const walName = '0000000000000000-0000000000000000.wal'
const laterWalName = '0000000000000003-0000000000000100.wal'
const snapName = '0000000000000001-0000000000000010.snap'

/** Files and directories (ending in a slash) that are there before. */
async function diskWith(...names: string[]): Promise<FakeFiles> {
  const files = new FakeFiles({ random: seededRandom(5) })
  for (const name of names) {
    await files.makeDir(name.slice(0, name.lastIndexOf('/')))
    if (!name.endsWith('/')) await (await files.open(name, 'create')).close()
  }
  return files
}

const open = (files: Files, more: { walDir?: string; owner?: LockOwner } = {}) =>
  openDataDir(dir, { files, log: silentLog, ...more })

test('a new directory is made with all its parts, and they outlive a crash', async () => {
  const files = await diskWith('/')
  const opened = await open(files)
  expect(opened).toMatchObject({
    fresh: true,
    hasLog: false,
    hasDb: false,
    snapDir: '/data/member/snap',
    walDir: '/data/member/wal',
    dbFile: '/data/member/snap/db',
  })
  files.crash()
  expect(await files.stat('/data/member/snap')).toMatchObject({ isDirectory: true })
})

test('the lock is gone after a close, and nothing else is left', async () => {
  const files = await diskWith('/')
  const opened = await open(files)
  expect(await files.list('/data/member')).toEqual(['snap', 'tsctl.lock'])
  await opened.close()
  expect(await files.list('/data')).toEqual(['member'])
  expect(await files.list('/data/member')).toEqual(['snap'])
  expect(await files.list('/data/member/snap')).toEqual([])
})

const refused: [name: string, present: string[], message: RegExp][] = [
  [
    'of something else',
    ['/data/package.json', '/data/src/', '/data/a', '/data/b'],
    /^data-dir "\/data" is not a directory of etcd: found "a", "b", "package.json" and 1 more, and no "member"$/,
  ],
  ['of a proxy', ['/data/member/wal/', '/data/proxy/'], /etcd proxy: it holds "proxy"$/],
  ['whose member is something else', ['/data/member/x'], /found "x", and neither "wal" nor "snap"/],
  ['that is a file', ['/data'], /^data-dir "\/data" is a file, not a directory$/],
  ['whose log directory holds other things', ['/data/member/wal/notes'], /^wal-dir .* no log$/],
  ['with a snapshot but no log', [`/data/member/snap/${snapName}`], /holds data but no log in/],
  [
    'with a snapshot and a log but no db',
    [`/data/member/snap/${snapName}`, `/data/member/wal/${walName}`],
    /holds a log but no \/data\/member\/snap\/db/,
  ],
  [
    'with the end of a log but no db',
    [`/data/member/wal/${laterWalName}`],
    /holds a log but no \/data\/member\/snap\/db/,
  ],
]

for (const [name, present, message] of refused) {
  test(`a directory ${name} is refused and stays as it is`, async () => {
    const files = await diskWith(...present)
    const failure = await open(files).catch((error: unknown) => error)
    expect(failure).toBeInstanceOf(DataDirError)
    expect(String((failure as Error).message)).toMatch(message)
    expect(String(failure)).not.toContain('\n')
    for (const file of present) expect(await files.exists(file)).toBe(true)
    const lock = '/data/member/tsctl.lock'
    expect((await files.stat(dir))?.isDirectory && (await files.exists(lock))).toBeFalsy()
  })
}

const accepted: [name: string, present: string[], found: Partial<DataDir>][] = [
  ['that is empty', ['/data/'], { fresh: true }],
  ['at the top of a file system', ['/data/lost+found/'], { fresh: true }],
  ['with other names beside member', ['/data/member/snap/', '/data/notes'], { fresh: true }],
  ['whose first start was cut short', ['/data/member/wal.tmp/x'], { fresh: true }],
  [
    'with a db alone, for the server to judge',
    ['/data/member/snap/db'],
    { fresh: false, hasDb: true, hasLog: false },
  ],
  [
    'with a whole log alone',
    [`/data/member/wal/${walName}`],
    { fresh: false, hasDb: false, hasLog: true },
  ],
  [
    'with log and db',
    [`/data/member/wal/${laterWalName}`, '/data/member/snap/db', `/data/member/snap/${snapName}`],
    { fresh: false, hasDb: true, hasLog: true },
  ],
  [
    'with a db still under the name it was received as',
    [`/data/member/wal/${laterWalName}`, '/data/member/snap/0000000000000200.snap.db'],
    { fresh: false, hasDb: false, hasLog: true },
  ],
]

for (const [name, present, found] of accepted) {
  test(`a directory ${name} is accepted`, async () => {
    const opened = await open(await diskWith(...present))
    expect(opened).toMatchObject(found)
    await opened.close()
  })
}

test('a log that is elsewhere is found there, and its absence explained', async () => {
  const files = await diskWith(`/elsewhere/${walName}`, '/data/member/snap/db')
  const opened = await open(files, { walDir: '/elsewhere' })
  expect(opened).toMatchObject({ hasLog: true, walDir: '/elsewhere' })
  await opened.close()
  const other = await diskWith(`/data/member/wal/${walName}`, '/data/member/snap/db')
  await expect(open(other, { walDir: '/elsewhere' })).rejects.toThrow(
    'no log in /elsewhere; one is in /data/member/wal',
  )
})

test('leftovers of a stopped process are deleted, and nothing else', async () => {
  const names = ['db', 'db.tmp.12', 'tmp123', snapName, 'x.snap.broken']
  const files = await diskWith(
    ...names.map((name) => `/data/member/snap/${name}`),
    `/data/member/wal/${walName}`,
  )
  await (await open(files)).close()
  expect(await files.list('/data/member/snap')).toEqual([snapName, 'db', 'x.snap.broken'])
})

test('names beside member are mentioned', async () => {
  const files = await diskWith('/data/member/snap/', '/data/notes')
  const warnings: LogFields[] = []
  const log = { ...silentLog, warn: (_: string, fields: LogFields = {}) => warnings.push(fields) }
  await (await openDataDir(dir, { files, log })).close()
  expect(warnings).toEqual([{ dir, names: ['notes'] }])
})

test('a directory that cannot be written to is refused with the reason', async () => {
  const files = await diskWith('/data/member/snap/')
  files.open = async (file) => {
    throw Object.assign(new Error(`EACCES: permission denied, open '${file}'`), { code: 'EACCES' })
  }
  await expect(open(files)).rejects.toThrow(
    `cannot write to directory "/data": EACCES: permission denied, open '/data/.touch'`,
  )
})

/** A process list in which only the given ones live. */
const owner = (identity: string, alive: readonly string[] = []): LockOwner => ({
  identity,
  isAlive: async (other) => alive.includes(other),
})

test('a second tsctl is refused while the first lives, and takes over when it is dead', async () => {
  const files = await diskWith('/')
  await open(files, { owner: owner('10 a') })
  await expect(open(files, { owner: owner('11 a', ['10 a']) })).rejects.toThrow(
    'data-dir "/data" is in use by process 10 (/data/member/tsctl.lock)',
  )
  const second = await open(files, { owner: owner('11 a') })
  await second.close()
  expect(await files.list('/data/member')).toEqual(['snap'])
})

test('a lock that another start has just taken over is left alone', async () => {
  const files = await diskWith('/')
  await open(files, { owner: owner('10 a') })
  const late: LockOwner = {
    identity: '12 a',
    async isAlive() {
      // Between our look at the lock and our taking it away, process 11 does both.
      await open(files, { owner: owner('11 a') })
      return false
    },
  }
  await expect(open(files, { owner: late })).rejects.toThrow('in use by another process')
  expect((await files.readFile('/data/member/tsctl.lock')).toString()).toBe('11 a\n')
})

async function temporaryDir(): Promise<string> {
  const made = await mkdtemp(path.join(tmpdir(), 'data-dir-'))
  onTestFinished(() => rm(made, { recursive: true, force: true }))
  return made
}

test('on a real disk the modes are right and the lock names this process', async () => {
  const real = path.join(await temporaryDir(), 'new.etcd')
  const opened = await openDataDir(real, { files: systemFiles, log: silentLog })
  for (const each of [real, `${real}/member`, `${real}/member/snap`]) {
    expect((await stat(each)).mode & 0o777).toBe(0o700)
  }
  const lock = `${real}/member/tsctl.lock`
  expect((await readFile(lock)).toString()).toMatch(new RegExp(`^${process.pid} `))
  await expect(openDataDir(real, { files: systemFiles, log: silentLog })).rejects.toThrow(
    `in use by process ${process.pid}`,
  )
  await opened.close()
  await (await openDataDir(real, { files: systemFiles, log: silentLog })).close()
})

test('a process counts as alive until it has ended', async () => {
  const child = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)'])
  const own = await thisProcess(systemFiles)
  const identity = own.identity.replace(/^\d+ \d+/, `${child.pid} ${await startOf(child.pid)}`)
  expect(await own.isAlive(identity)).toBe(true)
  expect(await own.isAlive(identity.replace(/^(\d+) \d+/, '$1 1'))).toBe(false)
  const ended = once(child, 'exit')
  child.kill('SIGKILL')
  await ended
  expect(await own.isAlive(identity)).toBe(false)
})

async function startOf(pid: number | undefined): Promise<string> {
  const text = (await readFile(`/proc/${pid}/stat`)).toString()
  return text.slice(text.lastIndexOf(')') + 2).split(' ')[19] ?? ''
}

test('a file without a lock on it is free', async () => {
  const file = path.join(await temporaryDir(), 'free')
  await writeFile(file, '')
  await symlink(file, `${file}-link`)
  expect(await lockedByEtcd([file, `${file}-link`, `${file}-missing`], systemFiles)).toBeUndefined()
})

describeWithEtcd('a real etcd', () => {
  test('that runs keeps us out, and lets us in when it has stopped', async () => {
    await using etcd = await startRealEtcd()
    const data = `${etcd.dir}/data`
    await expect(openDataDir(data, { files: systemFiles, log: silentLog })).rejects.toThrow(
      new RegExp(
        `^data-dir "${data}" is in use by (another )?process.*, which locks ${data}/member/`,
      ),
    )
    await etcd.stop()
    const opened = await openDataDir(data, { files: systemFiles, log: silentLog })
    expect(opened).toMatchObject({ fresh: false, hasDb: true, hasLog: true })
    await opened.close()
    await etcd.start()
  })
})
