// Clients that open as Go's do, on the port: etcdctl 3.4 itself, whose :authority is a URL, and
// its bytes by hand where time and pieces matter.
import { execFile, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import http2 from 'node:http2'
import net from 'node:net'
import path from 'node:path'
import { describe, expect, test } from 'vitest'
import type { ServerStream } from '../../src/grpc/server.js'
import { startEmbedded } from '../support/embedded.js'
import { echo, gate, onTestEnd, serve, tempDir } from './ends.js'
import { ManualClock } from './manual-clock.js'

const host = '127.0.0.1'
const opening = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0', 'latin1')
const ack = Buffer.from('000000040100000000', 'hex')
const settingsType = 4

const missing =
  process.env.INTEROP !== 'required' && spawnSync('etcdctl', ['version']).error !== undefined

/** What it says, on whichever output: 3.4 reports health on standard error. */
function etcdctl(endpoints: readonly string[], args: readonly string[]): Promise<string> {
  const all = [`--endpoints=${endpoints.join()}`, '--command-timeout=60s', ...args]
  const options = { env: { PATH: process.env.PATH, ETCDCTL_API: '3' }, timeout: 60_000 }
  return new Promise((resolve, reject) => {
    execFile('etcdctl', all, options, (error, stdout, stderr) => {
      if (error !== null) reject(new Error(`${args.join(' ')}: ${stderr}`))
      else resolve(stdout + stderr)
    })
  })
}

const title = missing ? 'etcdctl (SKIPPED: it is not installed)' : 'etcdctl'

describe.skipIf(missing)(title, () => {
  test('all commands that name an endpoint take it as a URL, and several of them', async () => {
    await using one = await startEmbedded({ storage: 'memory' })
    await using two = await startEmbedded({ storage: 'memory' })
    const urls = [one, two].map(({ endpoint }) => `http://${endpoint}`)
    for (const word of ['status', 'hashkv', 'health']) {
      const answer = await etcdctl(urls, ['endpoint', word])
      for (const url of urls) expect(answer).toMatch(new RegExp(`^${url}(,| is healthy)`, 'm'))
    }
    expect(await etcdctl(urls, ['defrag'])).toContain(`member[${urls[1]}]`)
  })

  test('a unix socket serves it as well', async () => {
    const url = `unix://${path.join(await tempDir(), 'etcd')}`
    await using _server = await startEmbedded({
      storage: 'memory',
      config: { listenClientUrls: [url], advertiseClientUrls: ['http://127.0.0.1:1'] },
    })
    expect(await etcdctl([url], ['put', 'k', 'v'])).toBe('OK\n')
    expect(await etcdctl([url], ['get', 'k'])).toBe('k\nv\n')
    expect(await etcdctl([url], ['endpoint', 'status'])).toContain(url)
  })
})

/** The client's end, and all that it has read. */
async function dial(port: number) {
  const socket = net.connect(port, host)
  socket.setNoDelay(true)
  socket.on('error', () => {})
  await once(socket, 'connect')
  let seen = Buffer.alloc(0)
  socket.on('data', (piece) => {
    seen = Buffer.concat([seen, piece])
  })
  const sees = async (isEnough: (bytes: Buffer) => boolean) => {
    while (!isEnough(seen)) await once(socket, 'data')
    return seen
  }
  return { socket, sees }
}

function frame(type: number, flags: number, payload: Buffer): Buffer {
  const head = Buffer.from([0, 0, 0, type, flags, 0, 0, 0, 1])
  head.writeUIntBE(payload.length, 0, 3)
  return Buffer.concat([head, payload])
}

/** A field whose name is in the static table (up to 62), its value plain. */
const field = (name: number, value: string) =>
  Buffer.concat([Buffer.from([0x40 | name, value.length]), Buffer.from(value)])

const headers = frame(
  1,
  4,
  Buffer.concat([
    Buffer.from([0x83, 0x86]),
    field(4, '/t.S/Echo'),
    field(1, 'http://127.0.0.1:2379'),
    field(31, 'application/grpc'),
  ]),
)
const data = frame(0, 1, Buffer.from([0, 0, 0, 0, 1, 65]))

const answer = Buffer.from([0, 0, 0, 0, 1, 65])

describe('the same by hand', () => {
  for (const [order, frames] of Object.entries({
    'ACK before HEADERS': [ack, headers, data],
    'ACK after HEADERS': [headers, ack, data],
    'ACK after DATA': [headers, data, ack],
  })) {
    test(`${order}, a byte at a time: the call is answered`, async () => {
      const { port } = await serve({ '/t.S/Echo': echo })
      const { socket, sees } = await dial(port)
      socket.write(opening)
      // grpc-go makes no call before it has seen SETTINGS.
      expect((await sees((bytes) => bytes.length >= 9))[3]).toBe(settingsType)
      for (const byte of Buffer.concat(frames)) {
        socket.write(Buffer.from([byte]))
        await new Promise((resolve) => setImmediate(resolve))
      }
      await sees((bytes) => bytes.includes(answer))
      socket.destroy()
    })
  }

  test('a client that is silent after its preface stays; who does not come to its end is closed', async () => {
    const clock = new ManualClock()
    const { port } = await serve({ '/t.S/Echo': echo }, { clock })
    const good = await dial(port)
    const bad = await dial(port)
    good.socket.write(opening)
    bad.socket.write(opening.subarray(0, 23))
    await good.sees((bytes) => bytes.includes(ack))
    while (clock.pendingCount < 2) await new Promise((resolve) => setImmediate(resolve))
    const closed = once(bad.socket, 'close')
    clock.advance(120_000)
    await closed
    good.socket.write(Buffer.concat([ack, headers, data]))
    await good.sees((bytes) => bytes.includes(answer))
    good.socket.destroy()
  })
})

describe('a connection whose calls name a URL', () => {
  /** nghttp2 as the client: like grpc-go its SETTINGS are empty, but it waits for nobody. */
  function connect(port: number) {
    const session = http2.connect(`http://${host}:${port}`)
    session.on('error', () => {})
    onTestEnd(() => session.destroy())
    const begin = (path: string, more = {}) => {
      const stream = session.request({
        ':method': 'POST',
        ':path': path,
        ':authority': `http://${host}:${port}`,
        'content-type': 'application/grpc',
        ...more,
      })
      stream.on('error', () => {})
      return stream
    }
    return { session, begin }
  }

  const message = (text: string) =>
    Buffer.concat([Buffer.from([0, 0, 0, 0, text.length]), Buffer.from(text)])

  test('makes as many as it likes: fields push its :authority out of the table', async () => {
    const { port } = await serve({ '/t.S/Echo': echo })
    const { begin } = connect(port)
    for (let i = 0; i < 300; i++) {
      const stream = begin('/t.S/Echo', { 'x-number': `a number that is not yet in it: ${i}` })
      stream.end(message(`${i}`))
      const [answer] = await once(stream, 'data')
      expect(answer).toEqual(message(`${i}`))
    }
  })

  test('carries large messages both ways, and waits for who does not read', async () => {
    let written = 0
    const size = 1024 * 1024
    const handle = async (stream: ServerStream) => {
      for (; written < 12; written++) await stream.write(Buffer.alloc(size, written))
    }
    const { port } = await serve({
      '/t.S/Echo': echo,
      '/t.S/Flood': { kind: 'stream', handle },
    })
    const { begin } = connect(port)
    const large = Buffer.alloc(size + 5, 7)
    large.writeUIntBE(size, 0, 5)
    const call = begin('/t.S/Echo')
    call.end(large)
    expect(large.equals(Buffer.concat(await call.toArray()))).toBe(true)
    const flood = begin('/t.S/Flood')
    flood.end()
    await once(flood, 'response')
    const other = begin('/t.S/Echo')
    other.end(message('meanwhile'))
    expect(Buffer.concat(await other.toArray())).toEqual(message('meanwhile'))
    expect(written).toBeLessThan(12)
    let got = 0
    for await (const piece of flood) got += piece.length
    expect(got).toBe(12 * (size + 5))
  })

  test('ends with its calls when the client goes, and when the server is closed', async () => {
    const arrived = [gate(), gate()]
    const aborted = [gate(), gate()]
    let count = 0
    const handle = async ({ signal }: ServerStream) => {
      const mine = count++
      signal.addEventListener('abort', () => aborted[mine]?.open())
      arrived[mine]?.open()
      await aborted[mine]?.opened
    }
    const { port, server } = await serve({ '/t.S/Watch': { kind: 'stream', handle } })
    const first = connect(port)
    first.begin('/t.S/Watch')
    await arrived[0]?.opened
    first.session.destroy()
    await aborted[0]?.opened
    const second = connect(port)
    second.begin('/t.S/Watch')
    await arrived[1]?.opened
    const closed = once(second.session, 'close')
    await server.close(0)
    await aborted[1]?.opened
    await closed
  })

  test('lets its call finish before the server closes', async () => {
    const arrived = gate()
    const go = gate()
    const handle = async (request: Buffer) => {
      arrived.open()
      await go.opened
      return request
    }
    const { port, server } = await serve({ '/t.S/Slow': { kind: 'unary', handle } })
    const { begin, session } = connect(port)
    const stream = begin('/t.S/Slow')
    stream.end(message('slow'))
    await arrived.opened
    const goneAway = once(session, 'goaway')
    const closed = server.close(60_000)
    await goneAway
    go.open()
    expect(Buffer.concat(await stream.toArray())).toEqual(message('slow'))
    await closed
  })
})
