// protocol.test.ts: what a member answers to requests on its peer port, beside what a real etcd
// answers to the same: status, headers, body. Where etcd breaks off or panics, ours says why.
import http from 'node:http'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { MessageType } from '../../../src/api/gen/raft.js'
import { LeaseKeepAliveRequest } from '../../../src/api/gen/rpc.js'
import { EtcdError } from '../../../src/api/rpc-errors.js'
import { getMembers, peerHashKv, renewLease } from '../../../src/server/peer/client.js'
import { encodeMessage, framed } from '../../../src/server/peer/message-stream.js'
import type { PeerHandlers } from '../../../src/server/peer/transport.js'
import { memberHex } from '../../../src/storage/schema.js'
import {
  describeWithEtcd,
  freePorts,
  type RealEtcd,
  startRealEtcd,
} from '../../support/real-etcd.js'
import { clusterId, type End, raftMessage, startEnd, until } from './ends.js'

interface Request {
  method: string
  path: string
  headers?: Record<string, string>
  body?: Uint8Array | string
}

interface Answer {
  status: number
  headers: Record<string, string>
  body: string
}

/** The answer, or undefined when the connection breaks. A body without end is not waited for. */
function ask(
  port: number,
  { method, path, headers = {}, body }: Request,
): Promise<Answer | undefined> {
  return new Promise((resolve) => {
    const length = body === undefined ? {} : { 'Content-Length': String(Buffer.byteLength(body)) }
    const all = { ...headers, ...length }
    const to = { host: '127.0.0.1', port, method, path, headers: all, agent: keepAlive }
    const request = http.request(to)
    request.on('error', () => resolve(undefined))
    request.on('response', (response) => {
      const isEndless = response.statusCode === 200 && path.startsWith('/raft/stream/')
      let text = ''
      const done = () => {
        resolve({
          status: response.statusCode ?? 0,
          headers: named(response.rawHeaders),
          body: text,
        })
      }
      if (isEndless) {
        done()
        response.on('error', () => {})
        request.destroy()
        return
      }
      response.on('data', (piece: Buffer) => {
        text += piece.toString('latin1')
      })
      response.on('end', done)
      response.on('error', () => resolve(undefined))
    })
    request.end(body)
  })
}

const keepAlive = new http.Agent({ keepAlive: true })
afterAll(() => keepAlive.destroy())

/** Names as they are spelled; what depends on the moment is left out. */
function named(raw: readonly string[]): Record<string, string> {
  const headers: Record<string, string> = {}
  for (let i = 0; i + 1 < raw.length; i += 2) headers[raw[i] ?? ''] = raw[i + 1] ?? ''
  const { Date: _, ...rest } = headers
  return rest
}

const versions = { 'X-Server-Version': '3.4.23', 'X-Min-Cluster-Version': '3.0.0' }

