// How a channel finds a server: several addresses, none, the wrong ones, and again after a loss.
import { once } from 'node:events'
import net from 'node:net'
import path from 'node:path'
import { describe, expect, test } from 'vitest'
import { newGrpcServer } from '../../src/grpc/server.js'
import { systemClock } from '../../src/platform/clock.js'
import { silentLog } from '../../src/platform/log.js'
import {
  chat,
  clientTls,
  collect,
  deadPort,
  echo,
  failure,
  gate,
  keepalive,
  open,
  rawServer,
  serve,
  serverTls,
  tempDir,
} from './ends.js'
import { settingsBytes } from './h2/raw-peer.js'
import { answer, bareServer } from './http2-server.js'
import { ManualClock } from './manual-clock.js'

const hello = Buffer.from('hello')
const host = '127.0.0.1'
const steady = { below: () => 500, bytes: (count: number) => Buffer.alloc(count) }

/** Lets sockets do their work until something is so. Bounded by the time limit of the test. */
async function until(isSo: () => boolean): Promise<void> {
  while (!isSo()) await new Promise((resolve) => setImmediate(resolve))
}

describe('several addresses', () => {
  test('a dead one is passed over at once', async () => {
    const clock = new ManualClock() // so that no stagger can help
    const { port } = await serve({ '/t.S/Echo': echo })
    const channel = open(
      [
        { host, port: await deadPort() },
        { host, port },
      ],
      { clock },
    )
    expect(await channel.unary('/t.S/Echo', hello)).toEqual(hello)
    expect(channel.peer).toBe(`${host}:${port}`)
    expect(channel.lastConnectError).toBeUndefined()
  })

  test('a silent one holds up the next for a moment only', async () => {
    const clock = new ManualClock()
    const arrived = gate()
    const silent = await rawServer(() => arrived.open())
    const { port } = await serve({ '/t.S/Echo': echo })
    const channel = open(
      [
        { host, port: silent },
        { host, port },
      ],
      { clock },
    )
    const call = channel.unary('/t.S/Echo', hello)
    await arrived.opened
    clock.advance(250)
    expect(await call).toEqual(hello)
    expect(channel.peer).toBe(`${host}:${port}`)
    expect(clock.pendingCount).toBe(0) // the loser's time limit went with it
  })

  test('when the one in use goes away calls move to another', async () => {
    const a = await serve({ '/t.S/Echo': echo })
    const b = await serve({ '/t.S/Echo': echo })
    const channel = open([a.address, b.address])
    await channel.unary('/t.S/Echo', hello)
    expect(channel.peer).toBe(`${host}:${a.port}`)
    await a.server.close(0)
    expect(await channel.unary('/t.S/Echo', hello)).toEqual(hello)
    expect(channel.peer).toBe(`${host}:${b.port}`)
  })

  test('switchAddress() moves new calls and leaves those under way', async () => {
    const a = await serve({ '/t.S/Chat': chat, '/t.S/Echo': echo })
    const b = await serve({ '/t.S/Echo': echo })
    const channel = open([a.address, b.address])
    const stream = channel.stream('/t.S/Chat')
    const answers = stream[Symbol.asyncIterator]()
    await stream.write(hello)
    await answers.next()
    channel.switchAddress()
    await channel.unary('/t.S/Echo', hello)
    expect(channel.peer).toBe(`${host}:${b.port}`)
    await stream.write(Buffer.from('still here'))
    expect(String((await answers.next()).value)).toBe('still here')
    stream.end()
    expect(await answers.next()).toMatchObject({ done: true })
  })

  test('calls that wait for room move, too', async () => {
    const arrived = gate()
    const a = await bareServer(() => arrived.open(), { maxConcurrentStreams: 1 })
    const b = await serve({ '/t.S/Echo': echo })
    const channel = open([a.address, b.address])
    const kept = failure(channel.unary('/t.S/Echo', hello))
    await arrived.opened
    const moved = channel.unary('/t.S/Echo', hello)
    channel.switchAddress()
    expect(await moved).toEqual(hello)
    await channel.close()
    expect(await kept).toMatchObject({ code: 1 })
  })

  test('all reasons are told when none answers', async () => {
    const [one, two] = [await deadPort(), await deadPort()]
    const clock = new ManualClock()
    const channel = open(
      [
        { host, port: one },
        { host, port: two },
      ],
      { clock },
    )
    const call = failure(channel.unary('/t.S/Echo', hello, { deadlineMs: 2000 }))
    await until(() => channel.lastConnectError?.message.includes(`${two}`) === true)
    clock.advance(2000)
    const text = `${host}:${one}: connection refused; ${host}:${two}: connection refused`
    expect(channel.lastConnectError?.message).toBe(text)
    const error = await call
    expect(error).toMatchObject({ code: 4, unprocessed: true })
    expect(error.cause).toMatchObject({ message: text })
    expect(channel.everConnected).toBe(false)
  })
})

