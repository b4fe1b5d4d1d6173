// Windows in both directions (RFC 9113 §5.2, §6.9), and in which order streams that wait get their
// turns.
import { describe, expect, test } from 'vitest'
import { type Frame, frameType } from '../../support/raw-http2.js'
import { greeted, head } from './in-memory.js'
import { data, number, recorded, setting, windowUpdate } from './wire.js'

const { reset } = frameType
const initialWindow = 4

const sizes = (frames: readonly Frame[]) =>
  frames
    .filter(({ type }) => type === frameType.data)
    .map(({ stream, payload }) => [stream, payload.length])

const updates = (frames: readonly Frame[]) =>
  frames
    .filter(({ type }) => type === windowUpdate)
    .map(({ stream, payload }) => [stream, payload.readUInt32BE(0)])

async function withCalls(count: number, options = {}) {
  const end = await greeted(options)
  await end.says(...Array.from({ length: count }, (_, i) => head(1 + 2 * i, { flags: 5 })))
  return end
}

describe('what we send', () => {
  test('no more than the window of the stream, and the rest when it grows', async () => {
    const end = await withCalls(1)
    await end.says(setting(initialWindow, 10))
    const [stream] = end.streams
    const seen = recorded(stream as never)
    expect(stream?.write(Buffer.alloc(25))).toBe(false)
    expect(sizes(await end.hears())).toEqual([[1, 10]])
    expect(sizes(await end.says(number(windowUpdate, 1, 5)))).toEqual([[1, 5]])
    expect(seen.drains).toBe(0)
    expect(sizes(await end.says(setting(initialWindow, 100)))).toEqual([[1, 10]])
    expect(seen.drains).toBe(1)
  })

  test('a window that was made smaller is negative until it grew by as much', async () => {
    const end = await withCalls(1)
    await end.says(setting(initialWindow, 100))
    const [stream] = end.streams
    stream?.write(Buffer.alloc(100))
    await end.hears()
    await end.says(setting(initialWindow, 40))
    stream?.write(Buffer.alloc(20))
    expect(sizes(await end.says(number(windowUpdate, 1, 60)))).toEqual([])
    expect(sizes(await end.says(number(windowUpdate, 1, 1)))).toEqual([[1, 1]])
  })

  test('headers and trailers need no window; trailers wait for the data before them', async () => {
    const end = await withCalls(2)
    await end.says(setting(initialWindow, 0))
    const [one, two] = end.streams
    one?.reply(Buffer.from('x'))
    two?.end([['grpc-status', '5']])
    expect((await end.hears()).map(({ type, stream }) => [type, stream])).toEqual([
      [frameType.headers, 1],
      [frameType.headers, 3],
    ])
    expect((await end.says(number(windowUpdate, 1, 100))).map(({ type }) => type)).toEqual([
      frameType.data,
      frameType.headers,
    ])
    expect(one?.isClosed).toBe(true)
  })

  test('a window that grows when the answer is complete changes nothing', async () => {
    const end = await greeted()
    await end.says(head(1))
    end.streams[0]?.reply(Buffer.from('x'))
    expect(await end.hears()).toHaveLength(3)
    expect(
      await end.says(number(windowUpdate, 1, 1000), setting(initialWindow, 100_000)),
    ).toHaveLength(1)
  })

  test('streams that wait for the connection take turns, a frame each', async () => {
    const end = await withCalls(3)
    await end.says(setting(initialWindow, 2 ** 20))
    for (const stream of end.streams) stream.write(Buffer.alloc(100_000))
    const first = sizes(await end.hears())
    expect(first.reduce((sum, [, size]) => sum + Number(size), 0)).toBe(65_535)
    const frames = sizes(await end.says(number(windowUpdate, 0, 6 * 16_384)))
    expect(frames).toEqual([1, 3, 5, 1, 3, 5].map((id) => [id, 16_384]))
  })

  test('a socket that takes nothing gets a quarter of a megabyte, whatever the windows', async () => {
    const end = await withCalls(1)
    await end.says(setting(initialWindow, 2 ** 30), number(windowUpdate, 0, 2 ** 30))
    end.isStuck = true
    const [stream] = end.streams
    for (let i = 0; i < 100; i++) stream?.write(Buffer.alloc(100_000))
    await end.hears()
    expect(end.pendingBytes).toBeLessThan(2 ** 18 + 3 * 16_384)
    end.drain()
    let got = end.pendingBytes
    for (let frames = await end.hears(); frames.length > 0; frames = await end.hears()) {
      got += sizes(frames).reduce((sum, [, size]) => sum + Number(size), 0)
    }
    expect(got).toBeGreaterThan(9_000_000)
    expect(stream?.queuedBytes).toBe(0)
  })

  test('a stream that is reset is taken out of what waits', async () => {
    const end = await withCalls(2)
    const [one, two] = end.streams
    one?.write(Buffer.alloc(100_000))
    two?.write(Buffer.alloc(10))
    await end.hears()
    await end.says(number(reset, 1, 8))
    expect(sizes(await end.says(number(windowUpdate, 0, 1000)))).toEqual([[3, 10]])
  })
})

