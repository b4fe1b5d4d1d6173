// The server's end of HTTP/2 against the rules of RFC 9113, frame by frame, without sockets. Which
// error ends what is the standard's; h2spec asks the same of a whole server.
import { describe, expect, test } from 'vitest'
import { frameBytes, frameType } from '../../support/raw-http2.js'
import { greeted, head, inMemory, withFields } from './in-memory.js'
import {
  code,
  data,
  emptySettings,
  number,
  preface,
  recorded,
  setting,
  windowUpdate,
} from './wire.js'

const { headers, reset, settings, ping, goaway, continuation } = frameType
const priority = 2
const pushPromise = 5
const endStream = 1
const ack = 1
const message = (text: string) =>
  Buffer.concat([Buffer.from([0, 0, 0, 0, text.length]), Buffer.from(text)])

test('a call is read and answered: headers, a message and trailers in one write', async () => {
  const end = await greeted()
  await end.says(head(1), data(1, 'request', endStream))
  const [stream] = end.streams
  expect(stream?.headers).toMatchObject({ ':path': '/t.S/Echo', ':method': 'POST' })
  const writes = end.writes
  stream?.reply(Buffer.from('answer'))
  const frames = await end.hears()
  expect(frames.map(({ type, flags }) => [type, flags])).toEqual([
    [headers, 4],
    [frameType.data, 0],
    [headers, 5],
  ])
  expect(frames[1]?.payload).toEqual(message('answer'))
  expect(frames.map((frame) => frame.type === headers && end.headers(frame))).toEqual([
    { ':status': '200', 'content-type': 'application/grpc' },
    false,
    { 'grpc-status': '0' },
  ])
  expect(end.writes).toBe(writes + 1)
  expect(stream?.isClosed).toBe(true)
})

test('bytes that come one by one are the same frames', async () => {
  const end = inMemory()
  const bytes = Buffer.concat([
    preface,
    emptySettings,
    head(1),
    data(1, 'ab'),
    data(1, '', endStream),
  ])
  let seen: ReturnType<typeof recorded> | undefined
  for (const byte of bytes) {
    end.connection.receive(Buffer.from([byte]))
    if (seen === undefined && end.streams[0] !== undefined) seen = recorded(end.streams[0])
  }
  expect(seen).toMatchObject({ text: 'ab', isEnded: true })
})

test('a block in CONTINUATION frames, padding and a priority make no difference', async () => {
  const end = await greeted()
  const block = head(1).subarray(9)
  const padded = Buffer.concat([
    Buffer.from([3, 0, 0, 0, 0, 7]),
    block.subarray(0, 5),
    Buffer.alloc(3),
  ])
  await end.says(
    frameBytes(headers, { stream: 1, flags: 8 | 32, payload: padded }),
    frameBytes(continuation, { stream: 1, payload: block.subarray(5, 9) }),
    frameBytes(continuation, { stream: 1, flags: 4, payload: block.subarray(9) }),
  )
  expect(end.streams[0]?.headers[':path']).toBe('/t.S/Echo')
})

test('an :authority that is a URL or a path is only a text', async () => {
  const end = await greeted()
  const fields = withFields()
  fields.splice(1, 0, [':authority', 'http://127.0.0.1:2379'])
  await end.says(head(1, { fields }))
  expect(end.streams[0]?.headers[':authority']).toBe('http://127.0.0.1:2379')
})

test('trailers end a request', async () => {
  const end = await greeted()
  await end.says(head(1))
  const seen = recorded(end.streams[0] as never)
  expect(await end.says(head(1, { flags: 5, fields: [['x-check', '1']] }))).toEqual([])
  expect(seen).toMatchObject({ isEnded: true, isClosed: false })
})