describeWithEtcd('the peer port, beside a real one', () => {
  const state = { etcd: undefined as RealEtcd | undefined, end: undefined as End | undefined }
  let peerPort = 0
  let own = { id: 0n, clusterId: 0n, learner: 0n, removed: 0n }
  let leaseId = ''

  beforeAll(async () => {
    const [port = 0] = await freePorts(1)
    peerPort = port
    const url = `http://127.0.0.1:${port}`
    const flags = [
      `--listen-peer-urls=${url}`,
      `--initial-advertise-peer-urls=${url}`,
      `--initial-cluster=default=${url}`,
    ]
    const etcd = await startRealEtcd({ flags })
    state.etcd = etcd
    const add = (peer: string) => [
      'member',
      'add',
      'x',
      '--learner',
      `--peer-urls=http://127.0.0.1:${peer}`,
    ]
    await etcd.etcdctl(add('1'))
    const first = await getMembers([url], { timeoutMs: 60_000 })
    const removed = first.members.find(({ isLearner }) => isLearner)?.id ?? 0n
    await etcd.etcdctl(['member', 'remove', memberHex(removed)])
    await etcd.etcdctl(add('2'))
    await etcd.etcdctl(['put', 'k', 'v'])
    leaseId = /lease (\w+)/.exec(await etcd.etcdctl(['lease', 'grant', '600']))?.[1] ?? ''
    const { clusterId, members } = await getMembers([url], { timeoutMs: 60_000 })
    const id = members.find(({ isLearner }) => !isLearner)?.id ?? 0n
    const learner = members.find(({ isLearner }) => isLearner)?.id ?? 0n
    own = { id, clusterId, learner, removed }
    const hash = await peerHashKv(url, 0)
    const handlers: Partial<PeerHandlers> = {
      isRemoved: (other) => other === removed,
      members: () => members,
      version: () => ({ etcdserver: '3.4.23', etcdcluster: '3.4.0', storage: '' }),
      async promote(other) {
        throw new EtcdError(
          other === learner
            ? 'learnerNotReady'
            : other === id
              ? 'memberNotLearner'
              : 'memberNotFound',
        )
      },
      renewLease: async (lease) => (lease === BigInt(`0x${leaseId}`) ? 600 : undefined),
      leaseTimeToLive: async () => undefined,
      hashKv(revision) {
        if (revision > hash.revision) throw new EtcdError('futureRevision')
        return hash
      },
    }
    state.end = await startEnd({ id, handlers, parts: { clusterId } })
    state.end.transport.addPeer(learner, ['http://127.0.0.1:2'])
  })

  afterAll(async () => {
    await state.end?.transport.close()
    await state.etcd?.[Symbol.asyncDispose]()
  })

  async function expectSame(request: Request): Promise<Answer> {
    const real = await ask(peerPort, request)
    const ours = await ask(state.end?.port ?? 0, request)
    // Ours ends the connection when it refuses a snapshot: the rest of the body may be long.
    const isLast = request.method === 'POST' && request.path === '/raft/snapshot'
    const headers = { ...real?.headers, ...(isLast ? { Connection: 'close' } : {}) }
    expect(ours).toEqual({ ...real, headers })
    if (real === undefined) throw new Error('etcd did not answer')
    return real
  }

  test.each([
    '/raft',
    '/raft/snapshot',
    '/raft/stream/message/1',
    '/members',
    '/members/promote/1',
    '/members/hashkv',
    '/version',
    '/leases',
    '/leases/internal',
  ])('takes no DELETE of %s', async (path) => {
    expect((await expectSame({ method: 'DELETE', path })).status).toBe(405)
  })

  test.each(['/', '/members/', '/raft/xx', '/version/', '/health'])(
    'has nothing at %s',
    async (path) => {
      expect((await expectSame({ method: 'GET', path })).status).toBe(404)
    },
  )

  test.each([
    [{}, 412],
    [{ 'X-Server-Version': '3.4.23' }, 404],
    [{ 'X-Min-Cluster-Version': '3.0.0' }, 412],
    [{ 'X-Server-Version': '2.3.0', 'X-Min-Cluster-Version': '2.3.0' }, 412],
    [{ 'X-Server-Version': '3.7.1', 'X-Min-Cluster-Version': '3.5.0' }, 412],
    [{ 'X-Server-Version': '4.0.0', 'X-Min-Cluster-Version': '3.0.0' }, 404],
    [{ 'X-Server-Version': '3.7.1', 'X-Min-Cluster-Version': '3.0.0' }, 404],
  ])('compares versions: %j', async (headers, status) => {
    const all = { ...headers, 'X-Etcd-Cluster-ID': memberHex(own.clusterId) }
    const path = '/raft/stream/message/77'
    expect((await expectSame({ method: 'GET', path, headers: all })).status).toBe(status)
  })

  test('refuses another cluster', async () => {
    const headers = { ...versions, 'X-Etcd-Cluster-ID': '1' }
    for (const [method, path] of [
      ['GET', '/raft/stream/message/77'],
      ['POST', '/raft'],
      ['POST', '/raft/snapshot'],
    ] as const) {
      const { status, body } = await expectSame({ method, path, headers })
      expect([status, body]).toEqual([412, 'cluster ID mismatch\n'])
    }
  })

  test.each([
    ['GET', '/raft/stream/msgappv2/77', 404, 'invalid path\n'],
    ['GET', '/raft/stream/message', 404, 'invalid path\n'],
    ['GET', '/raft/stream/message/x', 404, 'invalid from\n'],
    ['GET', '/raft/stream/message/77', 404, 'error sender not found\n'],
    ['GET', '/raft/stream/message/REMOVED', 410, 'removed member\n'],
    ['GET', '/raft/stream/message/LEARNER', 412, 'to field mismatch\n'],
  ])('refuses a dial: %s %s', async (method, asked, status, text) => {
    const path = asked
      .replace('REMOVED', memberHex(own.removed))
      .replace('LEARNER', memberHex(own.learner))
    const headers = { ...versions, 'X-Etcd-Cluster-ID': memberHex(own.clusterId), 'X-Raft-To': '1' }
    const { status: got, body } = await expectSame({ method, path, headers })
    expect([got, body]).toEqual([status, text])
  })

  test.each(['message', 'msgapp'])('opens a stream %s to a member', async (kind) => {
    const path = `/raft/stream/${kind}/${memberHex(own.learner)}`
    const ids = { 'X-Etcd-Cluster-ID': memberHex(own.clusterId), 'X-Raft-To': memberHex(own.id) }
    const { status } = await expectSame({ method: 'GET', path, headers: { ...versions, ...ids } })
    expect(status).toBe(200)
  })

  test('takes a message, and refuses what is none', async () => {
    const headers = { ...versions, 'X-Etcd-Cluster-ID': memberHex(own.clusterId) }
    const to = { method: 'POST', path: '/raft', headers }
    const message = raftMessage({
      type: MessageType.MsgHeartbeatResp,
      from: own.learner,
      to: own.id,
    })
    expect((await expectSame({ ...to, body: encodeMessage(message) })).status).toBe(204)
    expect((await expectSame({ ...to, body: Buffer.from('ffff', 'hex') })).status).toBe(400)
  })

  test('refuses a snapshot that is none', async () => {
    const headers = { ...versions, 'X-Etcd-Cluster-ID': memberHex(own.clusterId) }
    const body = Buffer.concat(framed(raftMessage({ from: own.learner, to: own.id })))
    const { status, body: text } = await expectSame({
      method: 'POST',
      path: '/raft/snapshot',
      headers,
      body,
    })
    expect([status, text]).toEqual([400, 'wrong raft message type\n'])
  })

  test('tells who the members are, and its version', async () => {
    expect((await expectSame({ method: 'GET', path: '/members' })).body).toMatch(
      /^\[\{"id":\d+,.*\}\]\n$/,
    )
    const real = await ask(peerPort, { method: 'GET', path: '/version' })
    const ours = await ask(state.end?.port ?? 0, { method: 'GET', path: '/version' })
    expect(real?.body).toBe('{"etcdserver":"3.4.23","etcdcluster":"3.4.0"}')
    // Since 3.6 it names a third version.
    expect(ours?.body).toBe('{"etcdserver":"3.4.23","etcdcluster":"3.4.0","storage":""}')
    expect(ours?.headers['Content-Type']).toBe(real?.headers['Content-Type'])
  })

  test('says that it is alive', async () => {
    const [real, ours] = await Promise.all(
      [peerPort, state.end?.port ?? 0].map((port) =>
        ask(port, { method: 'GET', path: '/raft/probing' }),
      ),
    )
    const { 'Content-Length': realLength, ...realHeaders } = real?.headers ?? {}
    const { 'Content-Length': ourLength, ...ourHeaders } = ours?.headers ?? {}
    expect(ourHeaders).toEqual(realHeaders)
    const form = /^\{"OK":true,"Now":"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z"\}\n$/
    expect(real?.body).toMatch(form)
    expect(ours?.body).toMatch(form)
    expect([realLength, ourLength]).toEqual([String(real?.body.length), String(ours?.body.length)])
  })

  test.each([
    ['abc', 404],
    ['99999999999999999999', 404],
    ['77', 404],
    ['OWN', 412],
    ['LEARNER', 412],
  ])('does not promote %s', async (text, status) => {
    const id = text.replace('OWN', String(own.id)).replace('LEARNER', String(own.learner))
    const path = `/members/promote/${id}`
    expect((await expectSame({ method: 'POST', path })).status).toBe(status)
  })

  test('renews a lease that there is', async () => {
    const renew = (id: bigint) => LeaseKeepAliveRequest.encode({ ID: String(id) }).finish()
    const to = { method: 'POST', path: '/leases' }
    expect((await expectSame({ ...to, body: renew(BigInt(`0x${leaseId}`)) })).status).toBe(200)
    expect((await expectSame({ ...to, body: renew(77n) })).status).toBe(404)
    expect((await expectSame({ ...to, body: Buffer.from('ff', 'hex') })).status).toBe(400)
    expect(await renewLease(`http://127.0.0.1:${peerPort}`, BigInt(`0x${leaseId}`))).toBe(600)
  })

  test('hashes at a revision that there is', async () => {
    const to = { method: 'GET', path: '/members/hashkv' }
    expect((await expectSame({ ...to, body: '{"revision":2}' })).body).toMatch(/"hash":\d+/)
    expect((await expectSame({ ...to, body: '{}' })).status).toBe(200)
    expect((await expectSame({ ...to, body: '{"revision":99}' })).status).toBe(400)
    expect((await expectSame({ ...to, body: 'nonsense' })).status).toBe(400)
  })
})

