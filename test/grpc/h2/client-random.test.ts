// What servers say, at random: good answers in every form that the standard allows, cut anywhere;
// and frames and bytes that make no sense, after which the connection goes on or ends.
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { frameBytes, frameType, headerBlock } from '../../support/raw-http2.js'
import {
  answerHead,
  clientInMemory,
  followed,
  goaway,
  request,
  requestFields,
  trailers,
} from './client-in-memory.js'
import { data, emptySettings, number, setting, windowUpdate } from './wire.js'

const { headers, reset, ping, continuation } = frameType
const padded = 8
const priority = 32
const endHeaders = 4

interface Form {
  padding: number | undefined
  hasPriority: boolean
  /** Of the parts of a header block; the rest is the last. */
  parts: number[]
}

const form: fc.Arbitrary<Form> = fc.record({
  padding: fc.option(fc.constantFrom(0, 1, 30, 255), { nil: undefined }),
  hasPriority: fc.boolean(),
  parts: fc.array(fc.nat(20), { maxLength: 4 }),
})

const withPadding = (payload: Buffer, bytes: number | undefined): Buffer =>
  bytes === undefined ? payload : Buffer.concat([Buffer.of(bytes), payload, Buffer.alloc(bytes)])

/** HEADERS with what may be around a block, and CONTINUATION behind it. */
function inForm(
  stream: number,
  block: Buffer,
  flags: number,
  { padding, hasPriority, parts }: Form,
) {
  const pieces: Buffer[] = []
  let at = 0
  for (const size of parts) {
    pieces.push(block.subarray(at, at + size))
    at += size
  }
  pieces.push(block.subarray(at))
  return Buffer.concat(
    pieces.map((piece, index) => {
      const last = index === pieces.length - 1 ? endHeaders : 0
      if (index > 0) return frameBytes(continuation, { stream, flags: last, payload: piece })
      const front = hasPriority ? Buffer.from([0, 0, 0, 0, 7]) : Buffer.alloc(0)
      const payload = withPadding(Buffer.concat([front, piece]), padding)
      const more = (padding === undefined ? 0 : padded) | (hasPriority ? priority : 0)
      return frameBytes(headers, { stream, flags: flags | last | more, payload })
    }),
  )
}

const between = fc.constantFrom(
  Buffer.alloc(0),
  frameBytes(ping, { payload: Buffer.alloc(8) }),
  frameBytes(99, { stream: 1, payload: Buffer.from('?') }),
  setting(4, 1000),
  setting(77, 1),
  number(windowUpdate, 1, 100),
  number(windowUpdate, 0, 100),
  answerHead(1, { fields: [[':status', '103']] }),
)

test('an answer is the same in every form, and wherever it is cut', async () => {
  const messages = fc.array(fc.tuple(fc.nat(300), form), { maxLength: 5 })
  await fc.assert(
    fc.asyncProperty(
      fc.tuple(form, form),
      messages,
      between,
      fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1, maxLength: 5 }),
      fc.boolean(),
      async ([headForm, endForm], pieces, other, cuts, pauses) => {
        const end = clientInMemory()
        const { stream, seen } = request(end)
        stream.writeLast(Buffer.from('?'))
        let got = ''
        const { reader } = stream
        if (reader !== undefined) {
          reader.onData = (piece) => {
            got += piece.toString()
          }
        }
        const head = headerBlock([
          [':status', '200'],
          ['content-type', 'application/grpc'],
        ])
        const bytes = Buffer.concat([
          emptySettings,
          other,
          inForm(1, head, 0, headForm),
          ...pieces.map(([size, { padding }]) =>
            data(
              1,
              withPadding(Buffer.from('m'.repeat(size)), padding),
              padding === undefined ? 0 : padded,
            ),
          ),
          inForm(1, headerBlock([['grpc-status', '0']]), 1, endForm),
        ])
        let turn = 0
        for (let at = 0; at < bytes.length; turn++) {
          if (pauses && turn % 3 === 1) stream.pause()
          if (turn % 3 === 2) stream.resume()
          const size = cuts[turn % cuts.length] ?? 1
          end.connection.receive(bytes.subarray(at, at + size))
          at += size
        }
        stream.resume()
        expect(end.faults).toEqual([])
        expect(got).toBe('m'.repeat(pieces.reduce((sum, [size]) => sum + size, 0)))
        const order = seen.filter((what) => !what.startsWith('close'))
        expect(order).toEqual(['sent', 'head 200', 'trailers 0', 'end'])
      },
    ),
    { numRuns: 300 },
  )
})

const id = fc.constantFrom(0, 1, 2, 3, 5, 7, 99)
const payload = fc.uint8Array({ maxLength: 40 }).map((bytes) => Buffer.from(bytes))
const frame = fc.oneof(
  fc
    .record({ type: fc.nat(12), flags: fc.nat(255), stream: id, payload })
    .map(({ type, ...rest }) => frameBytes(type, rest)),
  fc.tuple(id, fc.constantFrom(4, 5)).map(([stream, flags]) => answerHead(stream, { flags })),
  id.map((stream) => trailers(stream)),
  fc.tuple(id, payload, fc.constantFrom(0, 1, 8)).map((parts) => data(...parts)),
  fc
    .tuple(fc.constantFrom(reset, windowUpdate), id, fc.nat(70_000))
    .map((parts) => number(...parts)),
  fc.tuple(fc.nat(7), fc.nat(100_000)).map((parts) => setting(...parts)),
  fc.tuple(id, fc.nat(3)).map((parts) => goaway(...parts)),
  fc.constant(frameBytes(ping, { payload: Buffer.alloc(8) })),
  payload,
)

test('whatever comes, the connection goes on or ends, and leaves no stream', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(frame, { maxLength: 30 }),
      fc.integer({ min: 1, max: 50 }),
      fc.boolean(),
      async (frames, size, isGreeted) => {
        const end = clientInMemory({
          onRoom: () => {
            if (end.connection.hasRoom) all.push(request(end).seen)
          },
        })
        const all: string[][] = []
        for (let i = 0; i < 3; i++) {
          const stream = end.connection.open(requestFields)
          all.push(followed(stream))
          if (i > 0) stream.writeLast(Buffer.alloc(50_000))
          if (i === 1) stream.pause()
        }
        const bytes = Buffer.concat([...(isGreeted ? [emptySettings] : []), ...frames])
        for (let at = 0; at < bytes.length; at += size) {
          end.connection.receive(bytes.subarray(at, at + size))
          void end.connection.hasRoom
        }
        const said = await end.hears()
        const isTold = said.some(({ type }) => type === frameType.goaway)
        if (end.faults.length > 0 && !isTold) throw new Error('a fault without a GOAWAY')
        if (end.faults.length > 0 && !end.isDestroyed) throw new Error('a fault without an end')
        end.connection.closed()
        for (const seen of all) {
          const closes = seen.filter((what) => what.startsWith('close')).length
          if (closes !== 1) throw new Error(`a stream was closed ${closes} times`)
        }
        if (end.connection.streamCount > 0) throw new Error('a stream is left')
      },
    ),
    { numRuns: 500 },
  )
})
