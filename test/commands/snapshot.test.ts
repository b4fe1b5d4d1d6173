// snapshot save and restore: their words, texts and exit codes, and what is left on the disk.
import { createHash } from 'node:crypto'
import {
  cp,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  rm,
  stat,
  symlink,
  writeFile,
} from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { writeBigSnapshot } from '../../scripts/big-snapshot.js'
import { type DeepPartial, SnapshotResponse } from '../../src/api/gen/rpc.js'
import { EtcdError } from '../../src/api/rpc-errors.js'
import { amountText } from '../../src/commands/spinner.js'
import { ConnectionError } from '../../src/connection/errors.js'
import { RpcError, Status } from '../../src/grpc/status.js'
import { systemFiles } from '../../src/platform/files.js'
import { memberId } from '../../src/storage/cluster-id.js'
import { connected, failure } from '../connection/connecting.js'
import { recordedFile } from '../snapshot/files.js'
import { readContents } from '../storage/bbolt/databases.js'
import { startCuttingProxy } from '../support/cutting-proxy.js'
import { startEmbedded } from '../support/embedded.js'
import { FakeFiles, seededRandom } from '../support/fake-files.js'
import { describeWithEtcd, startRealEtcd } from '../support/real-etcd.js'
import { runTsctl } from '../support/server-process.js'
import { liveRun } from './live-run.js'
import { lastLine, run } from './run.js'

let dir: string
let file: string
beforeEach(async () => {
  dir = await mkdtemp(path.join(tmpdir(), 'snapshot-'))
  file = path.join(dir, 'snap.db')
})
afterEach(() => rm(dir, { recursive: true }))

const database = Buffer.alloc(4096, 'page')
const digest = createHash('sha256').update(database).digest()
const pieces: DeepPartial<SnapshotResponse>[] = [
  { blob: database.subarray(0, 4000), remaining_bytes: '96' },
  { blob: database.subarray(4000), remaining_bytes: '0' },
  { blob: digest },
]

/** A connection that sends these pieces and then fails or ends. */
function sending(answers: DeepPartial<SnapshotResponse>[], failure?: Error) {
  const asked: unknown[] = []
  const snapshot = async function* (options: unknown) {
    asked.push(options)
    for (const answer of answers) yield SnapshotResponse.fromPartial(answer)
    if (failure !== undefined) throw failure
  }
  return { asked, connection: () => ({ snapshot }) }
}

test.each([[[]], [['a', 'b']]])('snapshot save %j is refused', async (args) => {
  const result = await run(['snapshot', 'save', ...args])
  expect(result.code).toBe(128)
  expect(lastLine(result)).toBe('Error: snapshot save expects one argument <filename>')
})

test('several endpoints are one too many', async () => {
  const result = await run(['snapshot', 'save', file, '--endpoints=a:1,b:2'])
  expect(result).toMatchObject({ code: 5, dialled: [] })
  expect(lastLine(result)).toBe(
    'Error: snapshot must be requested to one selected node, not multiple [a:1 b:2]',
  )
})

test('the file is what was sent, for its owner only, in the place of the one before', async () => {
  await writeFile(file, 'the one before')
  const { connection } = sending(pieces)
  const result = await run(['snapshot', 'save', file], { connection })
  expect(result).toMatchObject({ code: 0, stderr: '' })
  expect(result.stdout.toString()).toBe(`Snapshot saved at ${file}\n`)
  expect((await readFile(file)).equals(Buffer.concat([database, digest]))).toBe(true)
  expect((await stat(file)).mode & 0o777).toBe(0o600)
  expect(await readdir(dir)).toEqual(['snap.db'])
})

test('the version of a server that tells it is printed', async () => {
  const { connection } = sending(pieces.map((piece) => ({ ...piece, version: '3.6.0' })))
  const result = await run(['snapshot', 'save', file], { connection })
  expect(result.stdout.toString()).toBe(`Snapshot saved at ${file}\nServer version 3.6.0\n`)
})

test.each([
  [[], undefined],
  [['--command-timeout=3s'], 3000],
])('with %j the deadline is %j', async (flags, deadlineMs) => {
  const { connection, asked } = sending(pieces)
  await run(['snapshot', 'save', file, ...flags], { connection })
  expect(asked).toMatchObject([deadlineMs === undefined ? {} : { deadlineMs }])
  expect(Object.keys(asked[0] as object).includes('deadlineMs')).toBe(deadlineMs !== undefined)
})

const refusal = new RpcError(Status.permissionDenied, 'etcdserver: permission denied')

