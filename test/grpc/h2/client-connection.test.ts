// The client's end of HTTP/2 against the rules of RFC 9113, frame by frame, without sockets.
import { describe, expect, test } from 'vitest'
import { frameBytes, frameType } from '../../support/raw-http2.js'
import {
  answerHead,
  type ClientInMemory,
  clientInMemory,
  goaway,
  greetedClient,
  request,
  requestFields,
  trailers,
} from './client-in-memory.js'
import { code, data, number, preface, setting, windowUpdate } from './wire.js'

const { headers, reset, settings, ping, continuation } = frameType
const priority = 2
const pushPromise = 5
const endStream = 1
const settingId = { table: 1, push: 2, streams: 3, window: 4 }

const kinds = (frames: readonly { type: number; stream: number }[]) =>
  frames.map(({ type, stream }) => [type, stream])

const text = (size: number, letter = 'x') => letter.repeat(size)

test('the greeting and a first request leave in one write', async () => {
  const end = clientInMemory({ connectionWindowBytes: 2 ** 20, streamWindowBytes: 2 ** 18 })
  const pieces: Buffer[] = []
  const write = end.write.bind(end)
  end.write = (written) => {
    pieces.push(...written)
    write(written)
  }
  const { stream } = request(end)
  stream.writeLast(Buffer.from('hello'))
  const frames = await end.hears()
  expect(end.writes).toBe(1)
  expect(Buffer.concat(pieces).subarray(0, preface.length)).toEqual(preface)
  expect(kinds(frames)).toEqual([
    [settings, 0],
    [windowUpdate, 0],
    [headers, 1],
    [frameType.data, 1],
  ])
  // A window of 2^18, a list of 64 KiB, and no pushes.
  expect(frames[0]?.payload.toString('hex')).toBe('000400040000' + '000600010000' + '000200000000')
  expect(frames[1]?.payload.readUInt32BE(0)).toBe(2 ** 20 - 65_535)
  expect(frames[2]?.flags).toBe(4)
  expect(frames[3]?.flags).toBe(endStream)
  expect(frames[3]?.payload.toString()).toBe('hello')
})

test('requests that say the same take a byte a field', async () => {
  const end = await greetedClient()
  request(end)
  request(end)
  const frames = (await end.hears()).filter(({ type }) => type === headers)
  expect(frames.map((frame) => end.headers(frame))).toEqual(
    Array(2).fill(Object.fromEntries(requestFields)),
  )
  expect(frames[1]?.payload.length).toBe(requestFields.length)
})

test('a timeout, which changes, pushes nothing out of the table', async () => {
  const end = await greetedClient()
  for (let i = 0; i < 300; i++) request(end, [...requestFields, ['grpc-timeout', `${5000 - i}m`]])
  request(end)
  const last = (await end.hears()).at(-1)
  expect(last?.payload.length).toBe(requestFields.length)
})