describe('waiting for a server', () => {
  test('rounds repeat after growing pauses until it is there', async () => {
    const clock = new ManualClock()
    let count = 0
    const port = await rawServer((socket) => {
      count++
      socket.destroy()
    })
    const channel = open({ host, port }, { clock, random: steady })
    const call = failure(channel.unary('/t.S/Echo', hello))
    let last: Error | undefined
    for (const [rounds, pauseMs] of [100, 160, 256, 409.6].entries()) {
      await until(() => channel.lastConnectError !== last)
      last = channel.lastConnectError
      clock.advance(pauseMs - 0.1)
      expect(clock.pendingCount).toBe(1) // the pause
      clock.advance(0.2)
      await until(() => count === rounds + 2)
    }
    await channel.close()
    expect(await call).toMatchObject({ code: 1, unprocessed: true })
    expect(clock.pendingCount).toBe(0)
  })

  test('a server that greets, takes no call and hangs up gets no more haste than none', async () => {
    const clock = new ManualClock()
    let [count, closed] = [0, 0]
    const port = await rawServer((socket) => {
      count++
      socket.on('close', () => closed++)
      socket.resume()
      socket.end(settingsBytes({ 3: 0 }))
    })
    const channel = open({ host, port }, { clock, random: steady })
    const call = failure(channel.unary('/t.S/Echo', hello))
    for (const [rounds, pauseMs] of [100, 160, 256, 409.6].entries()) {
      await until(() => closed === rounds + 1 && clock.pendingCount === 1) // the pause
      clock.advance(pauseMs - 0.1)
      expect([count, clock.pendingCount]).toEqual([rounds + 1, 1])
      clock.advance(0.2)
      await until(() => count === rounds + 2)
    }
    await channel.close()
    expect(await call).toMatchObject({ code: 1, unprocessed: true })
  })

  test('a call that comes in a pause does not shorten it, and one that gives up ends it', async () => {
    const clock = new ManualClock()
    const channel = open({ host, port: await deadPort() }, { clock, random: steady })
    const call = failure(channel.unary('/t.S/Echo', hello, { deadlineMs: 50 }))
    await until(() => channel.lastConnectError !== undefined)
    clock.advance(50)
    expect(await call).toMatchObject({ code: 4 })
    expect(clock.pendingCount).toBe(0)
  })

  test('a server that comes up later serves the call that waited', async () => {
    const port = await deadPort()
    const channel = open({ host, port })
    const call = channel.unary('/t.S/Echo', hello)
    await until(() => channel.lastConnectError !== undefined)
    await serve({ '/t.S/Echo': echo }, { at: { host, port } })
    expect(await call).toEqual(hello)
  })

  test('an address that never answers fails after its time limit', async () => {
    const clock = new ManualClock()
    const arrived = gate()
    const port = await rawServer(() => arrived.open())
    const channel = open({ host, port }, { clock })
    await arrived.opened
    clock.advance(20_000)
    await until(() => channel.lastConnectError !== undefined)
    expect(channel.lastConnectError?.message).toBe(`${host}:${port}: does not answer`)
  })

  test('nobody is dialed for nobody after a loss', async () => {
    const server = await bareServer((stream) => answer(stream, 'x'))
    const channel = open(server.address)
    await channel.unary('/t.S/M', hello)
    const lost = once(server.sessions[0] ?? new net.Server(), 'close')
    server.sessions[0]?.destroy()
    await lost
    await until(() => channel.peer === undefined)
    expect(server.sessions.length).toBe(1)
    await channel.unary('/t.S/M', hello)
    expect(server.sessions.length).toBe(2)
  })
})