describe('what ends the connection', () => {
  const open = [head(1)]
  const cases: Record<string, [Buffer[], number]> = {
    'a first frame that is not SETTINGS': [
      [preface, frameBytes(ping, { payload: Buffer.alloc(8) })],
      code.protocol,
    ],
    'no preface': [[Buffer.from('PRI * HTTP/1.1\r\n\r\nSM\r\n\r\n')], code.protocol],
    'a frame larger than allowed': [[data(1, Buffer.alloc(16_385))], code.frameSize],
    'DATA on stream 0': [[data(0, 'x')], code.protocol],
    'DATA on an idle stream': [[data(1, 'x')], code.protocol],
    'HEADERS on stream 0': [[head(0)], code.protocol],
    'HEADERS on an even stream': [[head(2)], code.protocol],
    'HEADERS on a stream before the last': [[head(3), head(1)], code.streamClosed],
    'a broken header block': [
      [frameBytes(headers, { stream: 1, flags: 4, payload: Buffer.from([0xff, 0xff]) })],
      code.compression,
    ],
    'more padding than frame': [[...open, data(1, Buffer.from([5, 1]), 8)], code.protocol],
    'PRIORITY on stream 0': [[frameBytes(priority, { payload: Buffer.alloc(5) })], code.protocol],
    'RST_STREAM on an idle stream': [[number(reset, 1, 8)], code.protocol],
    'RST_STREAM on stream 0': [[number(reset, 0, 8)], code.protocol],
    'RST_STREAM of 3 bytes': [
      [...open, frameBytes(reset, { stream: 1, payload: Buffer.alloc(3) })],
      code.frameSize,
    ],
    'SETTINGS on a stream': [[frameBytes(settings, { stream: 1 })], code.protocol],
    'SETTINGS of 5 bytes': [[frameBytes(settings, { payload: Buffer.alloc(5) })], code.frameSize],
    'an acknowledgement with something in it': [
      [frameBytes(settings, { flags: ack, payload: Buffer.alloc(6) })],
      code.frameSize,
    ],
    'ENABLE_PUSH of 2': [[setting(2, 2)], code.protocol],
    'a window above 2^31 - 1': [[setting(4, 2 ** 31)], code.flowControl],
    'frames smaller than all must take': [[setting(5, 16_383)], code.protocol],
    PUSH_PROMISE: [
      [...open, frameBytes(pushPromise, { stream: 1, payload: Buffer.alloc(4) })],
      code.protocol,
    ],
    'PING on a stream': [
      [frameBytes(ping, { stream: 1, payload: Buffer.alloc(8) })],
      code.protocol,
    ],
    'PING of 7 bytes': [[frameBytes(ping, { payload: Buffer.alloc(7) })], code.frameSize],
    'GOAWAY on a stream': [
      [frameBytes(goaway, { stream: 1, payload: Buffer.alloc(8) })],
      code.protocol,
    ],
    'WINDOW_UPDATE by 0 for all': [[number(windowUpdate, 0, 0)], code.protocol],
    'WINDOW_UPDATE past 2^31 - 1': [[number(windowUpdate, 0, 2 ** 31 - 1)], code.flowControl],
    'WINDOW_UPDATE on an idle stream': [[number(windowUpdate, 1, 1)], code.protocol],
    'CONTINUATION behind nothing': [[frameBytes(continuation, { stream: 1 })], code.protocol],
    'another frame inside a header block': [
      [head(1, { flags: 0 }), frameBytes(ping, { payload: Buffer.alloc(8) })],
      code.protocol,
    ],
    'more than the window of the connection': [
      [...open, ...Array<Buffer>(5).fill(data(1, Buffer.alloc(16_384)))],
      code.flowControl,
    ],
  }
  test.each(Object.entries(cases))('%s', async (_name, [frames, error]) => {
    const end = inMemory()
    if (!/first frame|no preface/.test(_name)) await end.says(preface, emptySettings)
    // A reader that takes nothing, so that no window grows.
    const before = frames.slice(0, 1)
    const first = await end.says(...before)
    end.streams[0]?.pause()
    const answers = [...first, ...(await end.says(...frames.slice(1)))]
    const last = answers.find(({ type }) => type === goaway)
    expect(last?.payload.readUInt32BE(4)).toBe(error)
    expect(end).toMatchObject({ isEnded: true, isDestroyed: false })
    expect(end.faults).toHaveLength(1)
    for (const stream of end.streams) expect(stream.isClosed).toBe(true)
    // It is listened to no more, and cut off if it stays.
    expect(await end.says(head(99))).toEqual([])
    end.clock.advance(1000)
    expect(end.isDestroyed).toBe(true)
  })
})

