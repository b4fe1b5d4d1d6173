// quote.test.ts: bytes as Go's %q writes them.
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { isPrintable, quoted, quotedList } from '../../src/output/quote.js'

/** Bytes in hexadecimal, or text. */
const cases: readonly (readonly [input: string | Buffer, expected: string])[] = [
  ['', '""'],
  ['plain text', '"plain text"'],
  ["it's", `"it's"`],
  ['say "hi" \\', '"say \\"hi\\" \\\\"'],
  ['\x07\b\f\n\r\t\v', '"\\a\\b\\f\\n\\r\\t\\v"'],
  ['\0\x01\x1b\x1f\x7f', '"\\x00\\x01\\x1b\\x1f\\x7f"'],
  ['é日本語😀', '"é日本語😀"'],
  ['e\u0301', '"e\u0301"'],
  ['\u0080\u009f', '"\\u0080\\u009f"'],
  ['\u00a0\u00ad', '"\\u00a0\\u00ad"'],
  ['\u200b\u2028\u3000\ufeff', '"\\u200b\\u2028\\u3000\\ufeff"'],
  ['\ue000\u{f0000}', '"\\ue000\\U000f0000"'],
  ['\u0378\u{e0001}', '"\\u0378\\U000e0001"'],
  ['\ufffd', '"\ufffd"'],
  // Assigned by Unicode 15.0, and only by 15.1, 16.0 and 17.0.
  ['\u{1fae8}\u{31350}', '"\u{1fae8}\u{31350}"'],
  ['\u2ffc\u{1fae9}\u{323b0}', '"\\u2ffc\\U0001fae9\\U000323b0"'],
  [Buffer.from('ff', 'hex'), '"\\xff"'],
  [Buffer.from('61c3', 'hex'), '"a\\xc3"'],
  [Buffer.from('c328', 'hex'), '"\\xc3("'],
  // Overlong forms, an encoded surrogate, above the last code point, a cut sequence.
  [Buffer.from('c080', 'hex'), '"\\xc0\\x80"'],
  [Buffer.from('e08080', 'hex'), '"\\xe0\\x80\\x80"'],
  [Buffer.from('eda080', 'hex'), '"\\xed\\xa0\\x80"'],
  [Buffer.from('f4908080', 'hex'), '"\\xf4\\x90\\x80\\x80"'],
  [Buffer.from('f09f98', 'hex'), '"\\xf0\\x9f\\x98"'],
  [Buffer.from('f09f9880', 'hex'), '"😀"'],
]

test.each(cases)('%j is quoted as %s', (input, expected) => {
  expect(quoted(input)).toBe(expected)
})

test('a list has its texts between brackets', () => {
  expect(quotedList([])).toBe('[]')
  expect(quotedList(['a', 'b c'])).toBe('["a" "b c"]')
})

test('validity is that of a strict UTF-8 decoder, byte by byte', () => {
  const strict = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })
  const isValid = (bytes: Uint8Array): boolean => {
    try {
      strict.decode(bytes)
      return true
    } catch {
      return false
    }
  }
  const bytes = fc.oneof(
    fc.uint8Array({ maxLength: 6 }),
    fc
      .array(fc.integer({ min: 0, max: 0x10ffff }), { maxLength: 4 })
      .map((codes) => Buffer.from(String.fromCodePoint(...codes))),
  )
  fc.assert(
    fc.property(bytes, (input) => {
      const withoutEscapedBackslash = quoted(input).replaceAll('\\\\', '')
      const hasByteEscape = /\\x[89a-f]/.test(withoutEscapedBackslash)
      expect(hasByteEscape).toBe(!isValid(input))
    }),
    { numRuns: 1000 },
  )
})

test('quoted text is printable itself, and only printable text stays as it is', () => {
  const bytes = fc.uint8Array({ maxLength: 12 }).map((input) => Buffer.from(input))
  fc.assert(
    fc.property(bytes, (input) => {
      const text = quoted(input)
      expect(isPrintable(Buffer.from(text))).toBe(true)
      const staysAsItIs = text === `"${input.toString()}"`
      expect(staysAsItIs).toBe(isPrintable(input) && !/["\\]/.test(input.toString()))
    }),
  )
})
