// A snapshot of the bundled server, taken by tsctl and by etcdctl while writes go on: the real
// `etcdctl snapshot status` reads it and agrees with our status and with what the server says.
import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { Connection } from '../../src/connection/connect.js'
import { systemFiles } from '../../src/platform/files.js'
import { silentLog } from '../../src/platform/log.js'
import { snapshotHashKv } from '../../src/snapshot/hashkv.js'
import { restoreDefaults, restoreSnapshot } from '../../src/snapshot/restore.js'
import { snapshotStatus } from '../../src/snapshot/status.js'
import { checkDatabase } from '../../src/storage/bbolt/check.js'
import { run } from '../commands/run.js'
import { connected, type Disposable } from '../connection/connecting.js'
import { type Embedded, startEmbedded } from '../support/embedded.js'
import { describeWithEtcd, startRealEtcd } from '../support/real-etcd.js'

const parts = { files: systemFiles, log: silentLog }
const keyCount = 500
let server: Embedded
let client: Disposable<Connection>
let dir: string

beforeAll(async () => {
  dir = await mkdtemp(path.join(tmpdir(), 'snapshots-'))
  server = await startEmbedded()
  client = await connected(server.endpoint)
  await client.lease.leaseGrant({ ID: '77', TTL: '6000' })
  const put = (at: number, round: number) =>
    client.kv.put({
      key: Buffer.from(`key ${at}`),
      value: Buffer.alloc(at * 10, `${round}`),
      lease: at % 10 === 0 ? '77' : '0',
    })
  for (const round of [1, 2]) {
    await Promise.all(Array.from({ length: keyCount }, (_, at) => put(at, round)))
  }
  await client.kv.put({ key: Buffer.from('large'), value: Buffer.alloc(1_000_000) })
  await client.kv.deleteRange({ key: Buffer.from('key 1'), range_end: Buffer.from('key 2') })
  await client.kv.compact({ revision: '700', physical: true })
})
afterAll(async () => {
  await client?.close()
  await server?.[Symbol.asyncDispose]()
  await rm(dir, { recursive: true, force: true })
})

const env = () => ({ ETCDCTL_ENDPOINTS: server.endpoint })

async function etcdctl(...args: string[]): Promise<string> {
  const options = {
    timeout: 60_000,
    env: { PATH: process.env.PATH, ETCDCTL_API: '3', ETCDCTL_COMMAND_TIMEOUT: '60s', ...env() },
  }
  return (await promisify(execFile)('etcdctl', args, options)).stdout
}

test('is sound, ends with its digest, and holds what the server has', async () => {
  const file = `${dir}/own.db`
  expect((await run(['snapshot', 'save', file], { env: env(), connection: 'real' })).code).toBe(0)
  const all = await readFile(file)
  const digest = createHash('sha256').update(all.subarray(0, -32)).digest()
  expect(all.subarray(-32).equals(digest)).toBe(true)
  expect((await checkDatabase(file, { files: systemFiles })).findings).toEqual([])
  const { hash, compact_revision } = await client.maintenance.hashKV({})
  expect(await snapshotHashKv(file, parts)).toMatchObject({
    hash,
    compactRevision: Number(compact_revision),
  })
})

test('is one moment, however many writes come while it is sent', async () => {
  const file = `${dir}/busy.db`
  let isSaved = false
  const saving = run(['snapshot', 'save', file], { env: env(), connection: 'real' }).then(() => {
    isSaved = true
  })
  // Both keys change together; the snapshot has both or none of each change.
  for (let at = 0; !isSaved; at++) {
    const value = Buffer.from(String(at))
    const puts = ['left', 'right'].map((key) => ({ request_put: { key: Buffer.from(key), value } }))
    await client.kv.txn({ success: puts })
  }
  await saving
  const restored = `${dir}/busy.etcd`
  await restoreSnapshot(file, { ...restoreDefaults, dataDir: restored }, parts)
  const other = await startEmbedded({ dataDir: restored })
  await using connection = await connected(other.endpoint)
  const [left, right] = await Promise.all(
    ['left', 'right'].map((key) => connection.kv.range({ key: Buffer.from(key) })),
  )
  expect(left?.kvs[0]?.value).toEqual(right?.kvs[0]?.value)
  expect(left?.kvs[0]?.mod_revision).toBe(right?.kvs[0]?.mod_revision)
  expect((await connection.kv.range({ key: Buffer.from('key 499') })).count).toBe('1')
  await other.stop()
})

describeWithEtcd('etcdctl', () => {
  // Go's transport measures with pings how fast a large answer comes; they are no bad manners.
  test('takes an answer of many windows', async () => {
    const value = Buffer.alloc(1_400_000, 'x')
    for (let at = 0; at < 12; at++) await client.kv.put({ key: Buffer.from(`huge ${at}`), value })
    const { stdout } = await promisify(execFile)(
      'etcdctl',
      ['get', 'huge', '--prefix', '--print-value-only'],
      {
        timeout: 60_000,
        maxBuffer: 2 ** 26,
        env: { PATH: process.env.PATH, ETCDCTL_API: '3', ETCDCTL_COMMAND_TIMEOUT: '60s', ...env() },
      },
    )
    expect(stdout.length).toBe(12 * (value.length + 1))
    await client.kv.deleteRange({ key: Buffer.from('huge'), range_end: Buffer.from('hugf') })
  })

  test.each(['tsctl', 'etcdctl'])('reads what %s has saved, and agrees', async (saver) => {
    const file = `${dir}/${saver}-saved.db`
    if (saver === 'etcdctl') await etcdctl('snapshot', 'save', file)
    else await run(['snapshot', 'save', file], { env: env(), connection: 'real' })
    const theirs = JSON.parse(await etcdctl('snapshot', 'status', file, '-w', 'json'))
    const { hash, revision, totalKey, totalSize } = await snapshotStatus(file, parts)
    expect(theirs).toMatchObject({ hash, revision, totalSize })
    const { header, count } = await client.kv.range({
      key: Buffer.from([0]),
      range_end: Buffer.from([0]),
    })
    expect(String(revision)).toBe(header?.revision)
    // 3.4 counts the items of all buckets, 3.6 and later the keys that exist.
    expect(String(totalKey)).toBe(count)
    expect(theirs.totalKey).toBeGreaterThan(totalKey)
  })

  test('restores what tsctl has saved, and etcd serves it', async () => {
    const file = `${dir}/for-etcd.db`
    await run(['snapshot', 'save', file], { env: env(), connection: 'real' })
    await using etcd = await startRealEtcd()
    await etcd.stop()
    await rm(`${etcd.dir}/data`, { recursive: true })
    await etcdctl('snapshot', 'restore', file, `--data-dir=${etcd.dir}/data`)
    await etcd.start()
    await using connection = await connected(etcd.endpoint)
    const [ours, theirs] = await Promise.all(
      [client, connection].map(({ maintenance }) => maintenance.hashKV({})),
    )
    expect(theirs?.hash).toBe(ours?.hash)
    expect(await connection.lease.leaseTimeToLive({ ID: '77', keys: true })).toMatchObject({
      grantedTTL: '6000',
      keys: { length: 39 },
    })
  })
})