test.each([
  ['no digest', [{ blob: database }], undefined, 'sha256 checksum not found [bytes: 4096]'],
  [
    'a broken stream',
    pieces.slice(0, 1),
    new RpcError(Status.unavailable, 'connection lost'),
    'rpc error: code = Unavailable desc = connection lost',
  ],
  [
    'a refusal, which other commands show in the short form',
    [],
    new EtcdError('permissionDenied', { cause: refusal }),
    'rpc error: code = PermissionDenied desc = etcdserver: permission denied',
  ],
])('%s: exit code 5, and the file before stays', async (_what, answers, failure, message) => {
  await writeFile(file, 'the one before')
  const { connection } = sending(answers, failure)
  const result = await run(['snapshot', 'save', file], { connection })
  expect(result.code).toBe(5)
  expect(lastLine(result)).toBe(`Error: ${message}`)
  expect(await readFile(file, 'utf8')).toBe('the one before')
  expect(await readdir(dir)).toEqual(['snap.db'])
})

test('a directory that is not there is named', async () => {
  const { connection } = sending(pieces)
  const missing = path.join(dir, 'no', 'snap.db')
  const result = await run(['snapshot', 'save', missing], { connection })
  expect(result.code).toBe(5)
  expect(lastLine(result)).toBe(
    `Error: could not open ${missing}.part (open ${missing}.part: no such file or directory)`,
  )
})

test.each([
  ['EACCES', 'permission denied'],
  ['EROFS', 'read-only file system'],
  ['EPERM', 'operation not permitted'],
])('a directory where nothing may be written (%s) is told as by etcdctl', async (code, why) => {
  const refused = Object.assign(new Error(`${code}: refused`), { code })
  const files = { ...systemFiles, open: () => Promise.reject(refused) }
  await writeFile(file, 'the one before')
  const { connection } = sending(pieces)
  const result = await run(['snapshot', 'save', file], { connection, files })
  expect(result.code).toBe(5)
  // As etcdctl 3.4 says it in a read-only mount, in one that is immutable, and without the right.
  expect(lastLine(result)).toBe(`Error: could not open ${file}.part (open ${file}.part: ${why})`)
  expect(await readFile(file, 'utf8')).toBe('the one before')
  expect(await readdir(dir)).toEqual(['snap.db'])
})

/** Names below a directory that holds a file and a directory, and what the system denies. */
const impossibleTargets: [target: string, message: string][] = [
  ['file/snap.db', 'could not open $.part (open $.part: not a directory)'],
  ['file/', 'could not open $.part (open $.part: not a directory)'],
  ['directory', 'could not rename $.part to $ (rename $.part $: file exists)'],
  ['full', 'could not rename $.part to $ (rename $.part $: file exists)'],
  ['occupied', 'could not open $.part (open $.part: is a directory)'],
  [`${'n'.repeat(300)}`, 'could not open $.part (open $.part: file name too long)'],
  ['loop/snap.db', 'could not open $.part (open $.part: too many levels of symbolic links)'],
]

async function makeObstacles(): Promise<void> {
  await writeFile(path.join(dir, 'file'), 'a file')
  for (const name of ['directory', 'full/part', 'occupied.part']) {
    await mkdir(path.join(dir, name), { recursive: true })
  }
  await symlink('loop', path.join(dir, 'loop'))
}

const obstacles = ['directory', 'file', 'full', 'loop', 'occupied.part']

test.each(impossibleTargets)('%s cannot be written, and nothing is left', async (name, message) => {
  await makeObstacles()
  const target = `${dir}/${name}`
  const result = await run(['snapshot', 'save', target], sending(pieces))
  expect(result.code).toBe(5)
  expect(lastLine(result)).toBe(`Error: ${message.replaceAll('$', target)}`)
  expect((await readdir(dir)).sort()).toEqual(obstacles)
  expect(await readdir(path.join(dir, 'full'))).toEqual(['part'])
})

test('a refused password is 5 here, a bad TLS file 128 as everywhere', async () => {
  const failing = (error: Error) => () => {
    throw error
  }
  const words = ['snapshot', 'save', file]
  const refused = await run(words, { connection: failing(new ConnectionError('refused')) })
  expect(refused.code).toBe(5)
  const bad = new ConnectionError('open x', { exitCode: 128 })
  expect((await run(words, { connection: failing(bad) })).code).toBe(128)
})

test.each([
  [0, 1000, 0, '0 B of 1.0 kB'],
  [1_000_000, 3_000_000, 500, '1.0 MB of 4.0 MB, 2.0 MB/s, 2 s left'],
  [4_000_000, 0, 4000, '4.0 MB of 4.0 MB, 1.0 MB/s, 0 s left'],
])('%i bytes and %i to come after %i ms are %j', (received, remaining, ms, text) => {
  const amount = { doneBytes: received, totalBytes: received + remaining }
  expect(amountText(amount, ms)).toBe(text)
})

