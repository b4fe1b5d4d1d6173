// frame.test.ts: messages in frames, cut at every offset and one byte at a time.
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { FrameReader, frame, frames, sendError, unframed } from '../../src/grpc/frame.js'
import type { RpcError } from '../../src/grpc/status.js'

function read(pieces: readonly Buffer[], maxBytes = 1000, encoding?: string) {
  const messages: string[] = []
  const reader = new FrameReader({ maxBytes, encoding, side: 'server' }, (message) =>
    messages.push(message.toString()),
  )
  let error: RpcError | undefined
  for (const piece of pieces) error ??= reader.push(piece)
  return { messages, error: error?.details, isBetween: reader.isBetween }
}

const three = Buffer.concat([
  frame(Buffer.from('first')),
  frame(Buffer.from('')),
  frame(Buffer.from('third one')),
])

describe('FrameReader', () => {
  test('finds the same messages wherever the bytes are cut', () => {
    for (let cut = 0; cut <= three.length; cut++) {
      const found = read([three.subarray(0, cut), three.subarray(cut)])
      expect(found, `cut at ${cut}`).toEqual({
        messages: ['first', '', 'third one'],
        error: undefined,
        isBetween: true,
      })
    }
  })

  test('puts large messages together from pieces of any size, with what comes after', () => {
    const large = Buffer.from(Array.from({ length: 200_000 }, (_, at) => (at * 7 + 3) & 127))
    const bytes = Buffer.concat([frame(large), frame(Buffer.from('after'))])
    for (const size of [1_000, 16_384, 16_385, 65_536, 199_999]) {
      const pieces: Buffer[] = []
      for (let at = 0; at < bytes.length; at += size) pieces.push(bytes.subarray(at, at + size))
      expect(read(pieces, 200_000).messages).toEqual([large.toString(), 'after'])
    }
  })

  test('on a server takes no memory for what is only announced', () => {
    const head = Buffer.from([0, 0, 0x20, 0, 0, 1]) // 2 MiB, and a byte of it
    const before = process.memoryUsage().arrayBuffers
    const readers = Array.from({ length: 1_000 }, () => {
      const reader = new FrameReader({ maxBytes: 2 ** 21, side: 'server' }, () => {})
      reader.push(head)
      return reader
    })
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(100 * 2 ** 20)
    expect(readers.every(({ isBetween }) => !isBetween)).toBe(true)
  })

  test('finds them when every byte comes alone', () => {
    const bytes = [...three].map((byte) => Buffer.from([byte]))
    expect(read(bytes).messages).toEqual(['first', '', 'third one'])
  })

  test('knows that a stream which stops inside a message is not whole', () => {
    const ends = [0, 10, 15, 29] // of the three messages, and the start
    for (let length = 0; length <= three.length; length++) {
      expect(read([three.subarray(0, length)]).isBetween, `${length}`).toBe(ends.includes(length))
    }
  })

  test('gives back what was framed, whatever the messages and the pieces', () => {
    fc.assert(
      fc.property(
        fc.array(fc.uint8Array({ maxLength: 300 })),
        fc.array(fc.integer({ min: 1, max: 97 }), { minLength: 1 }),
        (messages, sizes) => {
          const bytes = Buffer.concat(messages.map((message) => frame(message)))
          const pieces: Buffer[] = []
          for (let at = 0, i = 0; at < bytes.length; i++) {
            const size = sizes[i % sizes.length] ?? 1
            pieces.push(bytes.subarray(at, at + size))
            at += size
          }
          const found: Buffer[] = []
          const reader = new FrameReader({ maxBytes: 300, side: 'client' }, (m) => found.push(m))
          for (const piece of pieces) expect(reader.push(piece)).toBeUndefined()
          expect(found.map((m) => m.toString('hex'))).toEqual(
            messages.map((m) => Buffer.from(m).toString('hex')),
          )
        },
      ),
    )
  })

  test('refuses a message over the limit by its head alone', () => {
    const head = Buffer.from([0, 0, 0, 0, 11])
    expect(read([head], 10).error).toBe('grpc: received message larger than max (11 vs. 10)')
    expect(read([head.subarray(0, 4), head.subarray(4)], 10).error).toBe(
      'grpc: received message larger than max (11 vs. 10)',
    )
    expect(read([frame(Buffer.alloc(10, 'x'))], 10)).toMatchObject({ messages: ['x'.repeat(10)] })
  })

  test('refuses compressed messages and flags that mean nothing', () => {
    const cases: [number, string | undefined, string][] = [
      [1, undefined, 'grpc: compressed flag set with identity or empty encoding'],
      [1, 'identity', 'grpc: compressed flag set with identity or empty encoding'],
      [1, 'gzip', 'grpc: Decompressor is not installed for grpc-encoding "gzip"'],
      [2, undefined, 'grpc: received unexpected payload format 2'],
      [255, 'gzip', 'grpc: received unexpected payload format 255'],
    ]
    for (const [flag, encoding, text] of cases) {
      expect(read([Buffer.from([flag, 0, 0, 0, 1, 7])], 10, encoding).error).toBe(text)
    }
  })
})

test('several in one piece come apart again, empty ones and large ones too', () => {
  for (const sizes of [[], [0], [0, 0, 1], [3, 70_000, 0, 17_000_000]]) {
    const messages = sizes.map((size, at) => Buffer.alloc(size, at + 1))
    const apart = unframed({ bytes: frames(messages), count: sizes.length })
    expect(apart.map(({ length }) => length)).toEqual(sizes)
    expect(apart.every((message, at) => messages[at]?.equals(message))).toBe(true)
  }
})

test('a message over the sending limit is refused before it is sent', () => {
  expect(sendError(Buffer.alloc(10), 10)).toBeUndefined()
  expect(sendError(Buffer.alloc(11), 10)).toMatchObject({
    code: 8,
    details: 'trying to send message larger than max (11 vs. 10)',
    unprocessed: true,
  })
})