describe('what we take', () => {
  const large = { connectionWindowBytes: 2 ** 20 }

  test('more than the window of a stream resets it, and the connection gets its bytes back', async () => {
    const end = await greeted({ streamWindowBytes: 100, connectionWindowBytes: 65_535 })
    await end.says(head(1), head(3))
    for (const stream of end.streams) stream.pause()
    await end.says(data(1, Buffer.alloc(100)))
    const answers = await end.says(data(1, 'x'))
    expect(answers.map(({ type, payload }) => [type, payload.readUInt32BE(0)])).toEqual([
      [reset, 3],
    ])
    expect(end.streams[1]?.isClosed).toBe(false)
  })

  test('padding counts, and is given back by itself', async () => {
    const end = await greeted({ ...large, streamWindowBytes: 1000 })
    await end.says(head(1))
    recorded(end.streams[0] as never)
    // Padding of 250 and its length: 251 bytes each that nobody reads.
    const padded = data(1, Buffer.concat([Buffer.from([250]), Buffer.alloc(250)]), 8)
    expect(updates(await end.says(padded))).toEqual([])
    expect(updates(await end.says(padded))).toEqual([[1, 502]])
  })

  test('who is paused holds the client up, and no byte is lost', async () => {
    const end = await greeted({ ...large, streamWindowBytes: 1000 })
    await end.says(head(1))
    const [stream] = end.streams
    const seen = recorded(stream as never)
    stream?.pause()
    expect(updates(await end.says(data(1, 'a'.repeat(600)), data(1, 'b'.repeat(400), 0)))).toEqual(
      [],
    )
    expect(seen.text).toBe('')
    stream?.resume()
    expect(updates(await end.hears())).toEqual([[1, 600]])
    expect(seen.text).toBe('a'.repeat(600) + 'b'.repeat(400))
  })

  test('what comes in bytes while it is paused is handed on in few pieces', async () => {
    const end = await greeted({ ...large, streamWindowBytes: 65_535 })
    await end.says(head(1))
    const [stream] = end.streams
    const seen = { text: '', pieces: 0 }
    const onData = (piece: Buffer) => {
      seen.text += piece.toString()
      seen.pieces++
    }
    if (stream !== undefined) stream.reader = { onData, onEnd() {}, onDrain() {} }
    stream?.pause()
    await end.says(...Array.from({ length: 5000 }, (_, i) => data(1, String(i % 10))))
    stream?.resume()
    expect(seen.text).toBe('0123456789'.repeat(500))
    expect(seen.pieces).toBeLessThan(10)
  })

  test('the end of a request waits behind what is held', async () => {
    const end = await greeted()
    await end.says(head(1))
    const [stream] = end.streams
    const seen = recorded(stream as never)
    stream?.pause()
    await end.says(data(1, 'last', 1))
    expect(seen).toMatchObject({ text: '', isEnded: false })
    stream?.resume()
    expect(seen).toMatchObject({ text: 'last', isEnded: true })
  })

  test('the end is told once, however often it is paused and resumed', async () => {
    const end = await greeted()
    await end.says(head(1), data(1, 'last', 1))
    const [stream] = end.streams
    let ends = 0
    const reader = { onData() {}, onEnd: () => ends++, onDrain() {} }
    await end.says(head(3))
    const other = end.streams[1]
    if (other !== undefined) other.reader = reader
    await end.says(data(3, 'x', 1))
    for (const each of [stream, other]) {
      each?.pause()
      each?.resume()
    }
    expect(ends).toBe(1)
  })

  test('what a closed stream held, and what comes for it, is given back to the connection', async () => {
    const end = await greeted({ streamWindowBytes: 65_535, connectionWindowBytes: 65_535 })
    for (let i = 0; i < 20; i++) {
      const id = 1 + 2 * i
      await end.says(head(id))
      end.streams.at(-1)?.pause()
      const answers = await end.says(
        data(id, Buffer.alloc(10_000)),
        number(reset, id, 8),
        data(id, Buffer.alloc(5000)),
      )
      expect(answers.some(({ type }) => type === frameType.goaway)).toBe(false)
    }
  })
})
