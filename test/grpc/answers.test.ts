// What our client makes of answers that are not as they should be, and of connections that end.
import { constants, type ServerHttp2Stream } from 'node:http2'
import { describe, expect, test } from 'vitest'
import { frame } from '../../src/grpc/frame.js'
import { collect, failure, gate, open } from './ends.js'
import { answer, bareServer } from './http2-server.js'
import { ManualClock } from './manual-clock.js'

const hello = Buffer.from('hello')
const ok = { ':status': 200, 'content-type': 'application/grpc' }

const cases: Record<string, [(stream: ServerHttp2Stream) => void, number, string | RegExp]> = {
  'trailers-only': [
    (s) =>
      s.respond(
        { ...ok, 'grpc-status': '9', 'grpc-message': 'gr%C3%B6%C3%9Fer' },
        { endStream: true },
      ),
    9,
    'größer',
  ],
  'a web page': [
    (s) => {
      s.respond({ ':status': 404, 'content-type': 'text/html' })
      s.end('<h1>no such thing here, and a body that looks like no frame</h1>')
    },
    12,
    'unexpected HTTP status code received from server: 404',
  ],
  'a proxy without a backend': [
    (s) => s.respond({ ':status': 503 }, { endStream: true }),
    14,
    'unexpected HTTP status code received from server: 503',
  ],
  'a page with status 200': [
    (s) => {
      s.respond({ ':status': 200, 'content-type': 'text/plain' })
      s.end('fine')
    },
    2,
    'transport: received unexpected content-type "text/plain"',
  ],
  'no status at all': [
    (s) => {
      s.respond(ok)
      s.end(frame(hello))
    },
    13,
    /without a status|NO_ERROR/,
  ],
  'a status that nobody knows': [
    (s) => s.respond({ ...ok, 'grpc-status': '77', 'grpc-message': 'odd' }, { endStream: true }),
    2,
    'odd',
  ],
  'an empty status': [
    (s) => s.respond({ ...ok, 'grpc-status': '', 'grpc-message': 'odd' }, { endStream: true }),
    2,
    'odd',
  ],
  'a status twice': [
    (s) => s.respond({ ...ok, 'grpc-status': '0, 0' }, { endStream: true }),
    2,
    '',
  ],
  'a message that stops half way': [
    (s) => {
      s.respond(ok, { waitForTrailers: true })
      s.on('wantTrailers', () => s.sendTrailers({ 'grpc-status': '0' }))
      s.end(frame(hello).subarray(0, 7))
    },
    13,
    'unexpected EOF',
  ],
  'no message': [
    (s) => s.respond({ ...ok, 'grpc-status': '0' }, { endStream: true }),
    13,
    'the answer to a unary call holds 0 messages',
  ],
  'two messages': [
    (s) => {
      s.respond(ok, { waitForTrailers: true })
      s.on('wantTrailers', () => s.sendTrailers({ 'grpc-status': '0' }))
      s.end(Buffer.concat([frame(hello), frame(hello)]))
    },
    13,
    'the answer to a unary call holds 2 messages',
  ],
  'a reset': [
    (s) => s.close(constants.NGHTTP2_INTERNAL_ERROR),
    13,
    'stream terminated by RST_STREAM with error code: INTERNAL_ERROR',
  ],
  'a cancel from the server': [
    (s) => s.close(constants.NGHTTP2_CANCEL),
    1,
    'stream terminated by RST_STREAM with error code: CANCEL',
  ],
  'a compressed message': [
    (s) => {
      s.respond({ ...ok, 'grpc-encoding': 'gzip' })
      s.write(Buffer.from([1, 0, 0, 0, 1, 0]))
    },
    13,
    'grpc: Decompressor is not installed for grpc-encoding "gzip"',
  ],
}

describe('an answer that is', () => {
  for (const [name, [respond, code, details]] of Object.entries(cases)) {
    test(name, async () => {
      const { address } = await bareServer(respond)
      const error = await failure(open(address).unary('/t.S/M', hello))
      expect(error.details).toMatch(details)
      expect(error).toMatchObject({ code, unprocessed: false })
    })
  }
})

