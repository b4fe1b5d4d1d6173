// The bytes of a WebSocket: what RFC 6455 shows, every cut of a stream, and each rule broken once.
import { describe, expect, test } from 'vitest'
import {
  encodeClose,
  encodeFrame,
  FrameReader,
  Opcode,
  WebSocketError,
  type WebSocketEvent,
} from '../../../src/server/http/websocket-frame.js'
import { clientFrame } from './websocket-client.js'

const messageBytesMax = 70_000

const read = (...pieces: Buffer[]): WebSocketEvent[] => {
  const reader = new FrameReader(messageBytesMax)
  return pieces.flatMap((piece) => [...reader.push(piece)])
}

const message = (text: string): WebSocketEvent => ({ kind: 'message', data: Buffer.from(text) })

/** A word for each: comparing bytes one by one takes the test library long. */
const words = (some: readonly WebSocketEvent[]): string =>
  some
    .map(
      (event) =>
        `${event.kind} ${'data' in event ? event.data : 'code' in event ? event.code : ''}`,
    )
    .join('\n')

describe('the examples of RFC 6455, section 5.7', () => {
  test('a masked text', () => {
    const bytes = Buffer.from('818537fa213d7f9f4d5158', 'hex')
    expect(read(bytes)).toEqual([message('Hello')])
  })

  test('frames of a server', () => {
    expect(encodeFrame(Opcode.text, Buffer.from('Hello')).toString('hex')).toBe('810548656c6c6f')
    const head = (length: number) =>
      encodeFrame(Opcode.binary, Buffer.alloc(length)).subarray(0, 10).toString('hex')
    expect(head(256)).toMatch(/^827e0100/)
    expect(head(65_536)).toBe('827f0000000000010000')
  })
})

const stream = Buffer.concat([
  clientFrame(1, Buffer.from('one')),
  clientFrame(2, Buffer.alloc(126, 'b')),
  clientFrame(1, Buffer.from('tw'), false),
  clientFrame(9, Buffer.from('between')),
  clientFrame(0, Buffer.from(''), false),
  clientFrame(0, Buffer.from('o')),
  clientFrame(1, Buffer.from('')),
  clientFrame(10, Buffer.from('late')),
  clientFrame(2, Buffer.alloc(66_000, 'c')),
  clientFrame(8, Buffer.from('\u0003\u00e8bye', 'latin1')),
])
const events: readonly WebSocketEvent[] = [
  message('one'),
  message('b'.repeat(126)),
  { kind: 'ping', data: Buffer.from('between') },
  message('two'),
  message(''),
  { kind: 'pong' },
  message('c'.repeat(66_000)),
  { kind: 'close', code: 1000 },
]

describe('a stream of frames', () => {
  test('is the same however it is cut in two', () => {
    expect(words(read(stream))).toBe(words(events))
    const tail = stream.length - 40
    for (let at = 1; at < stream.length; at = at === 400 ? tail : at + 1) {
      expect(words(read(stream.subarray(0, at), stream.subarray(at)))).toBe(words(events))
    }
  })

  test('is the same byte by byte', () => {
    const bytes = Array.from(stream, (byte) => Buffer.from([byte]))
    expect(words(read(...bytes))).toBe(words(events))
  })

  test('says nothing before a frame is whole', () => {
    expect(read(clientFrame(1, Buffer.from('one')).subarray(0, -1))).toEqual([])
  })
})

const fragment = (opcode: number, size: number) =>
  clientFrame(opcode, Buffer.alloc(size, 'x'), false)
const tooLong = Buffer.from('81ff0000000100000000', 'hex')

test.each([
  ['without a mask', Buffer.from('810548656c6c6f', 'hex'), 1002],
  ['with a reserved bit', Buffer.from('c18000000000', 'hex'), 1002],
  ['with an unknown opcode', Buffer.from('838000000000', 'hex'), 1002],
  ['with an unknown control opcode', Buffer.from('8b8000000000', 'hex'), 1002],
  ['that continues nothing', clientFrame(0, Buffer.from('x')), 1002],
  ['inside a message', Buffer.concat([fragment(1, 1), clientFrame(1, Buffer.from('x'))]), 1002],
  ['of control in two parts', clientFrame(9, Buffer.from('x'), false), 1002],
  ['of control that is long', clientFrame(9, Buffer.alloc(126)), 1002],
  ['of closing with half a code', clientFrame(8, Buffer.from([3])), 1002],
  ['of closing with a code that is not sent', clientFrame(8, Buffer.from([3, 0xed])), 1002],
  ['of closing with a code of nobody', clientFrame(8, Buffer.from([0, 5])), 1002],
  ['of closing with a reason in latin1', clientFrame(8, Buffer.from([3, 0xe8, 0xff])), 1007],
  ['of text in latin1', clientFrame(1, Buffer.from([0xe9])), 1007],
  ['of too many bytes', clientFrame(2, Buffer.alloc(messageBytesMax + 1)), 1009],
  ['that announces too many, at once', tooLong, 1009],
  [
    'that is one too many of a message',
    Buffer.concat([fragment(2, 40_000), fragment(0, 30_001)]),
    1009,
  ],
])('a frame %s ends the connection', (_what, bytes, code) => {
  let thrown: unknown
  try {
    read(bytes)
  } catch (error) {
    thrown = error
  }
  expect(thrown).toBeInstanceOf(WebSocketError)
  expect(thrown).toMatchObject({ code })
})

test('a character may be cut by fragments', () => {
  const [first = 0, second = 0] = Buffer.from('é')
  const bytes = [clientFrame(1, Buffer.from([first]), false), clientFrame(0, Buffer.from([second]))]
  expect(read(...bytes)).toEqual([message('é')])
})

test('a closing frame of ours has its code and reason, or neither', () => {
  expect(encodeClose(1001, 'ab').toString('hex')).toBe('880403e96162')
  expect(encodeClose(1005).toString('hex')).toBe('8800')
  expect(encodeClose(1002, 'x'.repeat(200))).toHaveLength(127)
})
