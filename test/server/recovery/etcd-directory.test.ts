// A data directory goes from a real etcd to the bundled server and back: the same keys, leases,
// members and hash, after a clean stop and after kill -9.
import { cp, rm } from 'node:fs/promises'
import { describe, expect, test } from 'vitest'
import type { Connection } from '../../../src/connection/connect.js'
import { connected, failure } from '../../connection/connecting.js'
import { startEmbedded } from '../../support/embedded.js'
import { describeWithEtcd, type RealEtcd, startRealEtcd } from '../../support/real-etcd.js'

const everything = { key: Buffer.from([0]), range_end: Buffer.from([0]) }

/** Something of every kind that a database holds, and a history behind it. */
async function fill({ kv, lease, maintenance }: Connection): Promise<void> {
  const put = (key: string, value: string, more = {}) =>
    kv.put({ key: Buffer.from(key), value: Buffer.from(value), ...more })
  for (let round = 0; round < 3; round++) {
    const puts = Array.from({ length: 20 }, (_, at) => put(`key${at}`, `value ${round} ${at}`))
    await Promise.all(puts)
  }
  await kv.put({ key: Buffer.from([0, 255, 10]), value: Buffer.from([0xff, 0xfe, 0]) })
  await put('large', 'x'.repeat(300_000))
  await lease.leaseGrant({ ID: '4711', TTL: '6000' })
  await lease.leaseGrant({ ID: '-5', TTL: '7000' })
  await put('leased 1', 'v', { lease: '4711' })
  await put('leased 2', 'v', { lease: '4711' })
  await kv.deleteRange({ key: Buffer.from('key1'), range_end: Buffer.from('key2') })
  const { header } = await put('key10', 'back')
  await kv.compact({ revision: String(Number(header?.revision) - 8) })
  await put('after', 'the compaction')
  await kv.txn({
    success: [
      { request_put: { key: Buffer.from('t1'), value: Buffer.from('1') } },
      { request_delete_range: { key: Buffer.from('key3') } },
    ],
  })
  await maintenance.alarm({ action: 1, memberID: '99', alarm: 1 })
  await maintenance.alarm({ action: 2, memberID: '99', alarm: 1 })
}

/** Questions that some etcd puts into the log, or that a newer one has. */
async function ask({ auth, maintenance, cluster }: Connection): Promise<void> {
  expect(await auth.authStatus()).toMatchObject({ enabled: false, authRevision: '1' })
  await auth.userList()
  await auth.roleList()
  await maintenance.downgrade({ action: 2 })
  await cluster.memberList({ linearizable: true })
}

/** What a client can see of the whole state. Hashes of old revisions show the history. */
async function visible({ kv, lease, maintenance, cluster }: Connection) {
  const { kvs, count, header } = await kv.range(everything)
  const { leases } = await lease.leaseLeases()
  const ids = leases.map(({ ID }) => ID).toSorted()
  const ttls = await Promise.all(
    ids.map(async (ID) => {
      const { grantedTTL, keys } = await lease.leaseTimeToLive({ ID, keys: true })
      return { ID, grantedTTL, keys: keys.map(String).toSorted() }
    }),
  )
  const revision = Number(header?.revision)
  const old = await Promise.all(
    [0, 1, 2, 5].map(async (back) => {
      const answer = await maintenance.hashKV({ revision: String(revision - back) })
      return [answer.hash, answer.compact_revision]
    }),
  )
  const { members } = await cluster.memberList({})
  const ids2 = members.map(({ ID, name, peerURLs }) => ({ ID, name, peerURLs }))
  return { kvs, count, revision, ttls, old, members: ids2 }
}

const onEndpoint = async <T>(endpoint: string, work: (to: Connection) => Promise<T>) => {
  await using connection = await connected(endpoint)
  return await work(connection)
}

describeWithEtcd('a directory of a real etcd', () => {
  test.each(['SIGTERM', 'SIGKILL'] as const)(
    'opens in the bundled server with all that is in it, and goes back (%s)',
    async (signal) => {
      await using etcd = await startRealEtcd()
      await onEndpoint(etcd.endpoint, fill)
      const before = await onEndpoint(etcd.endpoint, visible)
      await etcd.stop(signal)
      const dataDir = `${etcd.dir}/data`
      const flags = { initialAdvertisePeerUrls: before.members[0]?.peerURLs ?? [] }
      const embedded = await startEmbedded({ dataDir, config: flags })
      try {
        expect(await onEndpoint(embedded.endpoint, visible)).toEqual(before)
        await onEndpoint(embedded.endpoint, fillMore)
        const ours = await onEndpoint(embedded.endpoint, visible)
        await embedded.stop()
        await etcd.start()
        expect(await onEndpoint(etcd.endpoint, visible)).toEqual(ours)
      } finally {
        await embedded.stop()
      }
    },
  )

  test('opens after checkpoints of its own, with entries behind them', async () => {
    await using etcd = await startRealEtcd({ flags: ['--snapshot-count=20'] })
    await onEndpoint(etcd.endpoint, fill)
    const before = await onEndpoint(etcd.endpoint, visible)
    await etcd.stop('SIGKILL')
    const embedded = await startEmbedded({ dataDir: `${etcd.dir}/data` })
    try {
      expect(await onEndpoint(embedded.endpoint, visible)).toEqual(before)
    } finally {
      await embedded.stop()
    }
  })

  test('brings its users and roles along, and takes them back with what changed', async () => {
    await using etcd = await startRealEtcd()
    await makeUsers(etcd)
    await etcd.stop()
    const embedded = await startEmbedded({ dataDir: `${etcd.dir}/data` })
    try {
      await tryUsers(embedded.endpoint)
      await using root = await connected(embedded.endpoint, { user: rootUser })
      await root.auth.userAdd({ name: 'late', password: 'night' })
      await root.auth.userGrantRole({ user: 'late', role: 'reader' })
    } finally {
      await embedded.stop()
    }
    await etcd.start()
    await tryUsers(etcd.endpoint)
    const late = ['--user', 'late:night']
    expect(await etcd.etcdctl([...late, 'get', 'a1', '--print-value-only'])).toBe('v\n')
  })

  test('whose log makes users gives them to the state', async () => {
    await using etcd = await startRealEtcd()
    await etcd.stop()
    const dataDir = `${etcd.dir}/data`
    await cp(`${dataDir}/member/snap/db`, `${etcd.dir}/old-db`)
    await etcd.start()
    await makeUsers(etcd)
    await etcd.stop('SIGKILL')
    // The database of before the requests: as after a crash that came before the next commit.
    await rm(`${dataDir}/member/snap/db`)
    await cp(`${etcd.dir}/old-db`, `${dataDir}/member/snap/db`)
    const embedded = await startEmbedded({ dataDir })
    try {
      await tryUsers(embedded.endpoint)
    } finally {
      await embedded.stop()
    }
  })
})