test('- is standard output, and a person is told on the other one', async () => {
  const { connection } = sending(pieces)
  const result = await run(['snapshot', 'save', '-'], { connection })
  expect(result).toMatchObject({ code: 0, stderr: 'Snapshot saved at -\n' })
  expect(result.stdout.equals(Buffer.concat([database, digest]))).toBe(true)
  const torn = await run(['snapshot', 'save', '-'], sending([{ blob: database }]))
  expect(torn.code).toBe(5)
})

test('a full disk is told, and nothing of the file is left', async () => {
  const files = new FakeFiles({ random: seededRandom(1) })
  files.spaceBytes = 1024
  const { connection } = sending(pieces)
  const result = await run(['snapshot', 'save', '/snap.db'], { connection, files })
  expect(result.code).toBe(5)
  expect(lastLine(result)).toBe(
    'Error: could not write snapshot: write /snap.db.part: no space left on device',
  )
  expect(await files.list('/')).toEqual([])
})

test('Ctrl-C leaves no file', async () => {
  await using server = await startEmbedded()
  const value = 'v'.repeat(1_000_000)
  await using connection = await connected(server.endpoint)
  for (let at = 0; at < 40; at++) {
    await connection.kv.put({ key: Buffer.from(`k${at}`), value: Buffer.from(value) })
  }
  const words = ['snapshot', 'save', file, `--endpoints=${server.endpoint}`]
  const live = liveRun(words, {}, { isTerminal: true })
  await live.shows(/MB of/)
  expect(await readdir(dir)).toEqual(['snap.db.part'])
  live.interrupt()
  expect(await live.code).toBe(5)
  expect(live.stderr()).toMatch(/Error: interrupted, nothing was saved\n$/)
  expect(await readdir(dir)).toEqual([])
})

test('a server that goes away half way leaves no file', async () => {
  await using server = await startEmbedded()
  await using connection = await connected(server.endpoint)
  const value = Buffer.alloc(1_000_000, 'v')
  for (let at = 0; at < 10; at++) await connection.kv.put({ key: Buffer.from(`k${at}`), value })
  const target = { host: '127.0.0.1', port: server.port }
  await using proxy = await startCuttingProxy({ target, nextLimitBytes: () => 3_000_000 })
  await writeFile(file, 'the one before')
  const words = ['snapshot', 'save', file, `--endpoints=127.0.0.1:${proxy.port}`]
  const result = await run(words, { connection: 'real' })
  expect(result.code).toBe(5)
  expect(lastLine(result)).toMatch(/^Error: rpc error: code = Unavailable desc = /)
  expect(await readFile(file, 'utf8')).toBe('the one before')
  expect(await readdir(dir)).toEqual(['snap.db'])
})

const restore = (...words: string[]) => run(['snapshot', 'restore', ...words])

test.each([
  [[], 128, 'snapshot restore requires exactly one argument'],
  [['a', 'b'], 128, 'snapshot restore requires exactly one argument'],
  [['a', '--bump-revision=1'], 128, '--mark-compacted required if --revision-bump > 0'],
  [['a', '--mark-compacted'], 128, '--mark-compacted required if --revision-bump > 0'],
  [['a', '--name=n'], 1, `couldn't find local name "n" in the initial cluster configuration`],
  [['/nosuch.db'], 1, 'open /nosuch.db: no such file or directory'],
  [['package.json'], 1, 'snapshot missing hash but --skip-hash-check=false'],
  [[recordedFile, '--data-dir=src'], 1, 'data-dir "src" not empty or could not be read'],
  [[recordedFile, '--wal-dir=src'], 1, 'wal-dir "src" exists'],
])('restore %j is refused', async (words, code, message) => {
  const result = await restore(...words)
  expect(result).toMatchObject({ code, dialled: [] })
  expect(lastLine(result)).toBe(`Error: ${message}`)
})

test('restore takes every flag, and says nothing', async () => {
  const [dataDir, walDir] = [path.join(dir, 'data'), path.join(dir, 'wal')]
  const result = await restore(
    recordedFile,
    ...['--name=b', '--initial-cluster=a=http://10.0.0.1:1,b=http://10.0.0.2:1'],
    ...['--initial-advertise-peer-urls=http://10.0.0.2:1', '--initial-cluster-token=t'],
    ...[`--data-dir=${dataDir}`, `--wal-dir=${walDir}`, '--initial-memory-map-size=0'],
    ...['--bump-revision=1000', '--mark-compacted'],
  )
  expect(result).toMatchObject({ code: 0, stdout: Buffer.alloc(0), stderr: '' })
  expect(await readdir(walDir)).toEqual(['0000000000000000-0000000000000000.wal'])
  const { members } = await readContents(path.join(dataDir, 'member/snap/db'))
  const ids = ['http://10.0.0.1:1', 'http://10.0.0.2:1'].map((url) => memberId([url], 't'))
  expect(members?.map(([key]) => key).sort()).toEqual(ids.map((id) => id.toString(16)).sort())
  const hash = await run(['snapshot', 'hashkv', path.join(dataDir, 'member/snap/db'), '-w', 'json'])
  expect(JSON.parse(String(hash.stdout))).toMatchObject({ compactRevision: 1117 })
})