describe('an eager call', () => {
  test('is sent before the server has said a word', async () => {
    const bytes = gate<string>()
    let all = ''
    const port = await rawServer((socket) => {
      socket.on('data', (piece) => {
        all += piece.toString('latin1')
        if (all.includes('hello')) bytes.open(all)
      })
    })
    const channel = open({ host, port })
    const call = failure(channel.unary('/t.S/M', hello, { idempotent: true }))
    expect(await bytes.opened).toContain('PRI * HTTP/2.0')
    await channel.close()
    expect(await call).toMatchObject({ code: 1 })
  })

  test('others wait for it', async () => {
    const clock = new ManualClock()
    let all = ''
    const closed = gate()
    const port = await rawServer((socket) => {
      socket.on('data', (piece) => {
        all += piece.toString('latin1')
      })
      socket.on('close', () => closed.open())
    })
    const channel = open({ host, port }, { clock })
    const call = failure(channel.unary('/t.S/M', hello, { deadlineMs: 30_000 }))
    await until(() => all.includes('PRI * HTTP/2.0'))
    clock.advance(20_000) // the attempt is given up
    await closed.opened
    expect(all).not.toContain('hello')
    await channel.close()
    expect(await call).toMatchObject({ unprocessed: true })
  })

  test('is sent again when the peer did not speak HTTP/2', async () => {
    let count = 0
    const front = await serve({ '/t.S/Echo': echo })
    const port = await rawServer((socket) => {
      if (count++ === 0) {
        socket.end('HTTP/1.1 400 Bad Request\r\n\r\n')
        return
      }
      const onward = net.connect(front.port, host)
      socket.pipe(onward).pipe(socket)
    })
    const channel = open({ host, port })
    const answered = await channel.unary('/t.S/Echo', hello, { idempotent: true })
    expect(answered).toEqual(hello)
    expect(count).toBe(2)
  })
})

describe('the wrong protocol is a connect error and calls wait', () => {
  const cases: Record<string, [(socket: net.Socket) => void, boolean, string]> = {
    'HTTP/1.1 where HTTP/2 is expected': [
      (socket) => socket.once('data', () => socket.end('HTTP/1.1 400 Bad Request\r\n\r\n')),
      false,
      'does not speak HTTP/2 (does it expect TLS?)',
    ],
    'a TLS alert where HTTP/2 is expected': [
      (socket) => socket.once('data', () => socket.end(Buffer.from([21, 3, 1, 0, 2, 2, 70]))),
      false,
      'closed the connection at once (does it expect TLS?)',
    ],
    'a port that hangs up at once': [
      (socket) => socket.once('data', () => socket.end()),
      false,
      'closed the connection at once (does it expect TLS?)',
    ],
    'plain text where TLS is expected': [
      (socket) => socket.once('data', () => socket.end('HTTP/1.1 400 Bad Request\r\n\r\n')),
      true,
      'does not speak TLS',
    ],
  }
  for (const [name, [onSocket, usesTls, reason]] of Object.entries(cases)) {
    test(name, async () => {
      const clock = new ManualClock()
      const port = await rawServer(onSocket)
      const channel = open({ host, port }, { clock, ...(usesTls ? { tls: clientTls } : {}) })
      const call = failure(channel.unary('/t.S/M', hello, { deadlineMs: 5000 }))
      await until(() => channel.lastConnectError !== undefined)
      expect(channel.lastConnectError?.message).toBe(`${host}:${port}: ${reason}`)
      clock.advance(5000)
      expect(await call).toMatchObject({ code: 4, unprocessed: true })
    })
  }
})

