// Our client and servers of node:http2, that is nghttp2: every kind of call at once, through a link
// that cuts what travels anywhere, with small windows and tables, long headers, and settings that
// change under way. Padding is h2/client-random.test.ts's matter.
import { once } from 'node:events'
import http2, {
  constants,
  type Http2Session,
  type ServerHttp2Session,
  type ServerHttp2Stream,
} from 'node:http2'
import net from 'node:net'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { Channel } from '../../src/grpc/channel.js'
import { frame, frames } from '../../src/grpc/frame.js'
import { openPlainChannel } from '../support/open-plain-channel.js'

interface Peer {
  settings: http2.Settings
  /** For each answer in turn one that is sent then. */
  changes: http2.Settings[]
  /** Of the pieces in which bytes travel; from the first again after the last. */
  cuts: number[]
  messages: number[]
}

const smallTable = fc.constantFrom(0, 64, 200, 4096, 65_536)
const window = fc.constantFrom(100, 3000, 16_384, 65_535, 1_000_000)
const streams = fc.constantFrom(1, 2, 100)
const flow = { initialWindowSize: window, headerTableSize: smallTable }
const settings = fc.record({ ...flow, maxConcurrentStreams: streams }, { requiredKeys: [] })
const peer: fc.Arbitrary<Peer> = fc.record({
  settings,
  changes: fc.array(fc.record(flow, { requiredKeys: [] }), { maxLength: 5 }),
  cuts: fc.array(fc.oneof(fc.integer({ min: 1, max: 30 }), fc.constantFrom(9, 5000, 65_536)), {
    minLength: 1,
    maxLength: 6,
  }),
  messages: fc.array(fc.oneof(fc.nat(40), fc.constantFrom(0, 999, 16_379, 40_000)), {
    minLength: 1,
    maxLength: 3,
  }),
})

/** Forwards in pieces of the sizes given, each in a turn of its own. */
async function forward(from: net.Socket, to: net.Socket, cuts: readonly number[]): Promise<void> {
  let at = 0
  for await (const chunk of from as AsyncIterable<Buffer>) {
    for (let done = 0; done < chunk.length; ) {
      // Many pieces of a byte would take all day.
      const size = Math.max(cuts[at++ % cuts.length] ?? 1, Math.floor(chunk.length / 50))
      to.write(chunk.subarray(done, done + size))
      done += size
      await new Promise((resolve) => setImmediate(resolve))
    }
  }
  to.end()
}

const ok = { ':status': 200, 'content-type': 'application/grpc' }
const long = 'x'.repeat(20_000)
const nothing = Buffer.alloc(0)

/** A request says what it wants by its path. */
function answer(stream: ServerHttp2Stream, path: string): void {
  stream.on('error', () => {})
  stream.on('wantTrailers', () => {
    // More than a frame takes: it goes on in CONTINUATION.
    stream.sendTrailers({ 'grpc-status': '0', 'x-long': path === '/t.S/Long' ? long : 'short' })
  })
  stream.respond(ok, { waitForTrailers: true })
  if (path === '/t.S/Count') {
    let bytes = 0
    stream.on('data', (piece: Buffer) => {
      bytes += piece.length
    })
    stream.on('end', () => stream.end(frame(Buffer.from(`${bytes}`))))
    return
  }
  stream.pipe(stream)
}

async function startPeer({ settings, changes, cuts }: Peer) {
  const server = http2.createServer({ settings })
  const sessions: ServerHttp2Session[] = []
  const sockets: net.Socket[] = []
  let count = 0
  server.on('session', (session) => sessions.push(session))
  server.on('stream', (stream: ServerHttp2Stream, headers) => {
    const change = changes[count++]
    if (change !== undefined) stream.session?.settings(change)
    answer(stream, String(headers[':path']))
  })
  const link = net.createServer({ noDelay: true }, (near) => {
    const far = net.connect({ port: portOf(server), host: '127.0.0.1', noDelay: true })
    sockets.push(near, far)
    for (const socket of [near, far]) socket.on('error', () => {})
    void forward(near, far, cuts).catch(() => {})
    void forward(far, near, cuts).catch(() => {})
  })
  for (const each of [server, link]) {
    each.listen(0, '127.0.0.1')
    await once(each, 'listening')
  }
  return {
    port: portOf(link),
    close() {
      for (const session of sessions) session.destroy()
      for (const socket of sockets) socket.destroy()
      server.close()
      link.close()
    },
  }
}

