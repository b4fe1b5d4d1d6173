// One port of the server: HTTP/2 and HTTP/1.1 side by side, TLS with and without ALPN, and what
// speaks neither. And how the server stops.
import { once } from 'node:events'
import http from 'node:http'
import http2 from 'node:http2'
import https from 'node:https'
import net from 'node:net'
import tls from 'node:tls'
import { describe, expect, test } from 'vitest'
import type { ServerStream } from '../../src/grpc/server.js'
import type { Log } from '../../src/platform/log.js'
import { callHead, frameBytes, frameType } from '../support/raw-http2.js'
import {
  ca,
  chat,
  clientTls,
  collect,
  echo,
  failure,
  gate,
  onTestEnd,
  open,
  serve,
  serverTls,
} from './ends.js'
import { ManualClock } from './manual-clock.js'

const hello = Buffer.from('hello')
const host = '127.0.0.1'

const http1 = (request: http.IncomingMessage, response: http.ServerResponse): void => {
  let body = ''
  request.on('data', (piece) => {
    body += piece
  })
  request.on('end', () => {
    response.setHeader('content-type', 'text/plain')
    response.end(`${request.method} ${request.url} ${body}`)
  })
}

function fetched(request: http.ClientRequest, body = ''): Promise<string> {
  return new Promise((resolve, reject) => {
    request.on('error', reject)
    request.on('response', (response) => {
      let text = ''
      response.on('data', (piece) => {
        text += piece
      })
      response.on('end', () => resolve(text))
    })
    request.end(body)
  })
}

function recordingLog() {
  const lines: string[] = []
  const note = (msg: string, fields: object = {}) => lines.push(`${msg} ${JSON.stringify(fields)}`)
  const log: Log = { debug: note, info: note, warn: note, error: note }
  return { log, lines }
}

async function dial(port: number): Promise<net.Socket> {
  const socket = net.connect(port, host)
  socket.on('error', () => {})
  onTestEnd(() => socket.destroy())
  await once(socket, 'connect')
  return socket
}

describe('plain text', () => {
  test('HTTP/1.1 and gRPC share a port', async () => {
    const { port, address } = await serve({ '/t.S/Echo': echo }, { http1 })
    const get = http.request({ host, port, path: '/health', agent: false })
    expect(await fetched(get)).toBe('GET /health ')
    expect(await open(address).unary('/t.S/Echo', hello)).toEqual(hello)
    const post = http.request({ host, port, path: '/v3/kv/put', method: 'POST', agent: false })
    expect(await fetched(post, 'x'.repeat(100_000))).toBe(`POST /v3/kv/put ${'x'.repeat(100_000)}`)
  })

  test('first bytes that come one by one are sorted all the same', async () => {
    const { port } = await serve({ '/t.S/Echo': echo }, { http1 })
    const socket = await dial(port)
    socket.setNoDelay(true)
    let text = ''
    socket.on('data', (piece) => {
      text += piece
    })
    for (const byte of 'GET /slow HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n') {
      socket.write(byte)
      await new Promise((resolve) => setImmediate(resolve))
    }
    await once(socket, 'close')
    expect(text).toContain('GET /slow ')
  })

  test('HTTP/2 that comes one byte at a time works too', async () => {
    const { port } = await serve({ '/t.S/Echo': echo }, { http1 })
    const relay = net.createServer((near) => {
      const far = net.connect(port, host).setNoDelay(true)
      far.pipe(near)
      for (const socket of [near, far]) socket.on('error', () => {})
      near.on('data', async (piece: Buffer) => {
        near.pause()
        for (const byte of piece) {
          far.write(Buffer.from([byte]))
          await new Promise((resolve) => setImmediate(resolve))
        }
        near.resume()
      })
      near.on('close', () => far.destroy())
    })
    await new Promise<void>((resolve) => relay.listen(0, host, resolve))
    onTestEnd(() => relay.close())
    const address = relay.address()
    if (address === null || typeof address === 'string') throw new Error('no port')
    const channel = open({ host, port: address.port })
    expect(await channel.unary('/t.S/Echo', hello)).toEqual(hello)
  })

  test('without a callback HTTP/1.1 is hung up on', async () => {
    const { port } = await serve({ '/t.S/Echo': echo })
    const get = http.request({ host, port, path: '/health', agent: false })
    await expect(fetched(get)).rejects.toThrow(/socket hang up|ECONNRESET/)
  })
})

