// crc32c.test.ts: known answers (RFC 3720 B.4 and the usual check value), and the properties that
// the log relies on: chaining, and independence of length, alignment and slicing.
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { crc32c } from '../../src/storage/crc32c.js'

const known: [name: string, data: Uint8Array, crc: number][] = [
  ['nothing', Buffer.alloc(0), 0],
  ['the check value', Buffer.from('123456789'), 0xe3069283],
  ['32 zero bytes', Buffer.alloc(32), 0x8a9136aa],
  ['32 bytes of ones', Buffer.alloc(32, 0xff), 0x62a8ab43],
  ['32 rising bytes', Buffer.from(Array.from({ length: 32 }, (_, at) => at)), 0x46dd794e],
  ['32 falling bytes', Buffer.from(Array.from({ length: 32 }, (_, at) => 31 - at)), 0x113fdb5c],
]

for (const [name, data, crc] of known) {
  test(`the checksum of ${name} is ${crc.toString(16)}`, () => {
    expect(crc32c(data)).toBe(crc)
  })
}

test('every length and every offset agrees with the bit by bit definition', () => {
  const data = Buffer.from(Array.from({ length: 600 }, (_, at) => (at * 167 + 13) & 0xff))
  for (let from = 0; from < 20; from += 3) {
    for (let to = from; to <= data.length; to++) {
      expect(crc32c(data.subarray(from, to))).toBe(bitByBit(data.subarray(from, to)))
    }
  }
})

test('long data agrees too, around each length at which something begins anew', () => {
  const data = Buffer.from(Array.from({ length: 200_000 }, (_, at) => (at * at * 31 + at) & 0xff))
  for (const length of [511, 512, 513, 65_535, 65_536, 65_537, 131_072, 131_088, 199_999]) {
    for (const from of [0, 1]) {
      const part = data.subarray(from, from + length)
      expect(crc32c(part, 0x12345678)).toBe(bitByBit(part, 0x12345678))
    }
  }
})

test('a checksum continued from the one before is the checksum of the whole', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 2000 }), fc.nat(2000), (data, cut) => {
      expect(crc32c(data.subarray(cut), crc32c(data.subarray(0, cut)))).toBe(crc32c(data))
    }),
  )
})

function bitByBit(data: Uint8Array, chained = 0): number {
  let crc = ~chained
  for (const byte of data) {
    crc ^= byte
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0x82f63b78 : crc >>> 1
  }
  return ~crc >>> 0
}
