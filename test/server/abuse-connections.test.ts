// Connections that are abused: streams that stay half open or are reset at once, floods of frames,
// clients that never read, and those that speak something else. Each is bounded or refused, and the
// server serves on; what is asserted are counts of what is open and of what was begun, never time.
import { once } from 'node:events'
import net from 'node:net'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { PutRequest, RangeRequest, TxnRequest, WatchRequest } from '../../src/api/gen/rpc.js'
import { frame } from '../../src/grpc/frame.js'
import { type Ground, groundOf } from '../conformance/imitations/ground.js'
import { eventually } from '../support/cluster.js'
import { type Embedded, startEmbedded } from '../support/embedded.js'
import { callHead, frameBytes, frameType, RawHttp2 } from '../support/raw-http2.js'

const range = '/etcdserverpb.KV/Range'
const watch = '/etcdserverpb.Watch/Watch'
const key = Buffer.from('k')
const { data, headers, reset, settings, ping, goaway, continuation } = frameType

let server: Embedded
let ground: Ground & AsyncDisposable
/** What the test's own client has open. */
let before: { connections: number; calls: number }

async function start(config = {}): Promise<void> {
  server = await startEmbedded({ storage: 'memory', config })
  ground = await groundOf(server.port)
  await serves()
  before = server.server.open
}
beforeEach(() => start())
afterEach(async () => {
  await serves()
  await ground[Symbol.asyncDispose]()
  await server[Symbol.asyncDispose]()
})

async function serves(): Promise<void> {
  expect(await ground.client.outcome('Put', { key, value: Buffer.from('v') })).toBe('ok')
  const { kvs } = await ground.client.call('Range', { key })
  expect(kvs[0]?.value.toString()).toBe('v')
}

/** Calls begun with their HEADERS, `each` on a connection. */
async function halfOpen(clients: readonly RawHttp2[], each: number, path = range): Promise<void> {
  const heads = Array.from({ length: each }, (_, at) => callHead(path, 1 + 2 * at))
  await Promise.all(clients.map((client) => client.send(...heads)))
}

const connect = (options = {}) => RawHttp2.connect(server.port, options)
/** Once the test's connections are closed. */
const nothingIsLeft = () =>
  eventually('nothing of the abuse is left', async () => {
    const { connections, calls } = server.server.open
    return (connections <= before.connections && calls <= before.calls) || undefined
  })
const openCalls = () => server.server.open.calls - before.calls

describe('streams', () => {
  test('ten thousand that stay half open cost nobody else anything, and go with their connections', async () => {
    const clients = await Promise.all([1, 2, 3, 4].map(() => connect()))
    await halfOpen(clients, 2_500)
    await Promise.all(clients.map((client) => client.settled()))
    expect(openCalls()).toBe(10_000)
    await serves()
    for (const client of clients) client.socket.destroy()
    await nothingIsLeft()
  })

  test('a thousand watches that ask for nothing go in the same way', async () => {
    const clients = await Promise.all([1, 2, 3, 4].map(() => connect()))
    await halfOpen(clients, 250, watch)
    await Promise.all(clients.map((client) => client.settled()))
    expect(openCalls()).toBe(1_000)
    await serves()
    for (const client of clients) client.socket.destroy()
    await nothingIsLeft()
  })

  test('beyond the limit of a connection they are refused', async () => {
    await ground[Symbol.asyncDispose]()
    await server[Symbol.asyncDispose]()
    await start({ maxConcurrentStreams: 100 })
    using client = await connect()
    await halfOpen([client], 1_000)
    await client.settled()
    const refused = client.received.filter(({ type }) => type === reset)
    expect(refused).toHaveLength(900)
    for (const { payload } of refused) expect(payload.readUInt32BE(0)).toBe(7) // REFUSED_STREAM
    expect(openCalls()).toBeLessThanOrEqual(100)
    await serves()
  })

  test('opened and reset in a loop, they leave nothing, and whoever goes on is told to leave', async () => {
    using client = await connect()
    const payload = Buffer.from([0, 0, 0, 8]) // CANCEL
    const pairs = Array.from({ length: 5_000 }, (_, at) => {
      const stream = 1 + 2 * at
      return Buffer.concat([callHead(range, stream), frameBytes(reset, { stream, payload })])
    })
    await client.send(...pairs)
    expect(await client.frame(({ type }) => type === goaway)).toBeDefined()
    await eventually('no call is left', async () => openCalls() === 0 || undefined)
  })
})

