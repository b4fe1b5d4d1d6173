// The whole connection on a real etcd: every service, TLS, users, several endpoints, snapshots.
import { createHash } from 'node:crypto'
import path from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { Connection } from '../../src/connection/connect.js'
import { prefixRange } from '../../src/connection/key-range.js'
import { startCuttingProxy } from '../support/cutting-proxy.js'
import { describeWithEtcd, type RealEtcd, startRealEtcd } from '../support/real-etcd.js'
import {
  connected,
  type Disposable,
  failure,
  onManualClock,
  untilUnreachable,
} from './connecting.js'

const bytes = (text: string): Buffer => Buffer.from(text)

describeWithEtcd('a connection to a real etcd', () => {
  let etcd: RealEtcd
  let connection: Disposable<Connection>

  beforeAll(async () => {
    etcd = await startRealEtcd()
    connection = await connected(etcd.endpoint)
  })
  afterAll(async () => {
    await connection?.close()
    await etcd?.[Symbol.asyncDispose]()
  })

  test('keys and values come back byte for byte', async () => {
    const key = Buffer.from([0, 255, 10, 0xc3])
    const value = Buffer.from([0xff, 0, 0x0a])
    await connection.kv.put({ key, value })
    const { kvs, header } = await connection.kv.range({ key })
    expect(kvs).toMatchObject([{ key, value, version: '1', lease: '0' }])
    expect(BigInt(header?.cluster_id ?? 0)).toBeGreaterThan(0n)
  })

  test('a transaction takes both of its branches', async () => {
    const key = bytes('txn')
    const isAbsent = { key, target: 1, result: 0, create_revision: '0' } as const
    const once = { compare: [isAbsent], success: [{ request_put: { key, value: key } }] }
    expect((await connection.kv.txn(once)).succeeded).toBe(true)
    const again = await connection.kv.txn({ ...once, failure: [{ request_range: { key } }] })
    expect(again.succeeded).toBe(false)
    expect(again.responses[0]?.response_range?.kvs).toMatchObject([{ key, value: key }])
  })

  test('a prefix is deleted and counted', async () => {
    await Promise.all(['p/1', 'p/2', 'q'].map((name) => connection.kv.put({ key: bytes(name) })))
    const { deleted } = await connection.kv.deleteRange(prefixRange(bytes('p/')))
    expect(deleted).toBe('2')
  })

  test('a lease is granted, kept, shown and revoked', async () => {
    const { ID, TTL } = await connection.lease.leaseGrant({ TTL: '60' })
    expect(TTL).toBe('60')
    await connection.kv.put({ key: bytes('leased'), lease: ID })
    for await (const answer of connection.keepAlive(ID)) {
      expect(answer).toMatchObject({ ID, TTL: '60' })
      break
    }
    const shown = await connection.lease.leaseTimeToLive({ ID, keys: true })
    expect(shown).toMatchObject({ grantedTTL: '60', keys: [bytes('leased')] })
    expect((await connection.lease.leaseLeases()).leases).toEqual([{ ID }])
    await connection.lease.leaseRevoke({ ID })
    expect((await connection.kv.range({ key: bytes('leased') })).kvs).toEqual([])
    const again = await failure(connection.lease.leaseRevoke({ ID }))
    expect(again.message).toBe('etcdserver: requested lease not found')
    for await (const _answer of connection.keepAlive(ID)) throw new Error('the lease is gone')
  })

  test('members and status are those of the server', async () => {
    const { members } = await connection.cluster.memberList({})
    expect(members).toMatchObject([{ name: 'default', clientURLs: [`http://${etcd.endpoint}`] }])
    const status = await connection.maintenance.status()
    expect(status).toMatchObject({ version: '3.4.23', leader: members[0]?.ID })
    expect((await connection.maintenance.hashKV({})).hash).toBeGreaterThan(0)
    expect((await connection.maintenance.alarm({})).alarms).toEqual([])
  })

  test('an error of the server has its own text', async () => {
    expect((await failure(connection.kv.put({}))).message).toBe('etcdserver: key is not provided')
    const compacted = { key: bytes('k'), revision: '1000000' }
    expect((await failure(connection.kv.range(compacted))).message).toBe(
      'etcdserver: mvcc: required revision is a future revision',
    )
  })

  test('a watch sees what is put while it lasts, and the previous pair', async () => {
    const key = bytes('watched')
    await connection.kv.put({ key, value: bytes('before') })
    const values: unknown[] = []
    for await (const { created, events } of connection.watch({ key, prev_kv: true })) {
      if (created) await connection.kv.put({ key, value: bytes('now') })
      values.push(...events.map(({ kv, prev_kv }) => [prev_kv?.value, kv?.value]))
      if (values.length > 0) break
    }
    expect(values).toEqual([[bytes('before'), bytes('now')]])
  })

  test('a watch of what was compacted is cancelled with the revision that is left', async () => {
    const { header } = await connection.kv.put({ key: bytes('k') })
    await connection.kv.compact({ revision: header?.revision ?? '' })
    let last: unknown
    for await (const answer of connection.watch({ key: bytes('k'), start_revision: '1' })) {
      last = answer
    }
    expect(last).toMatchObject({ canceled: true, compact_revision: header?.revision })
  })

  test('a watch outlives a restart of the server', async () => {
    await using other = await startRealEtcd()
    await using toOther = await connected(other.endpoint)
    const key = bytes('k')
    const values: string[] = []
    for await (const { created, events } of toOther.watch({ key })) {
      if (created) await other.etcdctl(['put', 'k', '1'])
      values.push(...events.map(({ kv }) => kv?.value.toString() ?? ''))
      if (values.length === 2) break
      if (values.length === 0) continue
      await other.stop('SIGKILL')
      await other.start()
      await other.etcdctl(['put', 'k', '2'])
    }
    expect(values).toEqual(['1', '2'])
  })

  test('a snapshot ends with the digest of what came before', async () => {
    const pieces: Buffer[] = []
    let remaining = ''
    for await (const { blob, remaining_bytes } of connection.snapshot()) {
      pieces.push(blob)
      remaining = remaining_bytes
    }
    const all = Buffer.concat(pieces)
    const digest = createHash('sha256').update(all.subarray(0, -32)).digest()
    expect(all.subarray(-32).equals(digest)).toBe(true)
    expect(remaining).toBe('0')
    expect(all.length % 512).toBe(32)
  })

  test('a snapshot that breaks off is an error, not a short file', async () => {
    await connection.kv.put({ key: bytes('large'), value: Buffer.alloc(1_000_000) })
    await using proxy = await startCuttingProxy({
      target: { host: '127.0.0.1', port: etcd.port },
      nextLimitBytes: () => 300_000,
    })
    await using cut = await connected(`127.0.0.1:${proxy.port}`)
    const all = async () => {
      for await (const _piece of cut.snapshot());
    }
    expect((await failure(all())).message).toMatch(/^rpc error: code = Unavailable/)
  })

  test('one live endpoint among several is enough', async () => {
    const dead = ['127.0.0.1:1', 'nowhere', 'http://localhost:2']
    await using other = await connected([...dead, etcd.endpoint], { dialTimeoutMs: 500 })
    const { header } = await other.kv.range({ key: bytes('k') }, { deadlineMs: 60_000 })
    expect(header).toBeDefined()
  })

  test('a call under way when the connection breaks is repeated if it is a read', async () => {
    await using proxy = await startCuttingProxy({ target: { host: '127.0.0.1', port: etcd.port } })
    await using cut = await connected(`127.0.0.1:${proxy.port}`)
    await cut.kv.range({ key: bytes('k') })
    const reads = Array.from({ length: 50 }, () => cut.kv.range({ key: bytes('k') }))
    proxy.cut()
    expect((await Promise.all(reads)).every(({ header }) => header !== undefined)).toBe(true)
    expect(proxy.connectionCount).toBe(2)
  })
})