const portOf = (server: net.Server): number => (server.address() as net.AddressInfo).port

const messageOf = (size: number, at: number): Buffer => Buffer.alloc(size, 65 + (at % 26))

async function everyKind(channel: Channel, sizes: readonly number[]): Promise<void> {
  const messages = sizes.map(messageOf)
  const unary = messages.flatMap((message) =>
    ['/t.S/Echo', '/t.S/Long'].map(async (path) => {
      expect((await channel.unary(path, message)).equals(message)).toBe(true)
    }),
  )
  const upload = async () => {
    const stream = channel.stream('/t.S/Count')
    for (const message of messages) await stream.write(message)
    stream.end()
    const got: string[] = []
    for await (const message of stream) got.push(String(message))
    expect(got).toEqual([`${frames(messages).length}`])
  }
  const chat = async () => {
    const stream = channel.stream('/t.S/Chat')
    const writing = (async () => {
      for (const message of messages) await stream.write(message)
      stream.end()
    })()
    let at = 0
    for await (const message of stream) expect(message.equals(messages[at++] ?? nothing)).toBe(true)
    await writing
    expect(at).toBe(messages.length)
  }
  await Promise.all([...unary, upload(), chat(), chat()])
}

test('every kind of call, whatever the server’s settings, and wherever bytes are cut', async () => {
  await fc.assert(
    fc.asyncProperty(peer, async (described) => {
      const { port, close } = await startPeer(described)
      const channel = openPlainChannel(port)
      try {
        await everyKind(channel, described.messages)
      } finally {
        await channel.close()
        close()
      }
    }),
    { numRuns: 6 },
  )
})

/** A server that for each request in turn has a mood, and notes which it looked at. */
async function moodyServer(moods: readonly number[]) {
  const seen: string[] = []
  const sockets: net.Socket[] = []
  /** Of each session: the last stream that was looked at, and the last that ever will be. */
  const lastSeen = new Map<Http2Session, number>()
  const lastEver = new Map<Http2Session, number>()
  let count = 0
  const refuse = (stream: ServerHttp2Stream) => stream.close(constants.NGHTTP2_REFUSED_STREAM)
  const part = (session: Http2Session) => {
    const last = lastSeen.get(session) ?? 0
    // For node:http2 a last stream of 0 is all that came.
    if (session.destroyed || lastEver.has(session) || last === 0) return
    lastEver.set(session, last)
    session.goaway(constants.NGHTTP2_NO_ERROR, last)
  }
  const server = http2.createServer()
  server.on('connection', (socket) => sockets.push(socket))
  server.on('stream', (stream: ServerHttp2Stream) => {
    stream.on('error', () => {})
    let text = ''
    stream.on('data', (piece: Buffer) => {
      text += piece.subarray(5).toString()
    })
    stream.on('end', () => {
      const { session, id = 0 } = stream
      if (session === undefined || id > (lastEver.get(session) ?? id)) return
      const mood = moods[count++ % moods.length]
      // Not in this turn: node:http2 does not bear that.
      if (mood === 0) setImmediate(() => part(session))
      if (mood === 1) {
        refuse(stream)
        return
      }
      seen.push(text)
      lastSeen.set(session, Math.max(id, lastSeen.get(session) ?? 0))
      if (mood === 2) setImmediate(() => sockets.at(-1)?.destroy())
      else answerWith(stream, text)
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const close = () => {
    for (const socket of sockets) socket.destroy()
    server.close()
  }
  return { port: portOf(server), seen, close }
}

test('calls come to one end each, when a server parts again and again at random', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(fc.nat(7), { minLength: 20, maxLength: 20 }), async (moods) => {
      const { port, seen, close } = await moodyServer(moods)
      const channel = openPlainChannel(port)
      const names = Array.from({ length: 30 }, (_, at) => `call ${at}`)
      const call = (name: string) =>
        channel.unary('/t.S/M', Buffer.from(name)).then(String, (error: unknown) => error)
      const ends = await Promise.all(names.map(call))
      await channel.close()
      close()
      ends.forEach((end, at) => {
        if (typeof end === 'string') expect(end).toBe(names[at])
        else expect(end).toMatchObject({ code: 14 })
      })
      // What may have been looked at is never sent again.
      expect(new Set(seen).size).toBe(seen.length)
    }),
    { numRuns: 20 },
  )
})

function answerWith(stream: ServerHttp2Stream, text: string): void {
  stream.respond(ok, { waitForTrailers: true })
  stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }))
  stream.end(frame(Buffer.from(text)))
}