describe('TLS', () => {
  const at = { host, port: 0, tls: { ...serverTls, requireClientCert: true } }

  test('both sides prove themselves, and the handler sees the common name', async () => {
    let name: string | undefined
    const { address } = await serve(
      {
        '/t.S/Who': {
          kind: 'unary',
          handle: (request, call) => {
            name = call.peer.commonName
            return request
          },
        },
      },
      { at },
    )
    const channel = open(address, { tls: clientTls })
    expect(await channel.unary('/t.S/Who', hello)).toEqual(hello)
    expect(name).toBe('root')
  })

  test('localhost and another name are checked against the certificate', async () => {
    const { port } = await serve({ '/t.S/Echo': echo }, { at: { ...at, host: 'localhost' } })
    const local = { host: 'localhost', port }
    expect(await open(local, { tls: clientTls }).unary('/t.S/Echo', hello)).toEqual(hello)
    const other = open(local, { tls: { ...clientTls, serverName: 'example.org' } })
    await until(() => other.lastConnectError !== undefined)
    expect(other.lastConnectError?.message).toContain("does not match certificate's altnames")
    const skipping = { ...clientTls, serverName: 'example.org', insecureSkipVerify: true }
    expect(await open(local, { tls: skipping }).unary('/t.S/Echo', hello)).toEqual(hello)
  })

  test('an unknown authority and a missing client certificate are connect errors', async () => {
    const { address } = await serve({ '/t.S/Echo': echo }, { at })
    const { ca: _, ...withoutCa } = clientTls
    const stranger = open(address, { tls: withoutCa })
    await until(() => stranger.lastConnectError !== undefined)
    expect(stranger.lastConnectError?.message).toMatch(/self-signed|unable to verify/)
    const nameless = open(address, { tls: { ca: clientTls.ca } })
    await until(() => nameless.lastConnectError !== undefined)
    expect(nameless.lastConnectError?.message).toContain('asks for a client certificate')
  })

  test('a plain client of a TLS port and a TLS client of a plain port wait, and are told why', async () => {
    const secure = await serve({ '/t.S/Echo': echo }, { at: { host, port: 0, tls: serverTls } })
    const plain = await serve({ '/t.S/Echo': echo })
    const one = open(secure.address)
    await until(() => one.lastConnectError !== undefined)
    expect(one.lastConnectError?.message).toContain('(does it expect TLS?)')
    const two = open(plain.address, { tls: clientTls })
    await until(() => two.lastConnectError !== undefined)
    expect(two.lastConnectError?.message).toMatch(/TLS|connection reset|closed the connection/)
    expect(await open(plain.address).unary('/t.S/Echo', hello)).toEqual(hello)
  })
})

describe('unix sockets', () => {
  for (const secure of [false, true]) {
    test(secure ? 'with TLS' : 'plain', async () => {
      const file = path.join(await tempDir(), 'grpc.sock')
      const at = { path: file, ...(secure ? { tls: serverTls } : {}) }
      const { port } = await serve({ '/t.S/Chat': chat }, { at })
      expect(port).toBe(0)
      const channel = open({ path: file }, secure ? { tls: clientTls } : {})
      const stream = channel.stream('/t.S/Chat')
      await stream.write(hello)
      stream.end()
      expect(await collect(stream)).toEqual(['hello'])
      expect(channel.peer).toBe(`unix:${file}`)
    })
  }

  test('a socket that is not there is named', async () => {
    const channel = open({ path: '/nonexistent/grpc.sock' })
    await until(() => channel.lastConnectError !== undefined)
    expect(channel.lastConnectError?.message).toBe('unix:/nonexistent/grpc.sock: no such socket')
  })
})

test('close() ends calls under way, waiting calls, and what comes after', async () => {
  const arrived = gate()
  const { address } = await serve({
    '/t.S/Hang': {
      kind: 'unary',
      handle: () => {
        arrived.open()
        return new Promise<Buffer>(() => {})
      },
    },
  })
  const channel = open(address)
  const running = failure(channel.unary('/t.S/Hang', hello))
  await arrived.opened
  const waiting = open({ host, port: await deadPort() })
  const stuck = failure(waiting.unary('/t.S/Hang', hello))
  await channel.close()
  await waiting.close()
  const details = 'grpc: the client connection is closing'
  expect(await running).toMatchObject({ code: 1, details, unprocessed: false })
  expect(await stuck).toMatchObject({ code: 1, details, unprocessed: true })
  expect(await failure(channel.unary('/t.S/Hang', hello))).toMatchObject({ code: 1, details })
})

test('close() is over for whoever asks for it, however often', async () => {
  const { address } = await serve({ '/t.S/Echo': echo })
  const channel = open(address)
  await channel.unary('/t.S/Echo', hello)
  const settled = await Promise.all([channel.close(), channel.close()])
  expect(settled).toEqual([undefined, undefined])
})

test('close() does not wait for a handshake that never ends', async () => {
  for (const options of [{}, { tls: clientTls }]) {
    const arrived = gate()
    const port = await rawServer(() => arrived.open())
    const channel = open({ host, port }, options)
    await arrived.opened
    await channel.close()
  }
})

test('two servers cannot take one port', async () => {
  const { port } = await serve({ '/t.S/Echo': echo })
  const second = newGrpcServer({
    handlers: new Map(),
    receiveMaxBytes: 1,
    keepalive,
    log: silentLog,
    clock: systemClock,
  })
  await expect(second.listen({ host, port })).rejects.toMatchObject({ code: 'EADDRINUSE' })
})
