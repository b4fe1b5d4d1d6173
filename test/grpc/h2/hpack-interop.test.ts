// hpack-interop.test.ts: header blocks between ours and node:http2, which has those of nghttp2:
// what its client writes is read, and it reads what is written here.
import { once } from 'node:events'
import http2 from 'node:http2'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { HpackDecoder } from '../../../src/grpc/h2/hpack-decoder.js'
import { type HeaderField, HpackEncoder } from '../../../src/grpc/h2/hpack-encoder.js'
import { HpackError } from '../../../src/grpc/h2/hpack-error.js'
import { clientOfFrames, type Frame, frameBytes } from './raw-peer.js'

const type = { headers: 1, settings: 4, continuation: 9 }
const flag = { endStream: 1, endHeaders: 4, padded: 8, priority: 32 }
const settingId = { headerTableSize: 1 }

/** A block that may have come in several frames. */
function blockParts({ type: frameType, flags, payload }: Frame): Buffer {
  if (frameType === type.continuation) return payload
  const padding = (flags & flag.padded) === 0 ? 0 : 1 + (payload[0] ?? 0)
  const from = (padding > 0 ? 1 : 0) + ((flags & flag.priority) === 0 ? 0 : 5)
  return payload.subarray(from, payload.length - Math.max(0, padding - 1))
}

interface Request {
  headers: Record<string, string>
  isSensitive: boolean
}

/** The blocks in which a client of node:http2 sends these requests, one after the other. */
async function captured(requests: readonly Request[], tableBytes: number): Promise<Buffer[]> {
  const blocks: Buffer[] = []
  let parts: Buffer[] = []
  const onFrame: Parameters<typeof clientOfFrames>[2] = (frame, socket) => {
    if (frame.type !== type.headers && frame.type !== type.continuation) return
    parts.push(blockParts(frame))
    if ((frame.flags & flag.endHeaders) === 0) return
    blocks.push(Buffer.concat(parts))
    parts = []
    // Answered with status 200 (field 8 of the static table), so that the call is over.
    const both = flag.endStream | flag.endHeaders
    socket.write(frameBytes(type.headers, both, frame.stream, Buffer.from([0x88])))
  }
  const settings = { [settingId.headerTableSize]: tableBytes }
  await using peer = await clientOfFrames({ maxSendHeaderBlockLength: 2 ** 20 }, settings, onFrame)
  await Promise.all(
    requests.map(async ({ headers, isSensitive }) => {
      const sensitive = isSensitive ? Object.keys(headers) : []
      const call = peer.client.request({ ...headers, [http2.sensitiveHeaders]: sensitive })
      call.resume()
      await once(call, 'close')
    }),
  )
  return blocks
}

/** As captured() sends it: with what node:http2 adds. */
const sent = ({ headers }: Request) => ({
  ':authority': expect.any(String),
  ':method': 'GET',
  ':path': '/',
  ':scheme': 'http',
  ...headers,
})

const value = fc.oneof(
  { weight: 3, arbitrary: fc.constantFrom('application/grpc', 'trailers', '1S', '29999931u', '') },
  { weight: 2, arbitrary: fc.string({ unit: 'grapheme-ascii', maxLength: 60 }) },
  // Bytes as a proxy may pass them on, and base64 as gRPC has them.
  fc
    .uint8Array({ maxLength: 60 })
    .map((bytes) =>
      Buffer.from(
        bytes.map((byte) => (byte < 32 || byte === 127 ? byte ^ 64 : byte) & 255),
      ).toString('latin1'),
    ),
  fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes).toString('base64')),
  fc.integer({ min: 0, max: 5000 }).map((size) => 'long '.repeat(size / 5)),
)
const visible = (text: string): boolean => !/[^\t\x20-\x7e\x80-\xff]/.test(text)
const name = fc.constantFrom(
  ...['content-type', 'te', 'user-agent', 'grpc-timeout', 'grpc-accept-encoding', 'token', 'x-bin'],
  ...['accept-encoding', 'authorization', 'a', 'b-c', 'forwarded', 'x-long-name'.repeat(12)],
)
const request: fc.Arbitrary<Request> = fc.record({
  headers: fc
    .dictionary(name, value.filter(visible), { maxKeys: 8 })
    // Every other te is no business of HTTP/2, and node:http2 does not send it.
    .map((headers) => ('te' in headers ? { ...headers, te: 'trailers' } : headers)),
  isSensitive: fc.boolean(),
})