const rootUser = { name: 'root', password: 'of all' }
const reader = { name: 'reader', password: 'of some' }

async function makeUsers(etcd: RealEtcd): Promise<void> {
  await etcd.etcdctl(['put', 'a1', 'v'])
  await etcd.etcdctl(['user', 'add', `${rootUser.name}:${rootUser.password}`])
  await etcd.etcdctl(['user', 'add', `${reader.name}:${reader.password}`])
  await etcd.etcdctl(['user', 'add', 'certified', '--no-password'])
  await etcd.etcdctl(['user', 'grant-role', 'root', 'root'])
  await etcd.etcdctl(['role', 'add', 'reader'])
  await etcd.etcdctl(['role', 'grant-permission', 'reader', 'read', 'a', 'c'])
  await etcd.etcdctl(['user', 'grant-role', 'reader', 'reader'])
  await etcd.etcdctl(['auth', 'enable'])
}

/** They log in by the hashes of the other server, and may do what they might do there. */
async function tryUsers(endpoint: string): Promise<void> {
  await using nobody = await connected(endpoint)
  await using some = await connected(endpoint, { user: reader })
  await using root = await connected(endpoint, { user: rootUser })
  const key = Buffer.from('a1')
  expect(await failure(nobody.kv.range({ key }))).toMatchObject({ code: 'userEmpty' })
  expect((await some.kv.range({ key })).kvs[0]?.value.toString()).toBe('v')
  expect(await failure(some.kv.put({ key }))).toMatchObject({ code: 'permissionDenied' })
  await root.kv.put({ key, value: Buffer.from('v') })
  const users = ['certified', 'reader', 'root']
  expect((await root.auth.userList()).users).toEqual(expect.arrayContaining(users))
  const certified = connected(endpoint, { user: { name: 'certified', password: 'x' } })
  expect((await failure(certified)).message).toMatch(/for no password user$/)
}

async function fillMore({ kv, lease }: Connection): Promise<void> {
  await kv.put({ key: Buffer.from('ours'), value: Buffer.from('1') })
  await kv.deleteRange({ key: Buffer.from('key4') })
  await lease.leaseRevoke({ ID: '-5' })
  await lease.leaseGrant({ ID: '42', TTL: '900' })
  await kv.put({ key: Buffer.from('leased 3'), lease: '42' })
}

describeWithEtcd('a directory of the bundled server', () => {
  test('opens in a real etcd with the same keys, leases and hash', async () => {
    await using etcd = await startRealEtcd()
    await etcd.stop()
    const dataDir = `${etcd.dir}/data`
    await rm(dataDir, { recursive: true })
    await using embedded = await startEmbedded({ dataDir })
    await onEndpoint(embedded.endpoint, fill)
    const before = await onEndpoint(embedded.endpoint, visible)
    await embedded.stop()
    await etcd.start()
    expect(await onEndpoint(etcd.endpoint, visible)).toEqual(before)
  })

  test('opens in a real etcd as it is in the middle of its life', async () => {
    await using etcd = await startRealEtcd()
    await etcd.stop()
    await rm(`${etcd.dir}/data`, { recursive: true })
    await using embedded = await startEmbedded({ storage: 'disk' })
    await onEndpoint(embedded.endpoint, fill)
    await onEndpoint(embedded.endpoint, ask)
    const before = await onEndpoint(embedded.endpoint, visible)
    // What kill -9 leaves: the first database, and everything since in the log.
    await cp(embedded.dataDir, `${etcd.dir}/data`, { recursive: true })
    await etcd.start()
    expect(await onEndpoint(etcd.endpoint, visible)).toEqual(before)
  })
})

describe('a restart', () => {
  test.each(['cleanly', 'killed'])('keeps everything (%s)', async (how) => {
    await using embedded = await startEmbedded()
    await onEndpoint(embedded.endpoint, fill)
    const before = await onEndpoint(embedded.endpoint, visible)
    if (how === 'cleanly') {
      await embedded.restart()
      expect(await onEndpoint(embedded.endpoint, visible)).toEqual(before)
      return
    }
    const copy = `${embedded.dataDir}-killed`
    await cp(embedded.dataDir, copy, { recursive: true })
    await rm(`${copy}/member/tsctl.lock`)
    await using other = await startEmbedded({ dataDir: copy })
    expect(await onEndpoint(other.endpoint, visible)).toEqual(before)
  })
})