describe('what ends a stream alone', () => {
  const malformed: Record<string, (readonly [string, string])[]> = {
    'an upper-case name': withFields(['X-Upper', '1']),
    'no :method': withFields().slice(1),
    'no :path': withFields().filter(([name]) => name !== ':path'),
    'an empty :path': withFields().map(([n, v]) => [n, n === ':path' ? '' : v] as const),
    'a pseudo header behind others': withFields([':authority', 'x']),
    'an unknown pseudo header': [[':odd', '1'], ...withFields()],
    'a pseudo header of answers': [[':status', '200'], ...withFields()],
    'a pseudo header twice': [[':path', '/'], ...withFields()],
    connection: withFields(['connection', 'close']),
    'te other than trailers': withFields(['te', 'gzip']),
    'a line break in a value': withFields(['x', 'a\r\nb']),
  }
  const cases: Record<string, [Buffer[], number]> = {
    'DATA behind the end': [[head(1, { flags: 5 }), data(1, 'x')], code.streamClosed],
    'HEADERS behind the end': [[head(1, { flags: 5 }), head(1, { flags: 5 })], code.streamClosed],
    'trailers that are no end': [[head(1), head(1, { fields: [['x', '1']] })], code.protocol],
    'trailers with pseudo headers': [[head(1), head(1, { flags: 5 })], code.protocol],
    'WINDOW_UPDATE by 0': [[head(1), number(windowUpdate, 1, 0)], code.protocol],
    'WINDOW_UPDATE past 2^31 - 1': [
      [head(1), number(windowUpdate, 1, 2 ** 31 - 1)],
      code.flowControl,
    ],
    'PRIORITY of 4 bytes': [[head(1), number(priority, 1, 0)], code.frameSize],
    'less than content-length': [
      [head(1, { fields: withFields(['content-length', '2']) }), data(1, 'x', endStream)],
      code.protocol,
    ],
    'more than content-length': [
      [head(1, { fields: withFields(['content-length', '1']) }), data(1, 'xx')],
      code.protocol,
    ],
    'nothing of a content-length': [
      [head(1, { flags: 5, fields: withFields(['content-length', '1']) })],
      code.protocol,
    ],
    'more headers than allowed': [
      [head(1, { fields: withFields(...Array<[string, string]>(2000).fill(['x', 'y'])) })],
      code.calm,
    ],
  }
  for (const [name, fields] of Object.entries(malformed))
    cases[name] = [[head(1, { fields })], code.protocol]
  test.each(Object.entries(cases))('%s', async (_name, [frames, error]) => {
    const end = await greeted()
    const answers = await end.says(...frames, head(3))
    const [only, ...more] = answers.filter(({ type }) => type === reset)
    expect([only?.stream, only?.payload.readUInt32BE(0), more]).toEqual([1, error, []])
    expect(end.streams.at(-1)).toMatchObject({ id: 3, isClosed: false })
    expect(end).toMatchObject({ isEnded: false, faults: [] })
  })

  test('calls above the limit are refused, and their headers read all the same', async () => {
    const end = await greeted({ streamsMax: 1 })
    // The second puts a field into the table, which the third names.
    const indexed = Buffer.concat([head(3).subarray(9), Buffer.from([0x40, 1, 0x78, 1, 0x79])])
    const third = Buffer.concat([head(5).subarray(9), Buffer.from([0x80 | 62])])
    const refused = await end.says(
      head(1),
      frameBytes(headers, { stream: 3, flags: 4, payload: indexed }),
    )
    expect(
      refused.map(({ type, stream, payload }) => [type, stream, payload.readUInt32BE(0)]),
    ).toEqual([[reset, 3, code.refused]])
    await end.says(
      number(reset, 1, 8),
      frameBytes(headers, { stream: 5, flags: 4, payload: third }),
    )
    expect(end.streams.at(-1)?.headers).toMatchObject({ x: 'y' })
  })
})

test('what is unknown, or is about what servers do not do, is passed over', async () => {
  const end = await greeted()
  const answers = await end.says(
    frameBytes(200, { payload: Buffer.alloc(10) }),
    frameBytes(200, { stream: 7, payload: Buffer.alloc(10) }),
    setting(77, 5),
    frameBytes(priority, { stream: 9, payload: Buffer.alloc(5) }),
    frameBytes(goaway, { payload: Buffer.alloc(8) }),
    head(1),
  )
  expect(answers.map(({ type, flags }) => [type, flags])).toEqual([[settings, ack]])
  expect(end.streams).toHaveLength(1)
})

test('a client that goes on after our answer is told that it need not', async () => {
  const end = await greeted()
  await end.says(head(1))
  end.streams[0]?.end([['grpc-status', '5']])
  const [only] = await end.hears()
  expect(only?.flags).toBe(5)
  const answers = await end.says(data(1, 'more'))
  expect(answers.map(({ type, payload }) => [type, payload.readUInt32BE(0)])).toEqual([
    [reset, code.none],
  ])
  expect(end.streams[0]?.isClosed).toBe(true)
})

