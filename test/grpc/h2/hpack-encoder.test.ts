// hpack-encoder.test.ts: blocks of answers as bytes. That clients understand them is shown in
// hpack-interop.test.ts.
import { describe, expect, test } from 'vitest'
import { type HeaderField, HpackEncoder } from '../../../src/grpc/h2/hpack-encoder.js'

const headers: readonly HeaderField[] = [
  [':status', '200'],
  ['content-type', 'application/grpc'],
]
const trailers: readonly HeaderField[] = [['grpc-status', '0']]
const hex = (encoder: HpackEncoder, fields: readonly HeaderField[]): string =>
  encoder.encode(fields).toString('hex')

const text = (value: string): string =>
  Buffer.concat([Buffer.from([value.length]), Buffer.from(value, 'latin1')]).toString('hex')
const contentType = `5f${text('application/grpc')}` // name 31, into the table
const grpcStatus = `40${text('grpc-status')}${text('0')}`

describe('HpackEncoder', () => {
  test('says a field once, and its number from then on', () => {
    const encoder = new HpackEncoder()
    expect(hex(encoder, headers)).toBe(`88${contentType}`)
    expect(hex(encoder, headers)).toBe('88be')
    expect(hex(encoder, trailers)).toBe(grpcStatus)
    // One number further, as grpc-status went in after it.
    expect(hex(encoder, headers)).toBe('88bf')
    expect(hex(encoder, trailers)).toBe('be')
  })

  test('gives the same bytes for the same array, as long as they are right', () => {
    const encoder = new HpackEncoder()
    encoder.encode(headers)
    const once = encoder.encode(headers)
    expect(encoder.encode(headers)).toBe(once)
    expect(encoder.encode([...headers])).toEqual(once)
    encoder.encode(trailers)
    expect(hex(encoder, headers)).toBe('88bf')
    encoder.limitTable(0)
    expect(hex(encoder, headers)).toBe(`200f10${text('application/grpc')}`.replace('20', '2088'))
  })

  test('puts nothing into a table that the client has not', () => {
    const encoder = new HpackEncoder()
    encoder.limitTable(0)
    const literal = `0f10${text('application/grpc')}`
    expect(hex(encoder, headers)).toBe(`2088${literal}`)
    expect(hex(encoder, headers)).toBe(`88${literal}`)
  })

  test('begins anew when the client changes its table', () => {
    const encoder = new HpackEncoder()
    encoder.encode(headers)
    encoder.limitTable(1000)
    expect(hex(encoder, headers)).toBe(`203fc90788${contentType}`)
    expect(hex(encoder, headers)).toBe('88be')
    // Smaller and back again between two blocks: the client has emptied it all the same.
    encoder.limitTable(0)
    encoder.limitTable(1000)
    expect(hex(encoder, headers)).toBe(`203fc90788${contentType}`)
    encoder.limitTable(1000)
    expect(hex(encoder, headers)).toBe('88be')
  })

  test('is content with the usual table when the client has a larger one', () => {
    const encoder = new HpackEncoder()
    encoder.encode(headers)
    encoder.limitTable(65_536)
    expect(hex(encoder, headers)).toBe('88be')
  })

  test('never pushes anything out of a table', () => {
    const encoder = new HpackEncoder()
    const [status, type] = headers as [HeaderField, HeaderField]
    encoder.limitTable(60 + 43) // 60 for content-type, 44 for grpc-status
    expect(hex(encoder, [status, type])).toBe(`203f4888${contentType}`)
    expect(hex(encoder, trailers)).toBe(`00${text('grpc-status')}${text('0')}`)
    expect(hex(encoder, trailers)).toBe(`00${text('grpc-status')}${text('0')}`)
    expect(hex(encoder, headers)).toBe('88be')
  })

  test('keeps out of the table what is different every time', () => {
    const encoder = new HpackEncoder()
    for (const name of ['grpc-message', 'trace-bin']) {
      const literal = `00${text(name)}${text('x')}`
      expect(hex(encoder, [[name, 'x']])).toBe(literal)
      expect(hex(encoder, [[name, 'x']])).toBe(literal)
    }
    expect(hex(encoder, [['content-length', '12']])).toBe(`0f0d${text('12')}`)
    const long = encoder.encode([['a', 'x'.repeat(1000)]])
    expect(encoder.encode([['a', 'x'.repeat(1000)]])).toEqual(long)
  })

  test('takes the name of a status that is in no table from one that is', () => {
    const encoder = new HpackEncoder()
    expect(hex(encoder, [[':status', '415']])).toBe(`48${text('415')}`)
    expect(hex(encoder, [[':status', '415']])).toBe('be')
    expect(hex(encoder, [[':status', '404']])).toBe('8d')
  })

  test('writes the lengths of strings as numbers of any size', () => {
    for (const [size, number] of [
      [126, '7e'],
      [127, '7f00'],
      [254, '7f7f'],
      [255, '7f8001'],
      [100_000, '7fa18c06'],
    ] as const) {
      const value = 'x'.repeat(size)
      const block = new HpackEncoder().encode([['grpc-message', value]]).toString('hex')
      expect(block).toBe(`00${text('grpc-message')}${number}${'78'.repeat(size)}`)
    }
  })

  test.each([
    ['an upper case name', 'Grpc-Status', '0'],
    ['an empty name', '', '0'],
    ['a line break', 'a', 'b\r\nc: d'],
    ['more than a byte', 'a', '√'],
  ])('does not write %s', (_what, name, value) => {
    expect(() => new HpackEncoder().encode([[name, value]])).toThrow(TypeError)
  })
})