describe('an answer', () => {
  const message = (end: ClientInMemory) => {
    const { stream, seen } = request(end)
    stream.writeLast(Buffer.from('?'))
    seen.length = 0
    return seen
  }

  test('is headers, data and trailers', async () => {
    const end = await greetedClient()
    const seen = message(end)
    await end.says(answerHead(1), data(1, 'ab'), data(1, 'c'), trailers(1, '5'))
    expect(seen).toEqual(['head 200', 'data ab', 'data c', 'trailers 5', 'end', 'close undefined'])
    expect(end.connection.streamCount).toBe(0)
  })

  test('may be trailers only', async () => {
    const end = await greetedClient()
    const seen = message(end)
    const fields = [[':status', '200'] as const, ['grpc-status', '9'] as const]
    await end.says(answerHead(1, { flags: 5, fields }))
    expect(seen).toEqual(['head 200', 'trailers 9', 'end', 'close undefined'])
  })

  test('may come after headers that only inform', async () => {
    const end = await greetedClient()
    const seen = message(end)
    const early = [[':status', '103'] as const, ['link', '</a>'] as const]
    const goOn = [[':status', '100'] as const]
    await end.says(
      answerHead(1, { fields: goOn }),
      answerHead(1, { fields: early }),
      answerHead(1),
      trailers(1),
    )
    expect(seen).toEqual(['head 200', 'trailers 0', 'end', 'close undefined'])
  })

  test('may end with data, without trailers', async () => {
    const end = await greetedClient()
    const seen = message(end)
    await end.says(answerHead(1), data(1, 'x', endStream))
    expect(seen).toEqual(['head 200', 'data x', 'end', 'close undefined'])
  })

  test('is the same byte by byte, padded, with priorities and in CONTINUATION frames', async () => {
    const end = await greetedClient()
    const seen = message(end)
    const block = answerHead(1).subarray(9)
    const padded = Buffer.concat([
      Buffer.from([3, 0, 0, 0, 0, 7]),
      block.subarray(0, 5),
      Buffer.alloc(3),
    ])
    const bytes = Buffer.concat([
      frameBytes(headers, { stream: 1, flags: 8 | 32, payload: padded }),
      frameBytes(continuation, { stream: 1, payload: block.subarray(5, 9) }),
      frameBytes(continuation, { stream: 1, flags: 4, payload: block.subarray(9) }),
      data(1, Buffer.from([2, 97, 98, 0, 0]), 8),
      frameBytes(77, { stream: 1, payload: Buffer.from('of an extension') }),
      frameBytes(priority, { stream: 1, payload: Buffer.alloc(5) }),
      trailers(1),
    ])
    for (const byte of bytes) end.connection.receive(Buffer.from([byte]))
    expect(seen).toEqual(['head 200', 'data ab', 'trailers 0', 'end', 'close undefined'])
  })

  test('that is whole is read after its stream is closed, and after the connection', async () => {
    const end = await greetedClient()
    const { stream, seen } = request(end)
    stream.writeLast(Buffer.from('?'))
    stream.pause()
    await end.says(answerHead(1), data(1, 'ab'), trailers(1))
    expect(seen).toEqual(['sent', 'head 200', 'trailers 0', 'close undefined'])
    end.connection.closed()
    stream.resume()
    expect(seen.slice(4)).toEqual(['data ab', 'end'])
  })

  test('that is not whole is not read after its stream was reset', async () => {
    const end = await greetedClient()
    const { stream, seen } = request(end)
    stream.pause()
    await end.says(answerHead(1), data(1, 'ab'), number(reset, 1, code.calm))
    stream.resume()
    expect(seen).toEqual(['head 200', `close ${code.calm}`])
  })

  test('that is whole before its request is leaves the request open', async () => {
    const end = await greetedClient()
    const { stream, seen } = request(end)
    await end.says(answerHead(1), trailers(1))
    expect(seen).toEqual(['head 200', 'trailers 0', 'end'])
    stream.end(undefined)
    expect(seen.slice(3)).toEqual(['sent', 'close undefined'])
  })
})

