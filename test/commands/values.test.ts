// Values as Go reads them: the texts that are taken, and the words for those that are not. The
// causes are what Go's strconv, time and csv packages say.
import { expect, test } from 'vitest'
import { goQuote } from '../../src/commands/context.js'
import * as values from '../../src/commands/values.js'

const invalid = (call: string, text: string): string =>
  `strconv.${call}: parsing ${goQuote(text)}: invalid syntax`
const outOfRange = (call: string, text: string): string =>
  `strconv.${call}: parsing ${goQuote(text)}: value out of range`

test.each([
  ...['1', 't', 'T', 'true', 'TRUE', 'True'].map((text) => [text, true] as const),
  ...['0', 'f', 'F', 'false', 'FALSE', 'False'].map((text) => [text, false] as const),
])('the boolean %s is read', (text, value) => {
  expect(values.boolean(text)).toBe(value)
})

test.each(['', 'yes', 'tRUE', 'maybe', 'toString', '01'])('%j is no boolean', (text) => {
  expect(() => values.boolean(text)).toThrow(invalid('ParseBool', text))
})

const numbers: readonly (readonly [string, bigint])[] = [
  ['0', 0n],
  ['-5', -5n],
  ['+5', 5n],
  ['0x1F', 31n],
  ['-0x1f', -31n],
  ['0b101', 5n],
  ['0o17', 15n],
  ['017', 15n],
  ['00', 0n],
  ['1_000', 1000n],
  ['0x_ff', 255n],
  ['0_7', 7n],
  ['9223372036854775807', 9223372036854775807n],
  ['-9223372036854775808', -9223372036854775808n],
]

test.each(numbers)('the number %s is read', (text, value) => {
  expect(values.int64(text)).toBe(value)
})

test.each(['', '-', 'abc', '1__0', '_1', '1_', '08', '0x', '1.5', ' 1', '1 ', '--1', '0b2', '5s'])(
  '%j is no number',
  (text) => {
    expect(() => values.int64(text)).toThrow(invalid('ParseInt', text))
  },
)

test('a number beyond 64 bits is out of range', () => {
  for (const text of ['9223372036854775808', '-9223372036854775809', '0xffffffffffffffff']) {
    expect(() => values.int64(text)).toThrow(outOfRange('ParseInt', text))
  }
})

test('an unsigned number has no sign and one more bit', () => {
  expect(values.uint64('18446744073709551615')).toBe(18446744073709551615n)
  expect(() => values.uint64('18446744073709551616')).toThrow('value out of range')
  expect(() => values.uint64('-1')).toThrow(invalid('ParseUint', '-1'))
})

test('a count is what a double holds exactly', () => {
  expect(values.count('2097152')).toBe(2097152)
  expect(() => values.count('9007199254740993')).toThrow('value out of range')
})

test('a positional number is decimal', () => {
  expect(values.decimal('+12')).toBe(12n)
  expect(values.decimal('010')).toBe(10n)
  for (const text of ['0x10', '1_0', '', 'abc']) {
    expect(() => values.decimal(text)).toThrow(invalid('ParseInt', text))
  }
  expect(() => values.decimal('99999999999999999999')).toThrow('value out of range')
})

test.each([
  ['0', 0],
  ['+0', 0],
  ['5s', 5000],
  ['1.5s', 1500],
  ['.5s', 500],
  ['300ms', 300],
  ['2m3s', 123_000],
  ['1h', 3_600_000],
  ['-1s', -1000],
  ['250us', 0.25],
  ['250\u00b5s', 0.25],
  ['250\u03bcs', 0.25],
])('the duration %s is read', (text, ms) => {
  expect(values.durationMs(text)).toBeCloseTo(ms, 9)
})

test.each([
  ['abc', 'time: invalid duration "abc"'],
  ['', 'time: invalid duration ""'],
  ['-', 'time: invalid duration "-"'],
  ['.s', 'time: invalid duration ".s"'],
  ['1s2', 'time: missing unit in duration "1s2"'],
  ['5', 'time: missing unit in duration "5"'],
  ['5x', 'time: unknown unit "x" in duration "5x"'],
  ['1s 2m', 'time: unknown unit "s " in duration "1s 2m"'],
  ['9999999h', 'time: invalid duration "9999999h"'],
])('the duration %j is refused', (text, cause) => {
  expect(() => values.durationMs(text)).toThrow(cause)
})

test.each([
  ['', []],
  ['a', ['a']],
  ['a,b', ['a', 'b']],
  ['a, b', ['a', ' b']],
  ['a,,b', ['a', '', 'b']],
  ['a,', ['a', '']],
  ['"a,b",c', ['a,b', 'c']],
  ['"a""b"', ['a"b']],
  ['""', ['']],
])('the list %j is read', (text, items) => {
  expect(values.list(text)).toEqual(items)
})

test.each([
  ['a"b', 'parse error on line 1, column 2: bare " in non-quoted field'],
  ['"a"b', 'parse error on line 1, column 3: extraneous or missing " in quoted-field'],
  ['"a', 'parse error on line 1, column 3: extraneous or missing " in quoted-field'],
])('the list %j is refused', (text, cause) => {
  expect(() => values.list(text)).toThrow(cause)
})