describe('the peer port of ours', () => {
  const headers = { ...versions, 'X-Etcd-Cluster-ID': memberHex(clusterId) }

  test.each(['3.4', 'new', '3.4.23.1', '', '9'.repeat(400)])(
    'refuses a version that is none: %s',
    async (version) => {
      await using end = await startEnd({ id: 1n })
      const all = { ...headers, 'X-Server-Version': version }
      const request = { method: 'POST', path: '/raft', headers: all }
      expect((await ask(end.port, request))?.status).toBe(412)
    },
  )

  test('tells a removed member so, and others nothing of the kind', async () => {
    await using end = await startEnd({ id: 1n, handlers: { isRemoved: (id) => id === 3n } })
    const post = (message: { from: bigint; to: bigint }) =>
      ask(end.port, {
        method: 'POST',
        path: '/raft',
        headers,
        body: encodeMessage(raftMessage(message)),
      })
    expect(await post({ from: 3n, to: 1n })).toMatchObject({
      status: 403,
      body: '{"message":"cannot process message from removed member"}',
    })
    expect(await post({ from: 2n, to: 9n })).toMatchObject({ status: 500 })
    expect(await post({ from: 2n, to: 1n })).toMatchObject({ status: 204 })
    expect(end.received.map(({ from }) => from)).toEqual([2n])
  })

  test('does not keep more strangers than a cluster could have', async () => {
    await using end = await startEnd({ id: 1n })
    for (let id = 2; id < 80; id++) {
      const stranger = { 'X-Server-From': id.toString(16), 'X-PeerURLs': 'http://127.0.0.1:1' }
      const path = `/raft/stream/message/${id.toString(16)}`
      await ask(end.port, { method: 'GET', path, headers: { ...headers, ...stranger } })
    }
    // Known ones are tried, and found to be unreachable.
    end.transport.send([raftMessage({ from: 1n, to: 2n }), raftMessage({ from: 1n, to: 79n })])
    end.transport.send([raftMessage({ from: 1n, to: 65n })])
    await until(() => [2n, 65n].every((id) => end.unreachable.includes(id)))
    expect(end.unreachable).not.toContain(79n)
  })

  test('has no downgrade to tell of', async () => {
    await using end = await startEnd({ id: 1n })
    expect(await ask(end.port, { method: 'GET', path: '/downgrade/enabled' })).toMatchObject({
      status: 200,
      body: 'false',
    })
  })
})