describe('what ends the connection', () => {
  const cases: Record<string, [Buffer[], number]> = {
    'a text of HTTP/1.1': [[Buffer.from('HTTP/1.1 400 Bad Request\r\n\r\n')], code.frameSize],
    'a frame larger than allowed': [[data(1, Buffer.alloc(16_385))], code.frameSize],
    'a stream that the server opens': [[answerHead(2)], code.protocol],
    'headers of a stream that nobody opened': [[answerHead(7)], code.protocol],
    'data of a stream that nobody opened': [[answerHead(1), data(3, 'x')], code.protocol],
    'a reset of a stream that nobody opened': [[number(reset, 3, 0)], code.protocol],
    'a window of a stream that nobody opened': [[number(windowUpdate, 3, 1)], code.protocol],
    'a push': [
      [frameBytes(pushPromise, { stream: 1, flags: 4, payload: Buffer.from([0, 0, 0, 2, 0x88]) })],
      code.protocol,
    ],
    'a server that would be pushed to': [[setting(settingId.push, 1)], code.protocol],
    'a window larger than windows may be': [
      [number(windowUpdate, 0, 2 ** 31 - 1)],
      code.flowControl,
    ],
    'a window of new streams larger than that': [
      [setting(settingId.window, 2 ** 31)],
      code.flowControl,
    ],
    'a window of the connection that grows by nothing': [
      [number(windowUpdate, 0, 0)],
      code.protocol,
    ],
    'PING of 7 bytes': [[frameBytes(ping, { payload: Buffer.alloc(7) })], code.frameSize],
    'PRIORITY of 4 bytes': [
      [frameBytes(priority, { stream: 1, payload: Buffer.alloc(4) })],
      code.frameSize,
    ],
    'RST_STREAM of 3 bytes': [
      [frameBytes(reset, { stream: 1, payload: Buffer.alloc(3) })],
      code.frameSize,
    ],
    'GOAWAY of 7 bytes': [
      [frameBytes(frameType.goaway, { payload: Buffer.alloc(7) })],
      code.frameSize,
    ],
    'GOAWAY on a stream': [
      [frameBytes(frameType.goaway, { stream: 1, payload: Buffer.alloc(8) })],
      code.protocol,
    ],
    'a header block that cannot be read': [
      [frameBytes(headers, { stream: 1, flags: 4, payload: Buffer.from([0xff, 0xff]) })],
      code.compression,
    ],
    'a header block that is never done': [
      [
        answerHead(1, { flags: 0 }),
        ...Array<Buffer>(200).fill(frameBytes(continuation, { stream: 1 })),
      ],
      code.calm,
    ],
    'another frame within a header block': [
      [answerHead(1, { flags: 0 }), data(1, 'x')],
      code.protocol,
    ],
  }

  test.each(Object.entries(cases))('%s', async (_name, [frames, expected]) => {
    const end = await greetedClient()
    const one = request(end)
    await end.hears()
    const answers = await end.says(...frames)
    expect(answers.at(-1)?.type).toBe(frameType.goaway)
    expect(answers.at(-1)?.payload.readUInt32BE(4)).toBe(expected)
    expect(end.faults).toHaveLength(1)
    expect(end.isDestroyed).toBe(true)
    expect(one.seen.at(-1)).toBe('close undefined')
    expect(end.connection.hasRoom).toBe(false)
  })

  test('a first frame that is not SETTINGS', async () => {
    const end = clientInMemory()
    const answers = await end.says(frameBytes(ping, { payload: Buffer.alloc(8) }))
    expect(answers.at(-1)?.payload.readUInt32BE(4)).toBe(code.protocol)
    expect(end.events).toEqual(['fault'])
  })

  const pings = Buffer.concat(
    Array<Buffer>(50_000).fill(frameBytes(ping, { payload: Buffer.alloc(8) })),
  )
  const turn = () => new Promise((resolve) => setImmediate(resolve))

  test('pings without end from a server that reads nothing', async () => {
    const end = await greetedClient()
    end.isStuck = true
    for (let i = 0; i < 5; i++) {
      expect(end.faults).toEqual([])
      end.connection.receive(pings)
      await turn()
    }
    expect(end.faults.map((fault) => fault.code)).toEqual([code.calm])
  })

  test('but not any number of them from one that reads', async () => {
    const end = await greetedClient()
    for (let i = 0; i < 10; i++) {
      end.connection.receive(pings)
      await turn()
    }
    expect(end.faults).toEqual([])
  })
})