describe('TLS', () => {
  const at = { host, port: 0, tls: serverTls }

  test('ALPN decides between gRPC and HTTP/1.1', async () => {
    const { port, address } = await serve({ '/t.S/Echo': echo }, { http1, at })
    const get = https.request({ host, port, path: '/version', ca, agent: false })
    expect(await fetched(get)).toBe('GET /version ')
    const channel = open(address, { tls: clientTls })
    expect(await channel.unary('/t.S/Echo', hello)).toEqual(hello)
  })

  test('plain requests over h2 reach the HTTP callback: curl negotiates h2 under TLS', async () => {
    const { port } = await serve({ '/t.S/Echo': echo }, { http1, at })
    const session = http2.connect(`https://localhost:${port}`, { ca })
    onTestEnd(() => session.destroy())
    const stream = session.request({ ':path': '/health' })
    stream.setEncoding('utf8')
    let text = ''
    for await (const piece of stream) text += piece
    expect(text).toBe('GET /health ')
  })

  test('a client without ALPN that opens with the HTTP/2 preface is served', async () => {
    const { port } = await serve({ '/t.S/Echo': echo }, { http1, at })
    const socket = tls.connect({ host, port, ca })
    const session = http2.connect('http://localhost', { createConnection: () => socket })
    onTestEnd(() => session.destroy())
    const stream = session.request({
      ':method': 'POST',
      ':path': '/t.S/Echo',
      'content-type': 'application/grpc',
      te: 'trailers',
    })
    stream.end(Buffer.from([0, 0, 0, 0, 1, 65]))
    const [trailers] = await once(stream.resume(), 'trailers')
    expect(trailers['grpc-status']).toBe('0')
  })

  test('a client without ALPN that speaks HTTP/1.1 is served', async () => {
    const { port } = await serve({ '/t.S/Echo': echo }, { http1, at })
    const socket = tls.connect({ host, port, ca })
    socket.write('GET /old HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n')
    let text = ''
    for await (const piece of socket) text += piece
    expect(text).toContain('GET /old ')
  })
})

describe('bad input is logged, closed, and hurts nobody else', () => {
  const inputs: Record<string, Buffer> = {
    noise: Buffer.from('\x00\x01\x02\x03 hello hello'),
    'a TLS hello on a plain port': Buffer.from([0x16, 3, 1, 0, 5, 1, 0, 0, 1, 3]),
    'a preface and then noise': Buffer.from(
      `PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n${'\xff'.repeat(100)}`,
    ),
    'half a preface and another end': Buffer.from('PRI * HTTP/1.1\r\n\r\nSM\r\n\r\n0123456789'),
    'a frame of an absurd size': Buffer.concat([
      Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'),
      Buffer.from([0, 0, 0, 4, 0, 0, 0, 0, 0]),
      Buffer.from([255, 255, 255, 0, 0, 0, 0, 0, 1]),
      Buffer.alloc(100),
    ]),
    'broken header compression': Buffer.concat([
      Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'),
      Buffer.from([0, 0, 0, 4, 0, 0, 0, 0, 0]),
      Buffer.from([0, 0, 3, 1, 5, 0, 0, 0, 1, 255, 255, 255]),
    ]),
    'more empty frames than anybody sends': Buffer.concat([
      Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'),
      frameBytes(frameType.settings, { payload: Buffer.from([0, 2, 0, 0, 0, 0]) }),
      callHead('/t.S/Echo', 1),
      ...Array<Buffer>(5000).fill(frameBytes(frameType.data, { stream: 1 })),
    ]),
    'no valid HTTP/1.1': Buffer.from('GET\r\n\r\n\r\n'),
  }
  for (const [name, bytes] of Object.entries(inputs)) {
    test(name, async () => {
      const { port, address } = await serve({ '/t.S/Echo': echo }, { http1 })
      const socket = await dial(port)
      // Where the preface was right, HTTP/2 says GOAWAY and leaves the hanging up to the client.
      const parted = new Promise<void>((resolve) => {
        let seen = ''
        socket.on('data', (piece) => {
          seen += piece.toString('hex')
          if (/(..){3}07000000000000/.test(seen)) resolve()
        })
        socket.on('close', () => resolve())
      })
      socket.write(bytes)
      await parted
      expect(await open(address).unary('/t.S/Echo', hello)).toEqual(hello)
    })
  }

  test('a connection that is no HTTP is named in the log', async () => {
    const { log, lines } = recordingLog()
    const { port } = await serve({ '/t.S/Echo': echo }, { log })
    const socket = await dial(port)
    socket.write(Buffer.from([0x16, 3, 1]))
    await once(socket.resume(), 'close')
    expect(lines.join()).toContain('rejected connection')
    expect(lines.join()).toContain('client speaks TLS to a plain port')
  })

  test('a client that connects and hangs up, or half-closes, is forgotten', async () => {
    const clock = new ManualClock()
    const { port } = await serve({ '/t.S/Echo': echo }, { clock })
    const one = await dial(port)
    one.destroy()
    const two = await dial(port)
    two.end()
    await once(two.resume(), 'close')
    const three = await dial(port)
    three.end('PR')
    await once(three.resume(), 'close')
    expect(clock.pendingCount).toBe(0)
  })

  test('a client that connects and says nothing is closed after a while', async () => {
    const clock = new ManualClock()
    const { port } = await serve({ '/t.S/Echo': echo }, { clock })
    const socket = await dial(port)
    while (clock.pendingCount === 0) await new Promise((resolve) => setImmediate(resolve))
    clock.advance(120_000)
    await once(socket.resume(), 'close')
  })

  test('an HTTP/2 request that is no gRPC is told so', async () => {
    const { port } = await serve({ '/t.S/Echo': echo })
    const session = http2.connect(`http://${host}:${port}`)
    onTestEnd(() => session.destroy())
    const stream = session.request({ ':path': '/t.S/Echo' })
    const [headers] = await once(stream, 'response')
    expect(headers[':status']).toBe(415)
  })

  test('a request without a message, and a timeout that is none, are refused', async () => {
    const { port } = await serve({ '/t.S/Echo': echo })
    const session = http2.connect(`http://${host}:${port}`)
    onTestEnd(() => session.destroy())
    const base = { ':method': 'POST', ':path': '/t.S/Echo', 'content-type': 'application/grpc' }
    const empty = session.request(base)
    empty.end()
    const [first] = await once(empty, 'response')
    expect(first).toMatchObject({ 'grpc-status': '2', 'grpc-message': 'EOF' })
    const odd = session.request({ ...base, 'grpc-timeout': 'soon' })
    odd.end(Buffer.from([0, 0, 0, 0, 0]))
    const [second] = await once(odd, 'response')
    expect(second).toMatchObject({
      'grpc-status': '13',
      'grpc-message': 'malformed grpc-timeout: soon',
    })
  })

  test('a compressed request is Unimplemented', async () => {
    const { port } = await serve({ '/t.S/Echo': echo })
    const session = http2.connect(`http://${host}:${port}`)
    onTestEnd(() => session.destroy())
    const stream = session.request({
      ':method': 'POST',
      ':path': '/t.S/Echo',
      'content-type': 'application/grpc',
      'grpc-encoding': 'gzip',
    })
    stream.end(Buffer.from([1, 0, 0, 0, 1, 0]))
    const [headers] = await once(stream, 'response')
    expect(headers).toMatchObject({
      'grpc-status': '12',
      'grpc-message': 'grpc: Decompressor is not installed for grpc-encoding "gzip"',
    })
  })
})