describe('what a client of node:http2 sends is read as it was meant,', () => {
  test('whatever comes, whatever comes again, and however small the table', async () => {
    const requests = fc.array(request, { minLength: 1, maxLength: 30 })
    const tableBytes = fc.constantFrom(0, 40, 200, 1000, 4096, 65_536)
    await fc.assert(
      fc.asyncProperty(requests, tableBytes, async (list, bytes) => {
        // Twice, so that much of it is in the table.
        const all = [...list, ...list]
        const blocks = await captured(all, bytes)
        const decoder = new HpackDecoder({ listBytesMax: 2 ** 20 })
        const found = blocks.map((block) => decoder.decode(block, 0, block.length))
        expect(found.map(({ headers }) => ({ ...headers }))).toEqual(all.map(sent))
        expect(found.every(({ fault, isTooLarge }) => fault === undefined && !isTooLarge)).toBe(
          true,
        )
      }),
      { numRuns: 25 },
    )
  })

  test('with every byte, in Huffman codes', async () => {
    // Enough short codes before it that nghttp2 finds the coded string to be the shorter one.
    const bytes = [...Array(256).keys()].filter((byte) => visible(String.fromCharCode(byte)))
    const requests = bytes.map((byte) => ({
      headers: { a: `${'e'.repeat(60)}${String.fromCharCode(byte)}0` },
      isSensitive: false,
    }))
    const blocks = await captured(requests, 0)
    const decoder = new HpackDecoder({ listBytesMax: 1000 })
    blocks.forEach((block, at) => {
      expect(block.includes('eeee')).toBe(false)
      expect({ ...decoder.decode(block, 0, block.length).headers }).toEqual(
        sent(requests[at] as Request),
      )
    })
  })

  test('or refused when it is cut or changed anywhere, and then with an HpackError', async () => {
    const headers = { te: 'trailers', 'grpc-timeout': '29999931u', token: 'Zm9v', a: '\xff\xfe' }
    const [block = Buffer.alloc(0)] = await captured([{ headers, isSensitive: false }], 4096)
    const read = (bytes: Buffer) => {
      const decoder = new HpackDecoder({ listBytesMax: 10_000 })
      try {
        decoder.decode(bytes, 0, bytes.length)
      } catch (error) {
        expect(error).toBeInstanceOf(HpackError)
      }
      expect(decoder.tableBytes).toBeLessThanOrEqual(4096)
    }
    for (let at = 0; at < block.length; at++) {
      read(block.subarray(0, at))
      for (let bit = 1; bit < 256; bit *= 2) {
        const changed = Buffer.from(block)
        changed[at] = (changed[at] ?? 0) ^ bit
        read(changed)
      }
    }
  })
})

describe('what we send is read by a client of node:http2 as it was meant,', () => {
  const answerName = fc.constantFrom(
    ...['content-type', 'grpc-status', 'grpc-message', 'grpc-encoding', 'x-bin', 'server', 'a-b'],
  )
  // nghttp2 drops fields with white space around their values.
  const field = fc.tuple(
    answerName,
    value.filter((text) => visible(text) && text.trim() === text),
  )
  const answer = fc.tuple(
    fc.constantFrom('200', '404', '415', '503'),
    fc.array(field),
    fc.array(field),
  )
  /** What the client says about its table before an answer; undefined: nothing. */
  const tableBytes = fc.option(fc.constantFrom(0, 60, 100, 1000, 4096, 65_536), { nil: undefined })

  test('whatever it is, and however its table changes', async () => {
    const calls = fc.array(fc.tuple(answer, tableBytes), { minLength: 1, maxLength: 20 })
    await fc.assert(
      fc.asyncProperty(calls, tableBytes, async (list, firstBytes) => {
        const encoder = new HpackEncoder()
        const answers = [...list, ...list]
        let count = 0
        const settings = firstBytes === undefined ? {} : { headerTableSize: firstBytes }
        const options = { settings, maxReservedRemoteStreams: 0 }
        const onFrame: Parameters<typeof clientOfFrames>[2] = (frame, socket) => {
          if (frame.type === type.settings) {
            for (let at = 0; at < frame.payload.length; at += 6) {
              const isTable = frame.payload.readUInt16BE(at) === settingId.headerTableSize
              if (isTable) encoder.limitTable(frame.payload.readUInt32BE(at + 2))
            }
          }
          if (frame.type !== type.headers) return
          const [[status, head, tail]] = answers[count++] ?? [['500', [], []], undefined]
          const block = encoder.encode([[':status', status], ...head])
          socket.write(frameBytes(type.headers, flag.endHeaders, frame.stream, block))
          const both = flag.endHeaders | flag.endStream
          socket.write(frameBytes(type.headers, both, frame.stream, encoder.encode(tail)))
        }
        await using peer = await clientOfFrames(options, {}, onFrame)
        for (const [[status, head, tail], bytes] of answers) {
          if (bytes !== undefined) peer.client.settings({ headerTableSize: bytes })
          const found = await answered(peer.client)
          expect(found).toEqual([[[':status', status], ...head], tail])
        }
      }),
      { numRuns: 25 },
    )
  })

  const pairs = (raw: readonly string[]): HeaderField[] =>
    Array.from({ length: raw.length / 2 }, (_, at) => [raw[2 * at] ?? '', raw[2 * at + 1] ?? ''])

  /** Headers and trailers of an answer, as they came. */
  async function answered(client: http2.ClientHttp2Session): Promise<HeaderField[][]> {
    const call = client.request({})
    call.resume()
    const found: HeaderField[][] = []
    const keep = (_headers: object, _flags: number, raw: string[]) => void found.push(pairs(raw))
    call.on('response', keep as () => void)
    call.on('trailers', keep as () => void)
    await once(call, 'close')
    return found
  }
})
