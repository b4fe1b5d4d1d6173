// What client libraries depend on and imitations get wrong: errors, users, members, snapshots, and
// what else is on the port. The numbers are those of the whole list of thirty.
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import http from 'node:http'
import http2 from 'node:http2'
import { beforeAll, expect, it, onTestFinished } from 'vitest'
import { Permission_Type } from '../../../src/api/gen/auth.js'
import * as rpc from '../../../src/api/gen/rpc.js'
import { frame } from '../../../src/grpc/frame.js'
import { versionDifferences } from '../../server/version-differences.js'
import {
  bytes,
  del,
  type Ground,
  get,
  onBoth,
  put,
  serverStream,
  twoPeerUrls,
  Watching,
} from './ground.js'

const options = await twoPeerUrls()
const fast = { ...options.config, bcryptCost: 4 }

onBoth({ config: fast, flags: [...(options.flags ?? []), '--bcrypt-cost=4'] }, (ground) => {
  let client: Ground['client']
  beforeAll(() => {
    client = ground().client
  })

  const ask = async (path: string, body?: object, method = body === undefined ? 'GET' : 'POST') => {
    const url = { host: '127.0.0.1', port: ground().port, path, method, agent: false }
    const request = http.request(url).end(body === undefined ? undefined : JSON.stringify(body))
    const [response] = (await once(request, 'response')) as [http.IncomingMessage]
    const pieces: Buffer[] = []
    for await (const piece of response) pieces.push(piece)
    const { statusCode: status, headers, httpVersion } = response
    return { status, headers, httpVersion, body: Buffer.concat(pieces).toString() }
  }

  it('18: codes and texts of errors are exact, byte for byte', async () => {
    const key = bytes('error')
    const { header } = await client.call('Put', { key })
    await client.call('Compact', { revision: header?.revision ?? '' })
    const { ID } = await client.call('LeaseGrant', { TTL: '100' })
    const many = Array.from({ length: 129 }, (_, at) => put(`many${at}`))
    const outcomes = {
      noKey: await client.outcome('Put', { value: key }),
      compacted: await client.outcome('Range', { key, revision: '1' }),
      future: await client.outcome('Range', { key, revision: '1000000' }),
      compactedAgain: await client.outcome('Compact', { revision: '1' }),
      noLease: await client.outcome('LeaseRevoke', { ID: '404' }),
      sameLease: await client.outcome('LeaseGrant', { TTL: '100', ID }),
      manyOps: await client.outcome('Txn', { success: many }),
      noMember: await client.outcome('MemberRemove', { ID: '404' }),
      noUrls: await client.outcome('MemberAdd', { peerURLs: [] }),
      noUser: await client.outcome('UserGet', { name: 'nobody' }),
      noRole: await client.outcome('RoleGet', { role: 'none' }),
      noUserName: await client.outcome('UserAdd', { password: 'p' }),
      authOff: await client.outcome('Authenticate', { name: 'a', password: 'p' }),
      noRoot: await client.outcome('AuthEnable', {}),
      transferee: await client.outcome('MoveLeader', { targetID: '404' }),
    }
    expect(outcomes).toEqual({
      noKey: 'InvalidArgument: etcdserver: key is not provided',
      compacted: 'OutOfRange: etcdserver: mvcc: required revision has been compacted',
      future: 'OutOfRange: etcdserver: mvcc: required revision is a future revision',
      compactedAgain: 'OutOfRange: etcdserver: mvcc: required revision has been compacted',
      noLease: 'NotFound: etcdserver: requested lease not found',
      sameLease: 'FailedPrecondition: etcdserver: lease already exists',
      manyOps: 'InvalidArgument: etcdserver: too many operations in txn request',
      noMember: 'NotFound: etcdserver: member not found',
      noUrls: 'InvalidArgument: etcdserver: given member URLs are invalid',
      noUser: 'FailedPrecondition: etcdserver: user name not found',
      noRole: 'FailedPrecondition: etcdserver: role name not found',
      noUserName: 'InvalidArgument: etcdserver: user name is empty',
      authOff: 'FailedPrecondition: etcdserver: authentication is not enabled',
      noRoot: 'FailedPrecondition: etcdserver: root user does not exist',
      transferee: 'FailedPrecondition: etcdserver: bad leader transferee',
    })
  })

  it('23: members stand in the order of their ids, one that never started has no name; ids are made of sorted URLs', async () => {
    const idOf = (urls: readonly string[], salt: string) => {
      const text = [...urls].sort().join('') + salt
      return String(createHash('sha1').update(text).digest().readBigUInt64BE(0))
    }
    const { members: alone } = await client.call('MemberList', {})
    const urls = options.config?.initialAdvertisePeerUrls ?? []
    expect([...urls]).not.toEqual([...urls].sort())
    expect(alone.map(({ ID }) => ID)).toEqual([idOf(urls, 'etcd-cluster')])
    const peerURLs = ['http://127.0.0.1:9', 'http://127.0.0.1:8']
    const seconds = () => Math.floor(Date.now() / 1000)
    const before = seconds()
    const added = await client.call('MemberAdd', { peerURLs, isLearner: true })
    const { ID = '' } = added.member ?? {}
    const salts = Array.from({ length: seconds() - before + 1 }, (_, at) => String(before + at))
    expect(salts.map((salt) => idOf(peerURLs, salt))).toContain(ID)
    const { members } = await client.call('MemberList', {})
    const ids = members.map((member) => BigInt(member.ID))
    expect(ids).toEqual(ids.toSorted((a, b) => (a < b ? -1 : 1)))
    expect(ids.every((id) => id >= 0n)).toBe(true)
    const newcomer = members.find((member) => member.ID === ID)
    expect(newcomer).toMatchObject({ name: '', clientURLs: [], isLearner: true })
    await client.call('MemberRemove', { ID })
  })

  it('24: the version of the status is one of three numbers, and later fields are there from 3.6 on', async () => {
    const status = await client.call('Status', {})
    expect(status.version).toMatch(/^3\.\d+\.\d+$/)
    expect(status.leader).toBe(status.header?.member_id)
    expect(status.errors).toEqual([])
    const isLater = status.downgradeInfo !== undefined && status.dbSizeQuota === String(2 ** 31)
    expect(isLater).toBe(ground().by(versionDifferences.statusFields))
  })

  it('25: a snapshot ends with a message of its SHA-256, and nothing remains before it', async () => {
    await client.call('Put', { key: bytes('snapshot'), value: Buffer.alloc(100_000, 'x') })
    const pieces: rpc.SnapshotResponse[] = []
    for await (const piece of serverStream(ground(), '/etcdserverpb.Maintenance/Snapshot')) {
      pieces.push(rpc.SnapshotResponse.decode(piece))
    }
    const [last, ...others] = pieces.toReversed()
    const database = Buffer.concat(others.toReversed().map(({ blob }) => blob))
    expect(last?.blob).toEqual(createHash('sha256').update(database).digest())
    expect(database.length % 4096).toBe(0)
    let remaining = database.length
    for (const { blob, remaining_bytes } of pieces.slice(0, -1)) {
      remaining -= blob.length
      expect(blob.length).toBeLessThanOrEqual(32 * 1024)
      expect(remaining_bytes).toBe(String(remaining))
    }
    expect([remaining, last?.remaining_bytes]).toEqual([0, '0'])
  })

  it('27: pings of a client with a call under way are answered; a burst of them ends the connection, and no other', async () => {
    const session = http2.connect(`http://127.0.0.1:${ground().port}`)
    onTestFinished(() => session.destroy())
    session.on('error', () => {})
    const path = '/etcdserverpb.Watch/Watch'
    const head = { ':method': 'POST', ':path': path, 'content-type': 'application/grpc' }
    const stream = session.request({ ...head, te: 'trailers' })
    stream.on('error', () => {})
    const create = rpc.WatchRequest.fromPartial({ create_request: { key: bytes('ping') } })
    const answers = stream[Symbol.asyncIterator]()
    stream.write(frame(rpc.WatchRequest.encode(create).finish()))
    await answers.next()
    await new Promise<void>((resolve, reject) => {
      session.ping((error) => (error ? reject(error) : resolve()))
    })
    await client.call('Put', { key: bytes('ping') })
    await answers.next() // it goes on
    const parted = once(session, 'goaway')
    for (let at = 0; at < 10; at++) session.ping(() => {})
    const [code, , reason] = await parted
    expect(code).toBe(http2.constants.NGHTTP2_ENHANCE_YOUR_CALM)
    expect(String(reason)).toBe('too_many_pings')
    expect(await client.outcome('Put', { key: bytes('ping') })).toBe('ok')
  })

  it('28: health, version and metrics are on the same port over HTTP/1.1; health is the text "true"', async () => {
    const health = await ask('/health')
    expect([health.status, health.httpVersion]).toEqual([200, '1.1'])
    expect(health.body).toBe(ground().by(versionDifferences.health))
    const version = JSON.parse((await ask('/version')).body)
    const { version: own } = await client.call('Status', {})
    expect(version).toMatchObject({ etcdserver: own, etcdcluster: own.replace(/\d+$/, '0') })
    const metrics = await ask('/metrics')
    expect(metrics.headers['content-type']).toMatch(/^text\/plain; version=0\.0\.4/)
    expect(metrics.body).toContain('\netcd_server_has_leader 1\n')
    expect((await ask('/none')).status).toBe(404)
  })

  it('29: as JSON, 64-bit numbers are texts, zero is left out, keys are base64; errors and methods are those of the version', async () => {
    const key = bytes('json\xff').toString('base64')
    const stored = JSON.parse((await ask('/v3/kv/put', { key, value: '' })).body)
    expect(stored.header.revision).toMatch(/^\d+$/)
    const { header, ...found } = JSON.parse((await ask('/v3/kv/range', { key })).body)
    const { revision } = stored.header
    expect(header).toEqual(stored.header)
    expect(found).toEqual({
      kvs: [{ key, create_revision: revision, mod_revision: revision, version: '1' }],
      count: '1',
    })
    const refused = await ask('/v3/kv/put', {})
    expect(refused.status).toBe(400)
    const error = ground().by(versionDifferences.gatewayError)
    expect(JSON.parse(refused.body)).toEqual(error(3, 'etcdserver: key is not provided'))
    expect((await ask('/v3/kv/range')).status).toBe(ground().by(versionDifferences.gatewayGet))
    expect((await ask('/v3/none', {})).status).toBe(404)
  })

  // The last: from here on everybody needs a token.
  it('20: tokens are plain; both branches are checked, prev_kv needs a right to read, a watch is checked when it is made, root may all', async () => {
    const user = async (name: string, role: string) => {
      await client.call('UserAdd', { name, password: name })
      await client.call('RoleAdd', { name: role })
      await client.call('UserGrantRole', { user: name, role })
    }
    await user('root', 'root')
    await user('writer', 'writes')
    const { READ, WRITE } = Permission_Type
    const allow = (permType: Permission_Type, key: string) => ({
      name: 'writes',
      perm: { permType, key: bytes(key) },
    })
    await client.call('RoleGrantPermission', allow(WRITE, 'w'))
    await client.call('RoleGrantPermission', allow(READ, 'r'))
    await client.call('AuthEnable', {})
    const [root, writer] = [
      await client.logIn('root', 'root'),
      await client.logIn('writer', 'writer'),
    ]
    const w = { key: bytes('w') }
    expect(await client.outcome('Put', w)).toBe('InvalidArgument: etcdserver: user name is empty')
    const bad = 'Unauthenticated: etcdserver: invalid auth token'
    expect(await client.outcome('Put', w, 'no token')).toBe(bad)
    expect(await client.outcome('Put', w, writer)).toBe('ok')
    expect(await client.outcome('Put', w, { authorization: writer })).toBe('ok')
    const denied = 'PermissionDenied: etcdserver: permission denied'
    expect(await client.outcome('Put', { ...w, prev_kv: true }, writer)).toBe(denied)
    expect(await client.outcome('Range', w, writer)).toBe(denied)
    const txn = (success: object, failure: object) =>
      client.outcome('Txn', { success: [success], failure: [failure] }, writer)
    expect(await txn(put('w'), del('w'))).toBe('ok')
    expect(await txn(put('w'), get('w'))).toBe(denied)
    expect(await txn(put('x'), del('w'))).toBe(denied)
    expect(await client.outcome('Put', { key: bytes('x') }, root)).toBe('ok')
    using watch = new Watching(ground(), { token: writer })
    expect(await watch.create({ key: bytes('r') })).toMatchObject({ canceled: false })
    expect(await watch.create(w)).toMatchObject({
      watch_id: '-1',
      canceled: true,
      cancel_reason: 'rpc error: code = PermissionDenied desc = etcdserver: permission denied',
    })
    const revoked = { role: 'writes', key: bytes('r') }
    await client.call('RoleRevokePermission', revoked, root)
    await client.call('Put', { key: bytes('r'), value: bytes('still told') }, root)
    expect((await watch.next()).events[0]?.kv?.value.toString()).toBe('still told')
    expect(await client.outcome('Range', { key: bytes('r') }, writer)).toBe(denied)
  })
})