describe('what ends a stream alone', () => {
  const status = (value: string) => answerHead(1, { fields: [[':status', value]] })
  const cases: Record<string, [Buffer[], number]> = {
    'data before headers': [[data(1, 'x')], code.protocol],
    'headers without :status': [[answerHead(1, { fields: [['a', 'b']] })], code.protocol],
    'a :status that is no number': [[status('2xx')], code.protocol],
    'a pseudo header of requests': [
      [answerHead(1, { fields: [[':status', '200'] as const, [':path', '/'] as const] })],
      code.protocol,
    ],
    'a field that is none': [
      [answerHead(1, { fields: [[':status', '200'] as const, ['A', 'b'] as const] })],
      code.protocol,
    ],
    'headers that only inform, at the end': [
      [answerHead(1, { flags: 5, fields: [[':status', '100']] })],
      code.protocol,
    ],
    'trailers that are not the end': [[answerHead(1), answerHead(1)], code.protocol],
    'pseudo headers in trailers': [[answerHead(1), answerHead(1, { flags: 5 })], code.protocol],
    'data behind the end': [[answerHead(1), data(1, '', 1), data(1, 'x')], code.streamClosed],
    'trailers behind the end': [[answerHead(1), trailers(1), trailers(1)], code.streamClosed],
    'a window that grows by nothing': [[number(windowUpdate, 1, 0)], code.protocol],
    'a window larger than windows may be': [
      [number(windowUpdate, 1, 2 ** 31 - 1)],
      code.flowControl,
    ],
    'more data than it has room for': [
      [answerHead(1), ...Array<Buffer>(3).fill(data(1, text(400)))],
      code.flowControl,
    ],
    'another length than it said': [
      [
        answerHead(1, { fields: [[':status', '200'] as const, ['content-length', '3'] as const] }),
        data(1, 'x', endStream),
      ],
      code.protocol,
    ],
    // 64 KiB as lists count: 32 bytes for each, and its name; a byte on the wire.
    'headers longer than we read': [
      [frameBytes(headers, { stream: 1, flags: 4, payload: Buffer.alloc(1600, 0x9f) })],
      code.calm,
    ],
  }

  test.each(Object.entries(cases))('%s', async (_name, [frames, expected]) => {
    const end = await greetedClient({ streamWindowBytes: 1000 })
    const { stream, seen } = request(end)
    const other = request(end)
    stream.pause()
    await end.hears()
    const answers = await end.says(...frames)
    expect(kinds(answers)).toEqual([[reset, 1]])
    expect(answers[0]?.payload.readUInt32BE(0)).toBe(expected)
    expect(seen.at(-1)).toBe(`close ${expected}`)
    await end.says(answerHead(3), trailers(3))
    expect(other.seen).toEqual(['head 200', 'trailers 0', 'end'])
  })
})

describe('a stream that we reset', () => {
  test('may still get all that was on its way, and nobody is told of it', async () => {
    const end = await greetedClient()
    const { stream, seen } = request(end)
    await end.says(answerHead(1))
    stream.reset(code.cancel)
    expect(kinds(await end.hears())).toEqual([[reset, 1]])
    const late = [data(1, 'x'), number(windowUpdate, 1, 5), number(reset, 1, 0), trailers(1)]
    expect(await end.says(...late)).toEqual([])
    expect(seen).toEqual(['head 200', `close ${code.cancel}`])
    expect(end.faults).toEqual([])
  })

  test('leaves a table that later headers are read with', async () => {
    const end = await greetedClient()
    const { stream } = request(end)
    stream.reset(code.cancel)
    // Into the table with it: 01 and the name's number, then a text; then by its number alone.
    const entry = Buffer.from([0x88, 0x5f, 16, ...Buffer.from('application/grpc')])
    await end.says(frameBytes(headers, { stream: 1, flags: 4, payload: entry }))
    const two = request(end)
    const block = Buffer.from([0x88, 0xbe])
    await end.says(frameBytes(headers, { stream: 3, flags: 4, payload: block }))
    expect(two.stream.headers).toEqual({ ':status': '200', 'content-type': 'application/grpc' })
  })

  test('gives its window back to the connection', async () => {
    const end = await greetedClient({ streamWindowBytes: 65_535 })
    for (let i = 0; i < 20; i++) {
      const { stream } = request(end)
      await end.says(answerHead(stream.id))
      stream.pause()
      await end.says(data(stream.id, text(10_000)))
      stream.reset(code.cancel)
      await end.says(data(stream.id, text(10_000)))
    }
    expect(end.faults).toEqual([])
  })
})

