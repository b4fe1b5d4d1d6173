// HTTP/1.1 abused, at the JSON gateway and at the port for members: garbage, bodies that are too
// large, too deep or never end, paths that nobody has. Where etcd can be asked the same, its status
// is the one expected.
import { once } from 'node:events'
import http from 'node:http'
import net from 'node:net'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { type Ground, groundOf, onBoth } from '../conformance/imitations/ground.js'
import { eventually } from '../support/cluster.js'
import { type Embedded, startEmbedded } from '../support/embedded.js'
import { freePorts } from '../support/real-etcd.js'
import { versionDifferences } from './version-differences.js'

interface Asked {
  method?: string
  path: string
  body?: string | Buffer
  headers?: Record<string, string>
}

async function ask(port: number, { method = 'POST', path, body = '', headers = {} }: Asked) {
  const at = { host: '127.0.0.1', port, path, method, headers, agent: false }
  const request = http.request(at)
  request.on('error', () => {}) // who is answered early may be hung up on while it still sends
  request.end(body)
  const [response] = (await once(request, 'response')) as [http.IncomingMessage]
  const pieces: Buffer[] = []
  for await (const piece of response) pieces.push(piece)
  return { status: response.statusCode ?? 0, body: Buffer.concat(pieces).toString() }
}

const valueText = (bytes: number): string => Buffer.alloc(bytes, 'v').toString('base64')
const nested = (depth: number): string => `${'{"a":'.repeat(depth)}1${'}'.repeat(depth)}`

onBoth({}, (ground) => {
  const key = Buffer.from('k')

  test.each<[string, Asked, number]>([
    ['no JSON', { path: '/v3/kv/put', body: 'no JSON' }, 400],
    ['half of it', { path: '/v3/kv/put', body: '{"key":' }, 400],
    ['a list', { path: '/v3/kv/put', body: '[]' }, 400],
    ['another type', { path: '/v3/kv/put', body: '{"key":{}}' }, 400],
    ['no base64', { path: '/v3/kv/put', body: '{"key":"*"}' }, 400],
    ['bytes', { path: '/v3/kv/put', body: Buffer.from([0, 255, 254, 128]) }, 400],
    ['depth', { path: '/v3/kv/put', body: nested(100_000) }, 400],
    ['a path that nobody has', { path: '/v3/nobody/has', body: '{}' }, 404],
    ['a path of another version', { path: '/v4/kv/put', body: '{}' }, 404],
    ['an odd path', { path: '/v3/kv/put%00%ff', body: '{}' }, 404],
  ])('the gateway is given %s', async (_name, asked, status) => {
    expect((await ask(ground().port, asked)).status).toBe(status)
    expect(await ground().client.outcome('Put', { key })).toBe('ok')
  })

  test('the gateway is given a value that is too large', async () => {
    const put = (bytes: number) => {
      const body = JSON.stringify({ key: 'aw==', value: valueText(bytes) })
      return ask(ground().port, { path: '/v3/kv/put', body })
    }
    const large = await put(1_600_000)
    const error = ground().by(versionDifferences.gatewayError)
    expect(large.status).toBe(400)
    expect(JSON.parse(large.body)).toEqual(error(3, 'etcdserver: request is too large'))
    const larger = await put(3_000_000)
    expect(larger.status).toBe(429)
    const tooLarge = 'grpc: received message larger than max (3000008 vs. 2097152)'
    expect(JSON.parse(larger.body)).toEqual(error(8, tooLarge))
    expect(await ground().client.outcome('Put', { key })).toBe('ok')
  })
})

let server: Embedded
let peerPort: number
let ground: Ground & AsyncDisposable
let before: number
beforeEach(async () => {
  const [port = 0] = await freePorts(1)
  const urls = [`http://127.0.0.1:${port}`]
  peerPort = port
  const peers = { listenPeerUrls: urls, initialAdvertisePeerUrls: urls }
  server = await startEmbedded({
    config: { ...peers, initialCluster: `default=${urls}`, unsafeNoFsync: true },
  })
  ground = await groundOf(server.port)
  await serves()
  before = server.server.open.connections
})
afterEach(async () => {
  await serves()
  await eventually('no connection is left', async () => {
    return server.server.open.connections <= before || undefined
  })
  await ground[Symbol.asyncDispose]()
  await server[Symbol.asyncDispose]()
})

