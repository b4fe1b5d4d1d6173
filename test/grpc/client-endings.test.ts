// How calls end when a server, frame by frame, stops at every point of its answer: by RST_STREAM
// with every code, by GOAWAY, by hanging up. What a status is by the standard of gRPC over HTTP/2.
import type net from 'node:net'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { frame } from '../../src/grpc/frame.js'
import type { RpcError } from '../../src/grpc/status.js'
import { failure, open, rawServer } from './ends.js'
import { frameBytes, literals, preface, readFrames } from './h2/raw-peer.js'

const hello = Buffer.from('hello')
const type = { data: 0, headers: 1, reset: 3, settings: 4, goaway: 7 }

const uint32s = (...values: number[]): Buffer => {
  const bytes = Buffer.alloc(4 * values.length)
  values.forEach((value, at) => {
    bytes.writeUInt32BE(value, 4 * at)
  })
  return bytes
}

const reset = (stream: number, code: number) => frameBytes(type.reset, 0, stream, uint32s(code))
const goaway = (lastId: number, code: number) => {
  return frameBytes(type.goaway, 0, 0, uint32s(lastId, code))
}

/** The parts of a good answer; between any two of them something may go wrong. */
function answerParts(stream: number): Buffer[] {
  const message = frame(Buffer.from('fine'))
  const head = [[':status', '200'] as const, ['content-type', 'application/grpc'] as const]
  return [
    frameBytes(type.headers, 4, stream, literals(head)),
    frameBytes(type.data, 0, stream, message.subarray(0, 6)),
    frameBytes(type.data, 0, stream, message.subarray(6)),
    frameBytes(type.headers, 5, stream, literals([['grpc-status', '0']])),
  ]
}

const partCount = answerParts(1).length

/** Answers well, but the first request, which `spoil` answers. */
async function spoiling(spoil: (stream: number, socket: net.Socket) => void) {
  let requests = 0
  let connections = 0
  const port = await rawServer((socket) => {
    connections++
    socket.write(frameBytes(type.settings, 0, 0, Buffer.alloc(0)))
    readFrames(socket, preface.length, ({ type: kind, flags, stream }) => {
      const isEnd = kind === type.data && (flags & 1) !== 0
      if (!isEnd) return
      if (requests++ === 0) spoil(stream, socket)
      else socket.write(Buffer.concat(answerParts(stream)))
    })
  })
  return { port, requests: () => requests, connections: () => connections }
}

/** What a unary call and a stream come to. */
async function outcomes(spoil: (stream: number, socket: net.Socket) => void) {
  const unary = await spoiling(spoil)
  const channel = open({ host: '127.0.0.1', port: unary.port })
  const one = await channel.unary('/t.S/M', hello).then(String, (error: unknown) => error)
  // The channel is of use afterwards; a connection that is about to go may be found out by a call.
  const again = () => channel.unary('/t.S/M', hello)
  expect(String(await again().catch(again))).toBe('fine')
  const streamed = await spoiling(spoil)
  const stream = open({ host: '127.0.0.1', port: streamed.port }).stream('/t.S/M')
  void stream.write(hello).catch(() => {})
  stream.end()
  const seen: unknown[] = []
  try {
    for await (const message of stream) seen.push(String(message))
    seen.push('end')
  } catch (error) {
    seen.push(error)
  }
  return { one, seen, requests: unary.requests(), connections: unary.connections() }
}

const points = Array.from({ length: partCount + 1 }, (_, at) => at)

/** Messages that a stream has seen by then. */
const seenBy = (point: number) => (point >= 3 ? ['fine'] : [])