describeWithEtcd('TLS to a real etcd', () => {
  const fixture = (name: string): string =>
    path.join(import.meta.dirname, '../../fixtures/tls', name)
  const settings = { insecureSkipVerify: false, insecureTransport: true }
  const trusted = { ...settings, cacert: fixture('ca.crt') }
  const own = { cert: fixture('client.crt'), key: fixture('client.key') }
  let etcd: RealEtcd

  beforeAll(async () => {
    const flags = [
      `--cert-file=${fixture('server.crt')}`,
      `--key-file=${fixture('server.key')}`,
      `--trusted-ca-file=${fixture('ca.crt')}`,
      '--client-cert-auth',
    ]
    etcd = await startRealEtcd({ scheme: 'https', flags })
  })
  afterAll(async () => {
    await etcd?.[Symbol.asyncDispose]()
  })

  const answers = async (endpoint: string, tls: typeof settings): Promise<string> => {
    await using connection = await connected(endpoint, { tls })
    const { header } = await connection.kv.range({ key: bytes('k') })
    return header?.revision ?? ''
  }

  test('a client with a certificate of the right authority is served', async () => {
    expect(await answers(etcd.endpoint, { ...trusted, ...own })).toBe('1')
    expect(await answers(`https://${etcd.endpoint}`, { ...trusted, ...own })).toBe('1')
    expect(await answers(`https://localhost:${etcd.port}`, { ...trusted, ...own })).toBe('1')
  })

  test('a server that is not to be verified is not', async () => {
    const blind = { ...settings, insecureSkipVerify: true, ...own }
    expect(await answers(etcd.endpoint, blind)).toBe('1')
  })

  test.each([
    ['a client without a certificate', 'https', trusted],
    ['a client that does not trust the server', 'https', { ...settings, ...own }],
    ['a client that speaks without TLS', 'http', settings],
  ])('%s runs into its deadline, and the cause is known', async (_who, scheme, tls) => {
    const { connection, clock } = await onManualClock(`${scheme}://${etcd.endpoint}`, { tls })
    await using _closing = connection
    const failed = failure(connection.kv.range({ key: bytes('k') }, { deadlineMs: 5_000 }))
    await untilUnreachable(clock)
    clock.advance(5_000)
    const error = await failed
    expect(error.message).toBe('context deadline exceeded')
    expect(error.cause).toBeInstanceOf(Error)
  })
})

