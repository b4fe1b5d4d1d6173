// How a typed line falls into words, with Go's quotes and escapes.
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { bytes } from '../../src/commands/context.js'
import { tokens, unquoted } from '../../src/commands/tokenise.js'
import { quoted } from '../../src/output/quote.js'

test.each([
  ['', []],
  [' \t ', []],
  ['put a b', ['put', 'a', 'b']],
  ['  put\ta  b ', ['put', 'a', 'b']],
  ['put "a b" \'c d\'', ['put', 'a b', 'c d']],
  ["'a\\n'", ['a\\n']],
  ['"a\\n\\t\\"\\\\"', ['a\n\t"\\']],
  ['"\\a\\b\\f\\r\\v"', ['\x07\b\f\r\v']],
  ['"\\u00e4\\U0001F600\\x41\\101"', ['ä😀AA']],
  ['a"b c"d', ['a"b', 'c"d']],
  ["a'b c'd", ["a'b", "c'd"]],
  ['"a"b', ['a', 'b']],
  ['"a""b"', ['a', 'b']],
  ['"abc', ['abc']],
  ["'abc", ['abc']],
  ['"" \'\'', ['', '']],
  ['a\u00a0b', ['a\u00a0b']],
  ['watch foo -- sh -c "echo $X"', ['watch', 'foo', '--', 'sh', '-c', 'echo $X']],
])('%j is %j', (line, words) => {
  expect(tokens(line)).toEqual(words)
})

test.each([
  '"\\q"',
  '"\\x4"',
  '"\\777"',
  '"\\ud800"',
  '"\\U00110000"',
  '"\\\'"',
  '"\\N"',
  '"\\X41"',
])('%s has no meaning in Go', (line) => {
  expect(() => tokens(line)).toThrow(expect.objectContaining({ message: 'invalid syntax' }))
})

test('bytes that are no UTF-8 are kept', () => {
  expect(bytes(tokens('"\\xff\\x00a\\377"')[0] ?? '')).toEqual(Buffer.from([255, 0, 97, 255]))
})

test('what Go quotes is what it was', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 12 }), (data) => {
      expect(bytes(unquoted(quoted(data)))).toEqual(Buffer.from(data))
    }),
    { numRuns: 1000 },
  )
})

test('a raw literal holds what it holds', () => {
  expect(unquoted('`a\\n"b`')).toBe('a\\n"b')
  expect(() => unquoted('`a`b`')).toThrow('invalid syntax')
  expect(() => unquoted("'a'")).toThrow('invalid syntax')
  expect(() => unquoted('"')).toThrow('invalid syntax')
})