describe('RST_STREAM', () => {
  // Statuses of gRPC over HTTP/2, "HTTP2 Transport Mapping"; names of RFC 9113 §7.
  const codes: readonly (readonly [code: number, name: string, status: number])[] = [
    [0, 'NO_ERROR', 13],
    [1, 'PROTOCOL_ERROR', 13],
    [2, 'INTERNAL_ERROR', 13],
    [3, 'FLOW_CONTROL_ERROR', 13],
    [4, '4', 13],
    [5, 'STREAM_CLOSED', 13],
    [6, 'FRAME_SIZE_ERROR', 13],
    [7, 'REFUSED_STREAM', 14],
    [8, 'CANCEL', 1],
    [9, 'COMPRESSION_ERROR', 13],
    [11, 'ENHANCE_YOUR_CALM', 8],
    [12, 'INADEQUATE_SECURITY', 7],
    [99, '99', 13],
  ]

  test.each(codes)('with code %i (%s) is status %i, at every point', async (code, name, status) => {
    for (const point of points) {
      const { one, seen, requests, connections } = await outcomes((stream, socket) => {
        socket.write(Buffer.concat([...answerParts(stream).slice(0, point), reset(stream, code)]))
      })
      const where = `after ${point} parts`
      const isWhole = point === partCount
      const isAgain = code === 7 && point === 0
      expect(connections, where).toBe(1)
      expect(requests, where).toBe(isAgain ? 3 : 2)
      if (isWhole || isAgain) {
        expect(one, where).toBe('fine')
        expect(seen, where).toEqual(['fine', 'end'])
        continue
      }
      const details = `stream terminated by RST_STREAM with error code: ${name}`
      // Whoever said anything has looked at the call, which is not to be sent again.
      expect(one, where).toMatchObject({ code: status, details, unprocessed: false })
      expect(seen, where).toMatchObject([...seenBy(point), { code: status, details }])
    }
  })
})

describe('GOAWAY', () => {
  test('that covers the call lets it finish, at every point', async () => {
    for (const point of points) {
      const { one, seen, connections } = await outcomes((stream, socket) => {
        const parts = answerParts(stream)
        const later = Buffer.concat(parts.slice(point))
        socket.write(Buffer.concat([...parts.slice(0, point), goaway(stream, 0), later]))
      })
      expect([one, seen, connections], `after ${point} parts`).toEqual(['fine', ['fine', 'end'], 2])
    }
  })

  test('that does not cover it sends it anew, unless it was answered already', async () => {
    for (const point of points) {
      for (const code of [0, 2]) {
        const { one, seen, requests, connections } = await outcomes((stream, socket) => {
          const parts = answerParts(stream).slice(0, point)
          socket.write(Buffer.concat([...parts, goaway(Math.max(0, stream - 2), code)]))
        })
        const where = `code ${code} after ${point} parts`
        const isFine = point === 0 || point === partCount
        expect(connections, where).toBe(2)
        expect(requests, where).toBe(point === 0 ? 3 : 2)
        if (isFine) expect([one, seen], where).toEqual(['fine', ['fine', 'end']])
        else {
          expect(one, where).toMatchObject({ code: 14, unprocessed: false })
          expect(seen, where).toMatchObject([...seenBy(point), { code: 14 }])
        }
      }
    }
  })

  test('with an error ends what it covers, at every point', async () => {
    for (const point of points) {
      const { one, seen, requests } = await outcomes((stream, socket) => {
        const parts = answerParts(stream).slice(0, point)
        socket.write(Buffer.concat([...parts, goaway(stream, 11)]))
      })
      const where = `after ${point} parts`
      expect(requests, where).toBe(2)
      if (point === partCount) expect([one, seen], where).toEqual(['fine', ['fine', 'end']])
      else {
        expect(one, where).toMatchObject({ code: 14, unprocessed: false })
        expect((one as RpcError).details, where).toContain('GOAWAY with code 11')
        expect(seen, where).toMatchObject([...seenBy(point), { code: 14 }])
      }
    }
  })
})

test('a server that hangs up, at every point, and between any two bytes', async () => {
  const bytes = Buffer.concat(answerParts(1))
  for (let point = 0; point <= bytes.length; point++) {
    const { one } = await outcomes((_stream, socket) => {
      socket.end(bytes.subarray(0, point))
    })
    const where = `after ${point} bytes`
    if (point === bytes.length) expect(one, where).toBe('fine')
    else expect(one, where).toMatchObject({ code: 14, unprocessed: false })
  }
})

test('bytes at random in the place of an answer end the call, and say of what', async () => {
  let garbage = Buffer.alloc(0)
  const port = await rawServer((socket) => {
    socket.write(frameBytes(type.settings, 0, 0, Buffer.alloc(0)))
    readFrames(socket, preface.length, ({ type: kind }) => {
      if (kind === type.headers) socket.end(garbage)
    })
  })
  const channel = open({ host: '127.0.0.1', port })
  await fc.assert(
    fc.asyncProperty(fc.uint8Array({ maxLength: 200 }), async (bytes) => {
      garbage = Buffer.from(bytes)
      const error = await failure(channel.unary('/t.S/M', hello))
      expect(error.details).not.toBe('')
      const stream = channel.stream('/t.S/M')
      void stream.write(hello).catch(() => {})
      await failure(stream[Symbol.asyncIterator]().next())
    }),
    { numRuns: 60 },
  )
})