test('the limit of concurrent streams holds and is told to the client', async () => {
  let running = 0
  let most = 0
  const { address } = await serve(
    {
      '/t.S/Count': {
        kind: 'unary',
        handle: async (request) => {
          most = Math.max(most, ++running)
          await new Promise((resolve) => setImmediate(resolve))
          running--
          return request
        },
      },
    },
    { maxConcurrentStreams: 4 },
  )
  const channel = open(address)
  await Promise.all(Array.from({ length: 200 }, () => channel.unary('/t.S/Count', hello)))
  expect(most).toBeLessThanOrEqual(4)
  expect(most).toBeGreaterThan(1)
})

describe('close()', () => {
  test('lets calls under way finish, and takes no new ones', async () => {
    const arrived = gate()
    const go = gate()
    const { address, server } = await serve({
      '/t.S/Slow': {
        kind: 'unary',
        handle: async (request) => {
          arrived.open()
          await go.opened
          return request
        },
      },
    })
    const call = open(address).unary('/t.S/Slow', hello)
    await arrived.opened
    const closed = server.close(60_000)
    const late = open(address)
    while (late.lastConnectError === undefined) await new Promise((r) => setImmediate(r))
    go.open()
    expect(await call).toEqual(hello)
    await closed
  })

  test('cuts what is still running after the grace', async () => {
    const clock = new ManualClock()
    const aborted = gate()
    const handle = async (stream: ServerStream) => {
      await stream.write(hello)
      stream.signal.addEventListener('abort', () => aborted.open())
      await aborted.opened
    }
    const { address, server } = await serve({ '/t.S/Watch': { kind: 'stream', handle } }, { clock })
    const stream = open(address).stream('/t.S/Watch')
    const answers = stream[Symbol.asyncIterator]()
    await answers.next()
    const closed = server.close(5000)
    clock.advance(5000)
    await closed
    await aborted.opened
    await expect(answers.next()).rejects.toMatchObject({ code: 14 })
    expect(clock.pendingCount).toBe(0)
  })

  test('does not wait for connections that are kept alive, nor for silent ones', async () => {
    const { address, port, server } = await serve({ '/t.S/Chat': chat }, { http1 })
    const agent = new http.Agent({ keepAlive: true })
    onTestEnd(() => agent.destroy())
    await fetched(http.request({ host, port, path: '/', agent }))
    const stream = open(address).stream('/t.S/Chat')
    stream.end()
    await collect(stream)
    await dial(port)
    await server.close(60_000)
    expect(await failure(open(address).unary('/t.S/Chat', hello, { deadlineMs: 1 }))).toMatchObject(
      { code: 4 },
    )
  })
})