test('a table that one SETTINGS makes small and large again is emptied, and the client told', async () => {
  const end = await greeted()
  await end.says(head(1), head(3))
  end.streams[0]?.reply(Buffer.from('x'))
  await end.hears()
  const sizes = Buffer.concat([setting(1, 0).subarray(9), setting(1, 4096).subarray(9)])
  await end.says(frameBytes(settings, { payload: sizes }))
  end.streams[1]?.reply(Buffer.from('x'))
  const [block] = await end.hears()
  // RFC 7541 §4.2: the smallest size first, then the last; 0x1fe1 with a prefix of five bits.
  expect(block?.payload.subarray(0, 4).toString('hex')).toBe('203fe11f')
})

test('trailers of a call that we have reset meanwhile are read, and end nothing', async () => {
  const end = await greeted()
  await end.says(head(1), head(3))
  end.streams[0]?.reply(Buffer.from('x'))
  await end.hears()
  const trailers = head(1, { flags: 5, fields: [['x-check', '1']] })
  const answers = await end.says(data(1, 'more'), trailers)
  expect(answers.map(({ type, stream }) => [type, stream])).toEqual([[reset, 1]])
  const [again] = await end.says(head(1, { fields: [['x-check', '1']] }))
  expect([again?.type, again?.payload.readUInt32BE(0)]).toEqual([reset, code.protocol])
  expect(end.streams[1]?.isClosed).toBe(false)
})

test('so for the latest only, of which little is kept', async () => {
  const end = await greeted()
  for (let id = 1; id < 300; id += 2) await end.says(head(id), number(windowUpdate, id, 0))
  const trailers = (id: number) => head(id, { flags: 5, fields: [['x-check', '1']] })
  expect(await end.says(trailers(299), trailers(101))).toEqual([])
  const [last] = await end.says(trailers(99))
  expect([last?.type, last?.payload.readUInt32BE(4)]).toEqual([goaway, code.streamClosed])
})

describe('floods', () => {
  const floods: Record<string, Buffer[]> = {
    'empty DATA': [head(1), ...Array<Buffer>(1001).fill(data(1, ''))],
    SETTINGS: Array<Buffer>(1001).fill(emptySettings),
    'CONTINUATION without an end': [
      head(1, { flags: 0 }),
      ...Array<Buffer>(200).fill(frameBytes(continuation, { stream: 1 })),
    ],
    'a header block without an end': [
      head(1, { flags: 0 }),
      ...Array<Buffer>(5).fill(
        frameBytes(continuation, { stream: 1, payload: Buffer.alloc(16_000) }),
      ),
    ],
  }
  test.each(Object.entries(floods))('%s end the connection', async (_name, frames) => {
    const end = await greeted()
    const answers = await end.says(...frames)
    expect(answers.at(-1)?.type).toBe(goaway)
    expect(answers.at(-1)?.payload.readUInt32BE(4)).toBe(code.calm)
  })

  test('calls taken back by the thousand: no more of them, and those under way go on', async () => {
    const end = await greeted()
    await end.says(head(1, { flags: 5 }))
    const pairs = Array.from({ length: 1001 }, (_, i) => [
      head(3 + 2 * i),
      number(reset, 3 + 2 * i, 8),
    ])
    const answers = await end.says(...pairs.flat())
    expect(answers.at(-1)?.payload.readUInt32BE(4)).toBe(code.calm)
    const [refused] = await end.says(head(9999))
    expect([refused?.type, refused?.payload.readUInt32BE(0)]).toEqual([reset, code.refused])
    end.streams[0]?.reply(Buffer.from('x'))
    expect(await end.hears()).toHaveLength(3)
    expect(end.isEnded).toBe(true)
  })

  test.each([
    ['a window that grows by nothing', (id: number) => number(windowUpdate, id, 0)],
    ['a window that grows too large', (id: number) => number(windowUpdate, id, 2 ** 31 - 1)],
    ['data after the end', (id: number) => data(id, 'x')],
    ['headers after the end', (id: number) => head(id, { flags: 5, fields: [['x-a', '1']] })],
    ['a priority that is too short', (id: number) => frameBytes(priority, { stream: id })],
  ])('calls that we have to reset, for %s, count like those taken back', async (_, fault) => {
    const end = await greeted()
    await end.says(head(1, { flags: 5 }))
    const pairs = Array.from({ length: 1001 }, (_, i) => [
      head(3 + 2 * i, { flags: 5 }),
      fault(3 + 2 * i),
    ])
    const answers = await end.says(...pairs.flat())
    expect(answers.at(-1)?.type).toBe(goaway)
    expect(answers.at(-1)?.payload.readUInt32BE(4)).toBe(code.calm)
    expect(end.streams[0]?.isClosed).toBe(false)
  })

  test('taken back as slowly as people do, they may be any number', async () => {
    const end = await greeted()
    for (let i = 0; i < 3000; i++) {
      await end.connection.receive(Buffer.concat([head(1 + 2 * i), number(reset, 1 + 2 * i, 8)]))
      end.clock.advance(31)
    }
    expect((await end.hears()).filter(({ type }) => type === goaway)).toEqual([])
  })

  test('who does not read is not read either', async () => {
    const end = await greeted()
    end.isStuck = true
    const pings = Array<Buffer>(1000).fill(frameBytes(ping, { payload: Buffer.alloc(8) }))
    for (let i = 0; i < 80 && !end.isPaused; i++) await end.says(...pings)
    expect(end.isPaused).toBe(true)
    expect(end.pendingBytes).toBeLessThan(1.1 * 2 ** 20)
    end.drain()
    expect(end.isPaused).toBe(false)
  })
})

