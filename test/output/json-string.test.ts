// json-string.test.ts: strings as Go's JSON encoder writes them.
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { jsonBytes, jsonString } from '../../src/output/json-string.js'

test.each([
  ['', '""'],
  ["plain /text's", '"plain /text\'s"'],
  ['"\\', '"\\"\\\\"'],
  ['\n\r\t\b\f', '"\\n\\r\\t\\b\\f"'],
  ['\0\x01\x0b\x1f\x7f', '"\\u0000\\u0001\\u000b\\u001f\x7f"'],
  ['<a>&', '"\\u003ca\\u003e\\u0026"'],
  ['\u2027\u2028\u2029\u202a', '"\u2027\\u2028\\u2029\u202a"'],
  ['é日本😀\ufffd', '"é日本😀\ufffd"'],
  ['a\ud800b\udc00', '"a\\ufffdb\\ufffd"'],
])('%j is written as %s', (text, expected) => {
  expect(jsonString(text)).toBe(expected)
})

const codePoint = fc.integer({ min: 0, max: 0x10ffff }).filter((c) => c < 0xd800 || c > 0xdfff)
const text = fc.array(codePoint).map((codes) => String.fromCodePoint(...codes))

test('what is written parses back to the text', () => {
  fc.assert(
    fc.property(fc.string(), text, (one, two) => {
      expect(JSON.parse(jsonString(one))).toBe(one)
      expect(JSON.parse(jsonString(two))).toBe(two)
    }),
  )
})

test('bytes are base64 with padding', () => {
  expect(jsonBytes(Buffer.from('foo'))).toBe('"Zm9v"')
  expect(jsonBytes(Buffer.of(0xff, 0xfe, 0xfb, 0xff))).toBe('"//77/w=="')
  expect(jsonBytes(Buffer.alloc(0))).toBe('""')
})
