// Frames at random, whole and in pieces: whatever a client says, the connection goes on or says
// GOAWAY, and when the client is gone nothing is open, and no timer runs.
import fc from 'fast-check'
import { test } from 'vitest'
import { frameBytes, frameType } from '../../support/raw-http2.js'
import { head, inMemory } from './in-memory.js'
import { data, emptySettings, number, preface, setting } from './wire.js'

const stream = fc.constantFrom(0, 1, 2, 3, 5, 7, 99)
const payload = fc.uint8Array({ maxLength: 40 }).map((bytes) => Buffer.from(bytes))
const frame = fc.oneof(
  fc
    .record({ type: fc.nat(12), flags: fc.nat(255), stream, payload })
    .map(({ type, ...rest }) => frameBytes(type, rest)),
  fc.tuple(stream, fc.constantFrom(4, 5)).map(([id, flags]) => head(id, { flags })),
  fc.tuple(stream, payload, fc.constantFrom(0, 1, 8)).map((parts) => data(...parts)),
  fc.tuple(fc.constantFrom(3, 8), stream, fc.nat(70_000)).map((parts) => number(...parts)),
  fc.tuple(fc.nat(7), fc.nat(100_000)).map((parts) => setting(...parts)),
  fc.constant(frameBytes(frameType.ping, { payload: Buffer.alloc(8) })),
)

test('whatever comes, the connection goes on or ends, and leaves nothing', async () => {
  const frames = fc.array(frame, { maxLength: 30 })
  await fc.assert(
    fc.asyncProperty(
      frames,
      fc.integer({ min: 1, max: 50 }),
      fc.boolean(),
      async (list, size, drains) => {
        const end = inMemory({
          onStream(stream) {
            end.streams.push(stream)
            stream.reader = {
              onData: (piece) => void (piece.length % 3 === 0 && stream.write(Buffer.from(piece))),
              onEnd: () => stream.reply(Buffer.alloc(100_000)),
              onDrain() {},
            }
          },
        })
        const bytes = Buffer.concat([preface, emptySettings, ...list])
        for (let at = 0; at < bytes.length; at += size) {
          end.connection.receive(bytes.subarray(at, at + size))
          if (drains && at > bytes.length / 2) end.connection.drain()
        }
        const said = await end.hears()
        const isTold = said.some(({ type }) => type === frameType.goaway)
        if (end.faults.length > 0 && !isTold) throw new Error('a fault without a GOAWAY')
        if (end.isEnded && !isTold) throw new Error('an end without a GOAWAY')
        end.connection.closed()
        if (end.streams.some(({ isClosed }) => !isClosed)) throw new Error('a stream is left')
        if (end.clock.pendingCount > 0) throw new Error('a timer is left')
      },
    ),
    { numRuns: 300 },
  )
})