describe('calls that no handler saw', () => {
  test('a refused stream is sent again, unseen by the caller', async () => {
    const { address } = await bareServer((stream, index) => {
      if (index < 3) stream.close(constants.NGHTTP2_REFUSED_STREAM)
      else answer(stream, `attempt ${index}`)
    })
    const channel = open(address)
    expect(String(await channel.unary('/t.S/M', hello))).toBe('attempt 3')
  })

  test('a stream that is refused sends all its requests again', async () => {
    const seen: string[] = []
    const { address } = await bareServer((stream, index) => {
      if (index === 0) {
        stream.close(constants.NGHTTP2_REFUSED_STREAM)
        return
      }
      stream.on('data', (piece: Buffer) => seen.push(piece.toString('latin1')))
      stream.on('end', () => answer(stream, 'done'))
    })
    const stream = open(address).stream('/t.S/M')
    await stream.write(Buffer.from('one'))
    await stream.write(Buffer.from('two'))
    stream.end()
    expect(await collect(stream)).toEqual(['done'])
    expect(seen.join('')).toBe('\0\0\0\0\x03one\0\0\0\0\x03two')
  })

  test('a server that refuses everything is left alone in the end', async () => {
    let count = 0
    const { address } = await bareServer((stream) => {
      count++
      stream.close(constants.NGHTTP2_REFUSED_STREAM)
    })
    const error = await failure(open(address).unary('/t.S/M', hello))
    expect(error).toMatchObject({ code: 14, unprocessed: true })
    expect(count).toBe(6)
  })

  test('GOAWAY: what it covers finishes, what is above its last stream goes elsewhere', async () => {
    const held = gate<ServerHttp2Stream>()
    const both = gate()
    const server = await bareServer((stream, index) => {
      if (index === 0) held.open(stream)
      else if (index === 1) both.open()
      else answer(stream, `stream ${index}`)
    })
    const channel = open(server.address)
    const first = channel.unary('/t.S/M', hello)
    const stream = await held.opened
    const second = channel.unary('/t.S/M', hello)
    await both.opened
    // The second was not processed, says the server, although we know better.
    server.sessions[0]?.goaway(constants.NGHTTP2_NO_ERROR, 1)
    expect(String(await second)).toBe('stream 2')
    expect(server.sessions.length).toBe(2)
    answer(stream, 'stream 0')
    expect(String(await first)).toBe('stream 0')
  })

  test('GOAWAY: new calls take a new connection while old ones go on', async () => {
    const held = gate<ServerHttp2Stream>()
    const server = await bareServer((stream, index) => {
      if (index === 0) held.open(stream)
      else answer(stream, 'new')
    })
    const channel = open(server.address)
    const first = channel.unary('/t.S/M', hello)
    const stream = await held.opened
    server.sessions[0]?.goaway(constants.NGHTTP2_NO_ERROR)
    expect(String(await channel.unary('/t.S/M', hello))).toBe('new')
    answer(stream, 'old')
    expect(String(await first)).toBe('old')
    expect(server.sessions.length).toBe(2)
  })

  test('GOAWAY with an error names it, and the call may have been seen', async () => {
    const server = await bareServer((stream) => {
      const code = constants.NGHTTP2_ENHANCE_YOUR_CALM
      stream.session?.goaway(code, stream.id ?? 0, Buffer.from('too_many_pings'))
    })
    const error = await failure(open(server.address).unary('/t.S/M', hello))
    expect(error).toMatchObject({ code: 14, unprocessed: false })
    expect(error.details).toContain('GOAWAY with code 11, too_many_pings')
  })

  test('GOAWAY with an error spares what is above its last stream all the same', async () => {
    const first = gate()
    const both = gate()
    const server = await bareServer((stream, index) => {
      if (index === 0) first.open()
      else if (index === 1) both.open()
      else answer(stream, `stream ${index}`)
    })
    const channel = open(server.address)
    const one = failure(channel.unary('/t.S/M', hello))
    await first.opened
    const two = channel.unary('/t.S/M', hello)
    await both.opened
    server.sessions[0]?.goaway(constants.NGHTTP2_INTERNAL_ERROR, 1)
    expect(await one).toMatchObject({ code: 14, unprocessed: false })
    expect(String(await two)).toBe('stream 2')
  })

  test('a connection that breaks under a call leaves it open whether it was seen', async () => {
    const server = await bareServer((stream, index) => {
      if (index === 0) stream.session?.destroy()
      else answer(stream, 'again')
    })
    const channel = open(server.address)
    const error = await failure(channel.unary('/t.S/M', hello))
    expect(error).toMatchObject({ code: 14, unprocessed: false })
    expect(error.details).toMatch(/^connection to 127\.0\.0\.1:\d+ lost: /)
    expect(String(await channel.unary('/t.S/M', hello))).toBe('again')
  })

  test('a call that has no room at the server was not seen when its time is up', async () => {
    const clock = new ManualClock()
    const held = gate<ServerHttp2Stream>()
    const seen: number[] = []
    const { address } = await bareServer(
      (stream, index) => {
        seen.push(index)
        if (index === 1) held.open(stream)
        else answer(stream, `${index}`)
      },
      { maxConcurrentStreams: 1 },
    )
    const channel = open(address, { clock })
    await channel.unary('/t.S/M', hello)
    const first = channel.unary('/t.S/M', hello)
    const stream = await held.opened
    const late = failure(channel.unary('/t.S/M', hello, { deadlineMs: 1000 }))
    const last = channel.unary('/t.S/M', hello)
    clock.advance(1000)
    expect(await late).toMatchObject({ code: 4, unprocessed: true })
    answer(stream, 'first')
    expect(String(await first)).toBe('first')
    expect(String(await last)).toBe('2')
    expect(seen).toEqual([0, 1, 2])
  })

  test('calls that have no room go elsewhere when the server parts', async () => {
    const held = gate<ServerHttp2Stream>()
    const { address, sessions } = await bareServer(
      (stream, index) => {
        if (index === 1) held.open(stream)
        else answer(stream, `${index}`)
      },
      { maxConcurrentStreams: 1 },
    )
    const channel = open(address)
    await channel.unary('/t.S/M', hello)
    const first = channel.unary('/t.S/M', hello)
    const stream = await held.opened
    const second = channel.unary('/t.S/M', hello)
    sessions[0]?.goaway(constants.NGHTTP2_NO_ERROR)
    expect(String(await second)).toBe('2')
    answer(stream, 'first')
    expect(String(await first)).toBe('first')
    expect(sessions.length).toBe(2)
  })

  test('more calls than the server takes at once wait their turn', async () => {
    let open_ = 0
    let most = 0
    const { address } = await bareServer(
      (stream) => {
        open_++
        most = Math.max(most, open_)
        stream.on('close', () => open_--)
        setImmediate(() => answer(stream, 'x'))
      },
      { maxConcurrentStreams: 3 },
    )
    const channel = open(address)
    await channel.unary('/t.S/M', hello)
    await Promise.all(Array.from({ length: 100 }, () => channel.unary('/t.S/M', hello)))
    expect(most).toBeLessThanOrEqual(3)
  })
})