async function serves(): Promise<void> {
  const key = Buffer.from('k')
  expect(await ground.client.outcome('Put', { key })).toBe('ok')
  expect((await ground.client.call('Range', { key })).count).toBe('1')
  expect((await ask(peerPort, { method: 'GET', path: '/version' })).status).toBe(200)
}

/** Writes and goes on to listen; resolves with what was answered when the server hangs up. */
async function hungUpOn(port: number, pieces: Iterable<Buffer | string>): Promise<string> {
  const socket = net.connect(port, '127.0.0.1').on('error', () => {})
  let text = ''
  socket.on('data', (piece) => {
    text += piece.toString('latin1')
  })
  const closed = new Promise<void>((resolve) => socket.on('close', () => resolve()))
  for (const piece of pieces) {
    if (socket.destroyed) break
    await new Promise<void>((resolve) => socket.write(piece, () => resolve()))
  }
  await closed
  return text
}

function* endless(first: string, piece: Buffer): Generator<Buffer | string> {
  yield first
  for (let at = 0; at < 2_000; at++) yield piece
}

const post = (path: string, more = ''): string =>
  `POST ${path} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n${more}\r\n`
const chunk = Buffer.from(`10000\r\n${'v'.repeat(0x10000)}\r\n`)

describe('the port for clients', () => {
  test('ends a body that is larger than any request, however long it goes on', async () => {
    expect(await hungUpOn(server.port, endless(`${post('/v3/kv/put')}1\r\n"\r\n`, chunk))).toMatch(
      /^HTTP\/1\.1 429/,
    )
  })

  test('ends headers that go on and on', async () => {
    const line = Buffer.from(`X-More: ${'x'.repeat(1_000)}\r\n`)
    const text = await hungUpOn(server.port, endless('GET /health HTTP/1.1\r\n', line))
    expect(text).toMatch(/^HTTP\/1\.1 431/)
  })

  test('forgets bodies that break off', async () => {
    const sockets = await Promise.all(
      Array.from({ length: 200 }, async () => {
        const socket = net.connect(server.port, '127.0.0.1').on('error', () => {})
        await once(socket, 'connect')
        socket.write(`${post('/v3/watch')}5\r\n{"key\r\n`)
        return socket
      }),
    )
    await eventually('all are here', async () => {
      return server.server.open.connections - before === 200 || undefined
    })
    await serves()
    for (const socket of sockets) socket.destroy()
  })
})

describe('the port for members', () => {
  const inputs: Record<string, Buffer> = {
    garbage: Buffer.from(Array.from({ length: 4096 }, (_, at) => (at * 167 + 13) & 255)),
    'a TLS hello': Buffer.from('16030100050100000103', 'hex'),
    'HTTP/2': Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'),
  }
  test.each(Object.entries(inputs))('hangs up on %s', async (_name, bytes) => {
    await hungUpOn(peerPort, [bytes])
  })

  test.each([
    ['GET', '/nobody/has', 404],
    ['POST', '/members/promote/x', 404],
    ['GET', '/raft', 405],
    ['POST', '/raft', 412],
    ['POST', '/raft/snapshot', 412],
    ['GET', '/raft/stream/message/1', 412],
  ])('%s %s from a stranger', async (method, path, status) => {
    expect((await ask(peerPort, { method, path })).status).toBe(status)
  })

  const hex = (id: bigint): string => id.toString(16)
  const own = () => {
    const { memberId, clusterId } = server.server
    const ids = `X-Etcd-Cluster-Id: ${hex(clusterId)}\r\nX-Raft-To: ${hex(memberId)}\r\n`
    return `${ids}X-Server-From: 1\r\nX-Server-Version: 3.7.0\r\nX-Min-Cluster-Version: 3.0.0\r\n`
  }

  test('refuses messages that are none', async () => {
    const body = '4\r\n\xff\xff\xff\xff\r\n0\r\n\r\n'
    const text = await hungUpOn(peerPort, [
      Buffer.from(post('/raft', `${own()}Connection: close\r\n`) + body, 'latin1'),
    ])
    expect(text).toMatch(/^HTTP\/1\.1 400/)
  })

  test('refuses a snapshot whose message is larger than any', async () => {
    const length = Buffer.alloc(8, 0x7f)
    const head = Buffer.concat([Buffer.from('8\r\n'), length, Buffer.from('\r\n')])
    const text = await hungUpOn(peerPort, [post('/raft/snapshot', own()), head])
    expect(text).toMatch(/^HTTP\/1\.1 (400|413)/)
  })
})