describe('going away', () => {
  test('without calls at once', async () => {
    const end = await greeted()
    end.connection.drain()
    const [last] = await end.hears()
    expect([last?.type, last?.payload.readUInt32BE(4)]).toEqual([goaway, code.none])
    expect(end.isEnded).toBe(true)
  })

  test('in two steps: calls on their way are served, later ones refused', async () => {
    const end = await greeted()
    await end.says(head(1, { flags: 5 }))
    end.connection.drain()
    const [warning, probe] = await end.hears()
    expect(warning?.payload.readUInt32BE(0)).toBe(2 ** 31 - 1)
    await end.says(head(3, { flags: 5 }))
    expect(end.streams).toHaveLength(2)
    const answers = await end.says(
      frameBytes(ping, { flags: ack, payload: probe?.payload as Buffer }),
      head(5),
    )
    expect(
      answers.map(({ type, stream, payload }) => [type, stream, payload.readUInt32BE(0)]),
    ).toEqual([
      [goaway, 0, 3],
      [reset, 5, code.refused],
    ])
    for (const stream of end.streams) {
      expect(end.isEnded).toBe(false)
      stream.reply(Buffer.from('x'))
    }
    expect(end.isEnded).toBe(true)
  })

  test('a client that does not answer the ping is not waited for', async () => {
    const end = await greeted()
    await end.says(head(1))
    end.connection.drain()
    await end.hears()
    end.clock.advance(5000)
    const [last] = await end.hears()
    expect([last?.type, last?.payload.readUInt32BE(0)]).toEqual([goaway, 1])
    end.connection.closed()
    expect(end.streams[0]?.isClosed).toBe(true)
    expect(end.clock.pendingCount).toBe(0)
  })

  test('a slow client gets the last answer whole, and is cut off a second later', async () => {
    const end = await greeted()
    await end.says(head(1, { flags: 5 }))
    end.connection.drain()
    await end.hears()
    end.isStuck = true
    end.streams[0]?.reply(Buffer.alloc(10_000))
    await end.hears()
    expect(end.isEnded).toBe(true)
    end.clock.advance(10_000)
    expect(end.isDestroyed).toBe(false)
    end.drain()
    end.clock.advance(1000)
    expect(end.isDestroyed).toBe(true)
  })

  test('one that never reads it is not waited for for ever', async () => {
    const end = await greeted()
    await end.says(head(1, { flags: 5 }))
    end.connection.drain()
    end.isStuck = true
    end.streams[0]?.reply(Buffer.alloc(10_000))
    await end.hears()
    end.clock.advance(60_000)
    expect(end.isDestroyed).toBe(true)
    expect(end.clock.pendingCount).toBe(0)
  })

  test('one that broke the rules is not waited for, whatever waits for it', async () => {
    const end = await greeted()
    end.isStuck = true
    const pings = Array<Buffer>(1000).fill(frameBytes(ping, { payload: Buffer.alloc(8) }))
    for (let i = 0; i < 60; i++) end.connection.receive(Buffer.concat(pings))
    end.connection.receive(Buffer.concat([...pings, ...pings, data(0, 'x')]))
    expect(end.isEnded).toBe(true)
    expect(end.isPaused).toBe(false)
    end.clock.advance(1000)
    expect(end.isDestroyed).toBe(true)
  })
})
