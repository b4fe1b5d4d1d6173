// Pings of both ends, on a clock that the tests move: who pings when, who is given up, and what
// the server does about a client that pings too often.
import { once } from 'node:events'
import http2 from 'node:http2'
import net from 'node:net'
import { describe, expect, test } from 'vitest'
import { KeepAlive } from '../../src/grpc/keepalive.js'
import { chat, echo, failure, gate, keepalive, onTestEnd, open, rawServer, serve } from './ends.js'
import { frameBytes, settingsBytes } from './h2/raw-peer.js'
import { answer, bareServer } from './http2-server.js'
import { ManualClock } from './manual-clock.js'

const hello = Buffer.from('hello')
const windowUpdate = 8
const turn = () => new Promise((resolve) => setImmediate(resolve))
const hang = { kind: 'unary', handle: () => new Promise<Buffer>(() => {}) } as const

/** A link between client and server that a test can freeze in both directions. */
async function link(port: number) {
  const sockets: net.Socket[] = []
  const server = net.createServer((near) => {
    const far = net.connect(port, '127.0.0.1')
    for (const socket of [near, far]) socket.on('error', () => {})
    near.pipe(far).pipe(near)
    sockets.push(near, far)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  onTestEnd(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('no port')
  const freeze = () => {
    for (const socket of sockets) socket.unpipe().pause()
  }
  return { address: { host: '127.0.0.1', port: address.port }, freeze }
}

async function client(port: number): Promise<http2.ClientHttp2Session> {
  const session = http2.connect(`http://127.0.0.1:${port}`)
  session.on('error', () => {})
  onTestEnd(() => session.destroy())
  await once(session, 'remoteSettings')
  return session
}

const pinged = (session: http2.ClientHttp2Session): Promise<void> =>
  new Promise((resolve, reject) => {
    session.ping((error) => (error === null ? resolve() : reject(error)))
  })

describe('the client', () => {
  test('gives up a connection that does not answer a ping, and its calls fail', async () => {
    const clock = new ManualClock()
    const arrived = gate()
    const server = await bareServer(() => arrived.open())
    const { address, freeze } = await link(server.port)
    const channel = open(address, { clock, keepaliveTimeMs: 10_000, keepaliveTimeoutMs: 3000 })
    const call = failure(channel.unary('/t.S/M', hello))
    await arrived.opened
    freeze()
    clock.advance(10_000) // maybe traffic was seen in this span
    clock.advance(10_000) // the ping
    clock.advance(3000)
    const error = await call
    expect(error).toMatchObject({ code: 14, unprocessed: false })
    expect(error.details).toContain('keepalive ping failed to receive ACK within timeout')
  })

  test('keeps a connection that answers pings', async () => {
    const clock = new ManualClock()
    const server = await bareServer((stream, index) => {
      if (index > 0) answer(stream, 'x')
    })
    const channel = open(server.address, {
      clock,
      keepaliveTimeMs: 10_000,
      keepaliveTimeoutMs: 3000,
    })
    const call = failure(channel.unary('/t.S/M', hello))
    await channel.unary('/t.S/M', hello)
    const session = server.sessions[0] ?? new net.Server()
    clock.advance(10_000) // traffic was seen in this span
    for (let i = 0; i < 5; i++) {
      const ping = once(session, 'ping')
      clock.advance(10_000)
      await ping
      await channel.unary('/t.S/M', hello) // its answer comes after the one to the ping
      clock.advance(3000)
      await turn() // judged when the socket has been read
    }
    expect(server.sessions.length).toBe(1)
    await channel.close()
    expect(await call).toMatchObject({ code: 1 })
  })

  test('gives up a server that reads nothing, although no call is left under way', async () => {
    const clock = new ManualClock()
    let connections = 0
    const front = await serve({ '/t.S/Echo': echo })
    const port = await rawServer((socket) => {
      if (connections++ > 0) {
        const onward = net.connect(front.port, '127.0.0.1')
        socket.pipe(onward).pipe(socket)
        return
      }
      socket.write(settingsBytes({ 4: 2 ** 31 - 1 }))
      socket.write(frameBytes(windowUpdate, 0, 0, Buffer.from([0x7f, 0, 0, 0])))
    })
    const options = { clock, keepaliveTimeMs: 10_000, keepaliveTimeoutMs: 3000 }
    const channel = open({ host: '127.0.0.1', port }, options)
    // More than both ends' kernels take.
    const large = failure(channel.unary('/t.S/M', Buffer.alloc(64_000_000), { deadlineMs: 5000 }))
    for (;;) {
      const small = failure(channel.unary('/t.S/M', hello, { deadlineMs: 0.001 }))
      await turn()
      clock.advance(0.001)
      // One that waits for room, not for the connection.
      if ((await small).unprocessed && channel.peer !== undefined) break
    }
    clock.advance(5000)
    expect(await large).toMatchObject({ code: 4, unprocessed: false })
    const waiting = channel.unary('/t.S/Echo', hello)
    clock.advance(5000) // the ping
    clock.advance(3000)
    expect(await waiting).toEqual(hello)
    expect(connections).toBe(2)
  })

  test('does not give up a server whose answer it had no time to read', async () => {
    const clock = new ManualClock()
    let [bytes, isDead] = [0, false]
    const options = { clock, timeMs: 10_000, timeoutMs: 3000, bytesRead: () => bytes }
    const onDead = () => {
      isDead = true
    }
    const keepAlive = new KeepAlive({ ...options, ping() {}, isWanted: () => true, onDead })
    keepAlive.wake()
    clock.advance(10_000)
    clock.advance(3000) // called late, before the socket is read
    bytes = 17
    await turn()
    expect(isDead).toBe(false)
    clock.advance(10_000)
    clock.advance(3000)
    await turn()
    expect(isDead).toBe(true)
    expect(clock.pendingCount).toBe(0)
  })

  test('does not ping while no call is under way', async () => {
    const clock = new ManualClock()
    const server = await bareServer((stream) => answer(stream, 'x'))
    const channel = open(server.address, {
      clock,
      keepaliveTimeMs: 10_000,
      keepaliveTimeoutMs: 3000,
    })
    await channel.unary('/t.S/M', hello)
    // The answer is here a moment before the stream is closed.
    for (let i = 0; i < 5; i++) await new Promise((resolve) => setImmediate(resolve))
    let pings = 0
    server.sessions[0]?.on('ping', () => pings++)
    clock.advance(10_000_000)
    await channel.unary('/t.S/M', hello)
    expect(pings).toBe(0)
  })
})

/** A call whose messages the test writes itself; how it ends does not matter. */
function callOn(session: http2.ClientHttp2Session, path: string): http2.ClientHttp2Stream {
  const head = { ':method': 'POST', ':path': path, 'content-type': 'application/grpc' }
  return session.request(head).on('error', () => {})
}

describe('the server', () => {
  test('parts from a client that pings too often', async () => {
    const clock = new ManualClock()
    const { port } = await serve({ '/t.S/Hang': hang }, { clock })
    const session = await client(port)
    const goaway = gate<[number, string]>()
    session.on('goaway', (code, _last, data) => goaway.open([code, String(data)]))
    const closed = new Promise((resolve) => session.once('close', resolve))
    const stream = callOn(session, '/t.S/Hang')
    stream.write(Buffer.from([0, 0, 0, 0, 0]))
    for (let i = 0; i < 3; i++) await pinged(session) // the first is fine, two strikes
    expect(session.closed).toBe(false)
    session.ping(() => {})
    expect(await goaway.opened).toEqual([11, 'too_many_pings'])
    await closed
  })

  test('does not mind pings at a decent distance', async () => {
    const clock = new ManualClock()
    const { port } = await serve({ '/t.S/Hang': hang }, { clock })
    const session = await client(port)
    const stream = callOn(session, '/t.S/Hang')
    stream.write(Buffer.from([0, 0, 0, 0, 0]))
    for (let i = 0; i < 10; i++) {
      await pinged(session)
      clock.advance(5000)
    }
    expect(session.closed).toBe(false)
  })

  test('minds them when no call is under way, unless that is permitted', async () => {
    for (const permitWithoutStream of [false, true]) {
      const clock = new ManualClock()
      const manners = { ...keepalive, permitWithoutStream }
      const { port } = await serve({ '/t.S/Echo': echo }, { clock, keepalive: manners })
      const session = await client(port)
      const closed = new Promise((resolve) => session.once('close', resolve))
      let goaways = 0
      session.on('goaway', () => goaways++)
      for (let i = 0; i < 4; i++) {
        await pinged(session).catch(() => {})
        clock.advance(60_000)
      }
      if (!permitWithoutStream) await closed
      expect(goaways, `permitted: ${permitWithoutStream}`).toBe(permitWithoutStream ? 0 : 1)
    }
  })

  test('forgets strikes when it sends something', async () => {
    const clock = new ManualClock()
    const { port } = await serve({ '/t.S/Chat': chat }, { clock })
    const session = await client(port)
    const stream = callOn(session, '/t.S/Chat')
    for (let i = 0; i < 10; i++) {
      await pinged(session)
      await pinged(session)
      stream.write(Buffer.from([0, 0, 0, 0, 1, 65]))
      await once(stream, 'data')
    }
    expect(session.closed).toBe(false)
  })

  test('gives up a client that does not answer its pings', async () => {
    const clock = new ManualClock()
    const arrived = gate()
    const aborted = gate()
    const { port } = await serve(
      {
        '/t.S/Hang': {
          kind: 'unary',
          handle: (_request, call) => {
            call.signal.addEventListener('abort', () => aborted.open())
            arrived.open()
            return new Promise<Buffer>(() => {})
          },
        },
      },
      { clock, keepalive: { ...keepalive, timeMs: 60_000, timeoutMs: 20_000 } },
    )
    const { address, freeze } = await link(port)
    const call = failure(open(address).unary('/t.S/Hang', hello))
    await arrived.opened
    freeze()
    clock.advance(60_000)
    clock.advance(60_000)
    clock.advance(20_000)
    await aborted.opened
    expect(clock.pendingCount).toBe(0)
    call.catch(() => {})
  })
})
