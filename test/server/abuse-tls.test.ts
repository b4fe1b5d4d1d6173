// A port with TLS, met by who speaks none, and by clients whose certificates are none of ours: each
// is refused, with etcd's words in the log, and the server serves on.
import { once } from 'node:events'
import net from 'node:net'
import path from 'node:path'
import tls from 'node:tls'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { selfSigned } from '../../src/server/self-signed.js'
import { run } from '../commands/run.js'
import { eventually } from '../support/cluster.js'
import { type Embedded, startEmbedded } from '../support/embedded.js'
import { freePorts } from '../support/free-ports.js'

const fixture = (name: string): string => path.join(import.meta.dirname, '../../fixtures/tls', name)

let server: Embedded
let url: URL
beforeEach(async () => {
  server = await startEmbedded({
    storage: 'memory',
    config: {
      listenClientUrls: ['https://127.0.0.1:0'],
      certFile: fixture('server.crt'),
      keyFile: fixture('server.key'),
      trustedCaFile: fixture('ca.crt'),
      clientCertAuth: true,
    },
  })
  url = new URL(server.server.endpoints[0] ?? '')
})
afterEach(async () => {
  await serves()
  await eventually('no connection is left', async () => {
    return server.server.open.connections === 0 || undefined
  })
  await server[Symbol.asyncDispose]()
})

async function serves(): Promise<void> {
  const files = { cacert: 'ca.crt', cert: 'client.crt', key: 'client.key' }
  const flags = Object.entries(files).map(([name, file]) => `--${name}=${fixture(file)}`)
  const words = ['put', 'k', 'v', `--endpoints=${url.origin}`, ...flags]
  expect((await run(words, { connection: 'real' })).stdout.toString()).toBe('OK\n')
}

interface Rejection {
  level: string
  msg: string
  'remote-addr': string
  'server-name': string
  error: string
}

async function rejection(by = server): Promise<Rejection> {
  const line = await eventually('a line about it', async () =>
    by.log.find((each) => each.includes('"rejected connection"')),
  )
  return JSON.parse(line)
}

const told = (error: string, name = '') => ({
  level: 'warn',
  msg: 'rejected connection',
  'remote-addr': expect.stringMatching(/^127\.0\.0\.1:\d+$/),
  'server-name': name,
  error,
})

const noHandshake = 'tls: first record does not look like a TLS handshake'

test.each([
  ['HTTP/1.1 in plain text', Buffer.from('GET /health HTTP/1.1\r\nhost: x\r\n\r\n'), noHandshake],
  ['HTTP/2 in plain text', Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'), noHandshake],
  [
    'garbage',
    Buffer.from(Array.from({ length: 4096 }, (_, at) => (at * 167 + 13) & 255)),
    noHandshake,
  ],
  ['nothing', Buffer.alloc(0), 'EOF'],
])('%s', async (_name, bytes, error) => {
  const socket = net.connect(Number(url.port), '127.0.0.1').on('error', () => {})
  const closed = once(socket.resume(), 'close')
  socket.end(bytes)
  await closed
  expect(await rejection()).toMatchObject(told(error))
})

test('plain text at the port for members', async () => {
  const [port = 0] = await freePorts(1)
  const urls = [`https://127.0.0.1:${port}`]
  await using member = await startEmbedded({
    config: {
      listenPeerUrls: urls,
      initialAdvertisePeerUrls: urls,
      initialCluster: `default=${urls}`,
      peerCertFile: fixture('server.crt'),
      peerKeyFile: fixture('server.key'),
      peerTrustedCaFile: fixture('ca.crt'),
    },
  })
  const socket = net.connect(port, '127.0.0.1').on('error', () => {})
  const closed = once(socket.resume(), 'close')
  socket.end('GET /version HTTP/1.1\r\nhost: x\r\n\r\n')
  await closed
  expect(await rejection(member)).toMatchObject(told(noHandshake))
})

test('plain text at a port for metrics', async () => {
  const [port = 0] = await freePorts(1)
  const config = {
    listenMetricsUrls: [`https://127.0.0.1:${port}`],
    certFile: fixture('server.crt'),
    keyFile: fixture('server.key'),
  }
  await using metrics = await startEmbedded({ storage: 'memory', config })
  const socket = net.connect(port, '127.0.0.1').on('error', () => {})
  const closed = once(socket.resume(), 'close')
  socket.end('GET /metrics HTTP/1.1\r\nhost: x\r\n\r\n')
  await closed
  expect(await rejection(metrics)).toMatchObject(told(noHandshake))
})

describe('a certificate', () => {
  const made = (year: number) =>
    selfSigned(['localhost'], { nowMs: Date.UTC(year, 0, 2), serial: Buffer.alloc(15, 7) })
  const year = new Date().getUTCFullYear()
  const notVerified = 'tls: failed to verify client certificate: x509: certificate '

  async function meet(options: tls.ConnectionOptions): Promise<void> {
    const at = { host: '127.0.0.1', port: Number(url.port), rejectUnauthorized: false }
    const socket = tls.connect({ ...at, servername: 'localhost', ...options })
    socket.on('error', () => {}).resume()
    await new Promise<void>((resolve) => socket.on('close', () => resolve()))
  }

  test('that is not there', async () => {
    await meet({})
    const error = "tls: client didn't provide a certificate"
    expect(await rejection()).toMatchObject(told(error, 'localhost'))
  })

  test('that somebody made for himself', async () => {
    await meet(made(year))
    const error = `${notVerified}signed by unknown authority`
    expect(await rejection()).toMatchObject(told(error, 'localhost'))
  })

  test('that has expired', async () => {
    await meet(made(2020))
    const { error } = await rejection()
    expect(error).toBe(`${notVerified}has expired or is not yet valid`)
  })
})
