// snapshot save: its words, its texts and exit codes, and what is left on the disk.
import { createHash } from 'node:crypto'
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { type DeepPartial, SnapshotResponse } from '../../src/api/gen/rpc.js'
import { amountText } from '../../src/commands/spinner.js'
import { ConnectionError } from '../../src/connection/errors.js'
import { RpcError, Status } from '../../src/grpc/status.js'
import { describeWithEtcd, startRealEtcd } from '../support/real-etcd.js'
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

test.each([
  ['no digest', [{ blob: database }], undefined, 'sha256 checksum not found [bytes: 4096]'],
  [
    'a broken stream',
    pieces.slice(0, 1),
    new RpcError(Status.unavailable, 'connection lost'),
    'rpc error: code = Unavailable desc = connection lost',
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

describeWithEtcd('snapshots of a real etcd', () => {
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