describeWithEtcd('users of a real etcd', () => {
  let etcd: RealEtcd
  const root = { name: 'root', password: 'secret' }

  beforeAll(async () => {
    etcd = await startRealEtcd({ flags: ['--auth-token-ttl=2'] })
    await using connection = await connected(etcd.endpoint)
    await connection.auth.userAdd(root)
    await connection.auth.roleAdd({ name: 'root' })
    await connection.auth.userGrantRole({ user: 'root', role: 'root' })
    await connection.auth.userAdd({ name: 'guest', password: 'guest' })
    await connection.auth.authEnable()
  })
  afterAll(async () => {
    await etcd?.[Symbol.asyncDispose]()
  })

  test('root reads and writes, a guest does not, nobody is told to say a name', async () => {
    await using asRoot = await connected(etcd.endpoint, { user: root })
    await asRoot.kv.put({ key: bytes('k'), value: bytes('v') })
    const user = { name: 'guest', password: 'guest' }
    await using asGuest = await connected(etcd.endpoint, { user })
    const denied = await failure(asGuest.kv.range({ key: bytes('k') }))
    expect(denied.message).toBe('etcdserver: permission denied')
    await using asNobody = await connected(etcd.endpoint)
    const nameless = await failure(asNobody.kv.range({ key: bytes('k') }))
    expect(nameless.message).toBe('etcdserver: user name is empty')
  })

  test('a wrong password is refused when the connection is made', async () => {
    const user = { name: 'root', password: 'wrong' }
    expect(await failure(connected(etcd.endpoint, { user }))).toMatchObject({
      exitCode: 2,
      message: 'etcdserver: authentication failed, invalid user ID or password',
    })
  })

  test('a token that the server forgot is renewed for calls and watches', async () => {
    await using asRoot = await connected(etcd.endpoint, { user: root })
    await asRoot.kv.range({ key: bytes('k') })
    await etcd.stop('SIGKILL')
    await etcd.start()
    await asRoot.kv.put({ key: bytes('k'), value: bytes('after') })
    await etcd.stop('SIGKILL')
    await etcd.start()
    for await (const { created } of asRoot.watch({ key: bytes('k') })) {
      expect(created).toBe(true)
      break
    }
  })

  test('a refused watch says so in its only answer', async () => {
    const user = { name: 'guest', password: 'guest' }
    await using asGuest = await connected(etcd.endpoint, { user })
    const answers: unknown[] = []
    for await (const answer of asGuest.watch({ key: bytes('k') })) answers.push(answer)
    expect(answers).toMatchObject([
      {
        canceled: true,
        cancel_reason: 'rpc error: code = PermissionDenied desc = etcdserver: permission denied',
      },
    ])
  })
})