describe('windows', () => {
  const sizes = (frames: readonly { type: number; stream: number; payload: Buffer }[]) =>
    frames
      .filter(({ type }) => type === frameType.data)
      .map(({ stream, payload }) => [stream, payload.length])

  test('a large request waits for those of the server, and its end goes with its last data', async () => {
    const end = await greetedClient()
    const { stream, seen } = request(end)
    stream.writeLast(Buffer.alloc(100_000))
    expect(sizes(await end.hears()).reduce((sum, [, size]) => sum + Number(size), 0)).toBe(65_535)
    expect(sizes(await end.says(number(windowUpdate, 0, 1e6)))).toEqual([])
    const frames = await end.says(number(windowUpdate, 1, 34_465))
    expect(sizes(frames).map(([, size]) => size)).toEqual([16_384, 16_384, 1697])
    expect(frames.map(({ flags }) => flags)).toEqual([0, 0, endStream])
    expect(seen).toEqual(['sent'])
  })

  test('one that shrinks under way is made up for first', async () => {
    const end = await greetedClient()
    const { stream } = request(end)
    stream.write(Buffer.alloc(65_535))
    await end.says(setting(settingId.window, 1000), number(windowUpdate, 0, 2 ** 20))
    stream.write(Buffer.alloc(10))
    await end.hears()
    expect(sizes(await end.says(number(windowUpdate, 1, 64_535)))).toEqual([])
    expect(sizes(await end.says(number(windowUpdate, 1, 4)))).toEqual([[1, 4]])
  })

  test('one answer that nobody reads does not hold up another', async () => {
    const end = await greetedClient({ streamWindowBytes: 65_535, connectionWindowBytes: 65_535 })
    const stalled = request(end)
    const { seen } = request(end)
    await end.says(answerHead(1), answerHead(3))
    stalled.stream.pause()
    let room = 65_535
    for (let i = 0; i < 4; i++) {
      const frames = await end.says(data(1, text(16_383)))
      room += more(frames, 0) - 16_383
      expect(more(frames, 1)).toBe(0)
    }
    expect(room).toBeGreaterThan(30_000)
    await end.says(data(3, 'read'))
    expect(seen).toContain('data read')
  })

  test('one is told of half a window that was read', async () => {
    const end = await greetedClient({ streamWindowBytes: 1000, connectionWindowBytes: 65_535 })
    request(end)
    await end.says(answerHead(1))
    expect(more(await end.says(data(1, text(499))), 1)).toBe(0)
    expect(more(await end.says(data(1, 'x')), 1)).toBe(500)
    // Padding counts, too: 255 bytes of it, and one that says so.
    const padded = data(1, Buffer.concat([Buffer.from([255]), Buffer.alloc(255)]), 8)
    expect(more(await end.says(padded, padded), 1)).toBe(512)
  })

  function more(
    frames: readonly { type: number; stream: number; payload: Buffer }[],
    id: number,
  ): number {
    return frames
      .filter(({ type, stream }) => type === windowUpdate && stream === id)
      .reduce((sum, { payload }) => sum + payload.readUInt32BE(0), 0)
  }
})

describe('room for streams', () => {
  test('is what the server says, and who asks in vain is told when there is some', async () => {
    const end = await greetedClient()
    await end.says(setting(settingId.streams, 2))
    const [one] = [request(end), request(end)]
    expect(end.connection.hasRoom).toBe(false)
    expect(end.events).toEqual(['ready'])
    one.stream.writeLast(Buffer.from('x'))
    await end.says(answerHead(1), trailers(1))
    expect(end.events).toEqual(['ready', 'room'])
    expect(end.connection.hasRoom).toBe(true)
    request(end)
    expect(end.connection.hasRoom).toBe(false)
    await end.says(setting(settingId.streams, 0))
    expect(end.events).toEqual(['ready', 'room'])
    await end.says(setting(settingId.streams, 10))
    expect(end.events).toEqual(['ready', 'room', 'room'])
  })

  test('is none while a quarter of a megabyte waits for the socket', async () => {
    const end = await greetedClient()
    end.isStuck = true
    const fields = [...requestFields, ['x-long', text(10_000)] as const]
    for (let i = 0; i < 27; i++) request(end, fields)
    expect(end.connection.hasRoom).toBe(false)
    await end.hears()
    expect(end.connection.hasRoom).toBe(false)
    end.drain()
    expect(end.events).toEqual(['ready', 'room'])
    expect(end.connection.hasRoom).toBe(true)
  })
})