describe('floods', () => {
  test('of pings end the connection with one word about it, in the log as well', async () => {
    using client = await connect()
    await client.send(...Array(1_000).fill(frameBytes(ping, { payload: Buffer.alloc(8) })))
    await client.frame(() => false)
    const parting = client.received.filter(({ type, payload }) => {
      return type === goaway && payload.subarray(8).toString() === 'too_many_pings'
    })
    expect(parting).toHaveLength(1)
    expect(server.log.filter((line) => line.includes('pings too often'))).toHaveLength(1)
  })

  test.each([
    ['of settings', Array(20_000).fill(frameBytes(settings, { payload: setting(4, 65_535) }))],
    ['of settings in one frame', [frameBytes(settings, { payload: setting(4, 65_535, 100) })]],
    [
      'of empty frames',
      [callHead(range, 1), ...Array(5_000).fill(frameBytes(data, { stream: 1 }))],
    ],
    [
      'of header frames that never end',
      [
        callHead(range, 1, 0),
        ...Array(5_000).fill(
          frameBytes(continuation, {
            stream: 1,
            payload: Buffer.from('0001780179'.repeat(20), 'hex'),
          }),
        ),
      ],
    ],
    [
      'of one header that never ends',
      [
        frameBytes(headers, { stream: 1, payload: Buffer.from('0001787fffffff7f', 'hex') }),
        ...Array(300).fill(
          frameBytes(continuation, { stream: 1, payload: Buffer.alloc(16_000, 'a') }),
        ),
      ],
    ],
  ])('%s end the connection', async (_name, frames: Buffer[]) => {
    using client = await connect()
    const sent = client.send(...frames)
    await client.frame(({ type }) => type === goaway)
    client.socket.destroy() // the rest is not read
    await sent
  })
})

function setting(id: number, value: number, times = 1): Buffer {
  const one = Buffer.alloc(6)
  one.writeUInt16BE(id)
  one.writeUInt32BE(value, 2)
  return Buffer.concat(Array(times).fill(one))
}

describe('clients that never read', () => {
  test('have to make room before their large answers are put together', async () => {
    const pair = { key: Buffer.from('big'), value: Buffer.alloc(100_000) }
    await ground.client.call('Put', pair)
    const range = RangeRequest.fromPartial({ key: pair.key })
    const txn = TxnRequest.fromPartial({ success: [{ request_range: range }] })
    for (const [path, request] of [
      ['/etcdserverpb.KV/Range', RangeRequest.encode(range).finish()],
      ['/etcdserverpb.KV/Txn', TxnRequest.encode(txn).finish()],
    ] as const) {
      const handler = server.server.methods.get(path)
      if (handler?.kind !== 'unary') throw new Error(path)
      const asked: number[] = []
      let admit = () => {}
      const room = new Promise<void>((resolve) => {
        admit = resolve
      })
      const roomFor = (bytes: number) => {
        asked.push(bytes)
        return room
      }
      const call = { path, metadata: {}, signal: AbortSignal.abort(), peer: { address: '@' } }
      const answer = Promise.resolve(handler.handle(Buffer.from(request), { ...call, roomFor }))
      // What comes later is answered before.
      await serves()
      expect(await Promise.race([answer, 'it waits'])).toBe('it waits')
      admit()
      expect((await answer).length).toBeGreaterThan(pair.value.length)
      expect(asked).toHaveLength(1)
      expect(asked[0]).toBeGreaterThan(pair.value.length)
    }
  })

  test('of a watch hold no more events than there is room for, and nobody up', async () => {
    using client = await connect({ reads: false })
    const create = WatchRequest.fromPartial({ create_request: { key } })
    const payload = frame(WatchRequest.encode(create).finish())
    await client.send(callHead(watch, 1), frameBytes(data, { stream: 1, payload }))
    await eventually('it watches', async () => openCalls() === 1 || undefined)
    const value = Buffer.alloc(1_000_000, 'x')
    const store = server.server.service.store
    const first = store.revision + 1
    for (let at = 0; at < 50; at++) {
      await ground.client.call('Put', PutRequest.fromPartial({ key, value }))
    }
    // Another watcher is told everything meanwhile.
    const seen: number[] = []
    const other = ground.channel.stream(watch)
    const from = { create_request: { key, start_revision: String(first) } }
    await other.write(WatchRequest.encode(WatchRequest.fromPartial(from)).finish())
    for await (const answer of other) {
      if (answer.length > 100) seen.push(answer.length)
      if (seen.reduce((sum, length) => sum + length, 0) >= 50 * value.length) break
    }
    other.cancel()
    client.socket.destroy()
    await nothingIsLeft()
  })
})

describe('who speaks something else', () => {
  const inputs: Record<string, Buffer> = {
    garbage: Buffer.from(Array.from({ length: 4096 }, (_, at) => (at * 167 + 13) & 255)),
    'a TLS hello': Buffer.from('16030100050100000103', 'hex'),
    zeros: Buffer.alloc(4096),
  }
  test.each(Object.entries(inputs))('%s is refused, and logged', async (_name, bytes) => {
    const socket = net.connect(server.port, '127.0.0.1').on('error', () => {})
    socket.end(bytes)
    await once(socket.resume(), 'close')
    const lines = server.log.filter((line) => line.includes('"msg":"rejected connection"'))
    expect(lines).toHaveLength(1)
    expect(lines[0]).toContain('"remote-addr":"127.0.0.1:')
  })

  test('a thousand that begin to speak and never go on are nobody else’s matter', async () => {
    const sockets = await Promise.all(
      Array.from({ length: 1_000 }, async (_, at) => {
        const socket = net.connect(server.port, '127.0.0.1').on('error', () => {})
        await once(socket, 'connect')
        socket.write('PRI * HTTP/2.0\r\n\r\nSM'.slice(0, at % 21))
        return socket
      }),
    )
    await eventually('all are here', async () => {
      return server.server.open.connections - before.connections === 1_000 || undefined
    })
    await serves()
    for (const socket of sockets) socket.destroy()
    await nothingIsLeft()
  })
})