test('a copy of a database needs --skip-hash-check', async () => {
  const copy = path.join(dir, 'db')
  await writeFile(copy, (await readFile(recordedFile)).subarray(0, -32))
  const words = [copy, `--data-dir=${path.join(dir, 'data')}`]
  expect((await restore(...words)).code).toBe(1)
  expect((await restore(...words, '--skip-hash-check')).code).toBe(0)
})

test('a disk that is full ends a restore, and nothing of it is left', async () => {
  const files = new FakeFiles({ random: seededRandom(1) })
  const handle = await files.open('/s', 'create')
  await handle.write([await readFile(recordedFile)], 0)
  files.spaceBytes = 20_000
  const words = ['snapshot', 'restore', '/s', '--data-dir=/data']
  const result = await run(words, { files })
  expect(result.code).toBe(1)
  expect(lastLine(result)).toBe(
    'Error: could not restore /s (write /data: no space left on device)',
  )
  expect(await files.list('/')).toEqual(['s'])
})

test('a person sees a restore go on, and Ctrl-C takes back what was made', async () => {
  await writeBigSnapshot(file, 30_000_000)
  const words = ['snapshot', 'restore', file, `--data-dir=${path.join(dir, 'data')}`]
  const stopped = liveRun(words, {}, { isTerminal: true })
  await stopped.shows(/Restoring .* of \d+ MB/)
  stopped.interrupt()
  expect(await stopped.code).toBe(5)
  expect(stopped.stderr()).toMatch(/Error: interrupted, nothing was restored\n$/)
  expect(await readdir(dir)).toEqual(['snap.db'])
  const through = liveRun(words, {}, { isTerminal: true })
  expect(await through.code).toBe(0)
  expect(through.stdout()).toBe('')
  expect(through.stderr()).toMatch(/snap.db is restored: member default in .*data\n$/)
})

test('the command of the tutorials works as it stands, and a server starts on what it makes', async () => {
  await cp(recordedFile, path.join(dir, 'snapshot.db'))
  const made = await runTsctl(['snapshot', 'restore', 'snapshot.db'], { cwd: dir })
  expect(made).toEqual({ code: 0, stdout: '', stderr: '' })
  expect((await readdir(dir)).sort()).toEqual(['default.etcd', 'snapshot.db'])
  await using server = await startEmbedded({ dataDir: path.join(dir, 'default.etcd') })
  await using connection = await connected(server.endpoint)
  const { kvs } = await connection.kv.range({ key: Buffer.from('key/059') })
  expect(String(kvs[0]?.value)).toBe('later 19')
})

describeWithEtcd('snapshots of a real etcd', () => {
  test('etcdctl says the same where nothing can be written', async () => {
    await using etcd = await startRealEtcd()
    for (const [name, message] of impossibleTargets) {
      await makeObstacles()
      const target = `${dir}/${name}`
      const failed = await failure(etcd.etcdctl(['snapshot', 'save', target]))
      expect(failed).toMatchObject({ code: 5 })
      const { stderr } = failed as Error & { stderr: string }
      const said = stderr.trimEnd().split('\n').at(-1)
      expect(said).toBe(`Error: ${message.replaceAll('$', target)}`)
      await rm(path.join(dir, 'loop'))
    }
  })

  test('etcdctl reads what was saved, and a person at a terminal sees it come', async () => {
    await using etcd = await startRealEtcd()
    await etcd.etcdctl(['put', 'k'], 'v'.repeat(1_000_000))
    const words = ['snapshot', 'save', file, `--endpoints=${etcd.endpoint}`]
    const live = liveRun(words, {}, { isTerminal: true })
    expect(await live.code).toBe(0)
    expect(live.stdout()).toBe(`Snapshot saved at ${file}\n`)
    expect(live.stderr()).toContain('Saving a snapshot')
    const status = JSON.parse(await etcd.etcdctl(['snapshot', 'status', file, '-w', 'json']))
    expect(status).toMatchObject({ revision: 2, totalKey: expect.any(Number) })
  })
})
