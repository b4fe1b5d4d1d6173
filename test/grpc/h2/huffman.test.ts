// huffman.test.ts: the Huffman code of HPACK, by codes as RFC 7541 prints them, and ends that are
// no padding. For all bytes see hpack-interop.test.ts.
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { HpackError } from '../../../src/grpc/h2/hpack-error.js'
import { huffmanDecoded } from '../../../src/grpc/h2/huffman.js'

const decoded = (bytes: Buffer): string => huffmanDecoded(bytes, 0, bytes.length)

/** Some codes of RFC 7541 appendix B, by byte; of each length one at least. */
const codes: Readonly<Record<number, string>> = {
  48: '00000',
  97: '00011',
  116: '01001',
  32: '010100',
  37: '010101',
  117: '101101',
  58: '1011100',
  122: '1111011',
  38: '11111000',
  88: '11111100',
  90: '11111101',
  33: '1111111000',
  63: '1111111100',
  39: '11111111010',
  124: '11111111100',
  35: '111111111010',
  62: '111111111011',
  0: '1111111111000',
  126: '1111111111101',
  94: '11111111111100',
  125: '11111111111101',
  60: '111111111111100',
  123: '111111111111110',
  92: '1111111111111110000',
  195: '1111111111111110001',
  208: '1111111111111110010',
  128: '11111111111111100110',
  226: '11111111111111101101',
  153: '111111111111111011100',
  236: '111111111111111111110100',
  129: '1111111111111111010010',
  233: '1111111111111111101011',
  1: '11111111111111111011000',
  239: '11111111111111111110100',
  9: '111111111111111111101010',
  237: '111111111111111111110101',
  199: '1111111111111111111101100',
  235: '1111111111111111111101111',
  192: '11111111111111111111100000',
  255: '11111111111111111111101110',
  203: '111111111111111111111011110',
  254: '111111111111111111111110000',
  2: '1111111111111111111111100010',
  249: '1111111111111111111111111110',
  10: '111111111111111111111111111100',
  13: '111111111111111111111111111101',
  22: '111111111111111111111111111110',
}
const endOfString = '1'.repeat(30)

const packed = (bits: string): Buffer => {
  const whole = bits.padEnd(Math.ceil(bits.length / 8) * 8, '1')
  return Buffer.from((whole.match(/.{8}/g) ?? []).map((byte) => Number.parseInt(byte, 2)))
}

describe('a Huffman coded string', () => {
  test('is read by the codes of the RFC, alone and in any order', () => {
    for (const [byte, code] of Object.entries(codes)) {
      expect(decoded(packed(code))).toBe(String.fromCharCode(Number(byte)))
    }
    const known = fc.constantFrom(...Object.keys(codes).map(Number))
    fc.assert(
      fc.property(fc.array(known, { maxLength: 400 }), (bytes) => {
        const bits = bytes.map((byte) => codes[byte]).join('')
        expect(decoded(packed(bits))).toBe(String.fromCharCode(...bytes))
      }),
    )
  })

  test('may be empty', () => {
    expect(decoded(Buffer.alloc(0))).toBe('')
  })

  test('may be long', () => {
    const bits = (codes[0x30] ?? '').repeat(100_000)
    expect(decoded(packed(bits))).toBe('0'.repeat(100_000))
  })

  test('ends with less than a byte of ones', () => {
    const letter = codes[0x61] ?? '' // five bits
    for (let padding = 0; padding < 40; padding++) {
      const bits = letter + '1'.repeat(padding)
      if (bits.length % 8 !== 0) continue
      const read = () => decoded(packed(bits))
      if (padding < 8) expect(read()).toBe('a')
      else expect(read).toThrow(HpackError)
    }
    expect(() => decoded(Buffer.from([0xff]))).toThrow(HpackError)
  })

  test('may not end with zeros, or within a code', () => {
    const letter = codes[0x61] ?? ''
    for (const rest of ['000', '110', '101', '011']) {
      expect(() => decoded(packed(letter + rest)), rest).toThrow(HpackError)
    }
    const code = codes[0x0a] ?? ''
    for (let cut = 8; cut < code.length; cut += 8) {
      expect(() => decoded(packed(code.slice(0, cut)))).toThrow(HpackError)
    }
  })

  test('may not hold the code for its end', () => {
    const letter = codes[0x61] ?? ''
    for (const bits of [endOfString, letter + endOfString, endOfString + letter]) {
      expect(() => decoded(packed(bits)), bits).toThrow(HpackError)
    }
  })

  test('is read from its place among other bytes', () => {
    const bytes = Buffer.concat([Buffer.from([0xff]), packed(codes[0x26] ?? ''), Buffer.from([0])])
    expect(huffmanDecoded(bytes, 1, 2)).toBe('&')
  })
})