describe('parting', () => {
  test('GOAWAY: streams behind the last are given back as refused, others go on', async () => {
    const end = await greetedClient()
    const [one, two, three] = [request(end), request(end), request(end)]
    await end.says(goaway(3))
    expect([one, two, three].map(({ seen }) => seen)).toEqual([[], [], [`close ${code.refused}`]])
    expect(end.events).toEqual(['ready', 'draining'])
    expect(end.connection.hasRoom).toBe(false)
    await end.says(goaway(1))
    expect(two.seen).toEqual([`close ${code.refused}`])
    one.stream.writeLast(Buffer.from('x'))
    expect(end.isDestroyed).toBe(false)
    await end.says(answerHead(1), trailers(1))
    expect(one.seen).toEqual(['sent', 'head 200', 'trailers 0', 'end', 'close undefined'])
    expect(end.isDestroyed).toBe(true)
    expect(end.events).toEqual(['ready', 'draining'])
  })

  test('GOAWAY without a last stream, as a warning, ends none', async () => {
    const end = await greetedClient()
    const { seen } = request(end)
    await end.says(goaway(2 ** 31 - 1))
    expect(seen).toEqual([])
    expect(end.events).toEqual(['ready', 'draining'])
  })

  test('GOAWAY with nothing under way hangs up', async () => {
    const end = await greetedClient()
    await end.says(goaway(0))
    expect(end.isDestroyed).toBe(true)
  })

  test('GOAWAY with an error ends all, and says which were never looked at', async () => {
    const end = await greetedClient()
    const [one, two] = [request(end), request(end)]
    await end.says(goaway(1, code.calm, 'too_many_pings'))
    expect(end.events).toEqual(['ready', `goaway ${code.calm} too_many_pings`, 'draining'])
    expect(one.seen).toEqual(['close undefined'])
    expect(two.seen).toEqual([`close ${code.refused}`])
    expect(end.isDestroyed).toBe(true)
  })

  test('drain() waits for what is under way', async () => {
    const end = await greetedClient()
    const { stream } = request(end)
    end.connection.drain()
    expect([end.isDestroyed, end.connection.hasRoom]).toEqual([false, false])
    stream.reset(code.cancel)
    expect(end.isDestroyed).toBe(true)
    expect(kinds(await end.hears()).at(-1)).toEqual([reset, 1])
  })

  test('ids are odd, rise, and are used once: then it parts', async () => {
    const end = await greetedClient({ lastIdMax: 5 })
    const ids = [request(end), request(end), request(end)].map(({ stream }) => stream.id)
    expect(ids).toEqual([1, 3, 5])
    expect(end.events).toEqual(['ready', 'draining'])
    expect(end.connection.hasRoom).toBe(false)
  })
})

test('headers that are none take no id, and leave both tables alike', async () => {
  const end = await greetedClient()
  const bad = [['x-new', 'entry'] as const, ['x-bad', 'a\nb'] as const]
  expect(() => end.connection.open(bad)).toThrow(TypeError)
  expect(end.connection.streamCount).toBe(0)
  const fields = [...requestFields, ['x-new', 'entry'] as const]
  for (const id of [1, 3]) {
    request(end, fields)
    const [frame] = (await end.hears()).filter(({ type }) => type === headers)
    expect(frame?.stream).toBe(id)
    expect(frame && end.headers(frame)).toEqual(Object.fromEntries(fields))
  }
})

test('a table that the server makes smaller is emptied before the next request', async () => {
  const end = await greetedClient()
  request(end)
  const seen = (await end.hears()).filter(({ type }) => type === headers)
  for (const bytes of [0, 100, 4096]) {
    const frames = await end.says(setting(settingId.table, bytes))
    request(end)
    seen.push(...frames, ...(await end.hears()))
  }
  const blocks = seen.filter(({ type }) => type === headers)
  expect(blocks.map((frame) => end.headers(frame))).toEqual(
    Array(4).fill(Object.fromEntries(requestFields)),
  )
  // 20 is the table without room; then its new size, from which the first five bits are missing.
  expect(blocks.map(({ payload }) => payload.subarray(0, 2).toString('hex'))).toEqual([
    '8386',
    '2083',
    '203f',
    '203f',
  ])
})

test('pings are answered, and ours are asked', async () => {
  const end = await greetedClient()
  const payload = Buffer.from('12345678')
  const frames = await end.says(frameBytes(ping, { payload }))
  expect(frames).toEqual([{ type: ping, flags: 1, stream: 0, payload }])
  end.connection.ping()
  expect(kinds(await end.hears())).toEqual([[ping, 0]])
})
