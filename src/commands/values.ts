// values.ts: the values that flags hold, read as Go reads them, because scripts were written
// against etcdctl: `--rev 0x10`, `--dial-timeout 1m30s`, `--endpoints '"a,b",c'`. Each reader is
// given to commander as the parser of an option, and each throws a ValueError with Go's own words.
import { goQuote } from './argument.js'

/** Why a text is not a value of its kind. The parser puts flag and text in front. */
export class ValueError extends Error {
  override readonly name = 'ValueError'
}

const truth: Readonly<Record<string, boolean>> = {
  ...{ '1': true, t: true, T: true, true: true, TRUE: true, True: true },
  ...{ '0': false, f: false, F: false, false: false, FALSE: false, False: false },
}

export function boolean(text: string): boolean {
  const value = Object.hasOwn(truth, text) ? truth[text] : undefined
  if (value === undefined) throw problem('ParseBool', text, 'invalid syntax')
  return value
}

/** A signed 64-bit number: decimal, 0x, 0o or leading 0, 0b, `_` between digits. */
export function int64(text: string): bigint {
  const [, sign = '', digits = ''] = /^([+-]?)(.*)$/s.exec(text) ?? []
  const size = magnitude('ParseInt', text, digits)
  const value = sign === '-' ? -size : size
  if (value !== BigInt.asIntN(64, value)) throw problem('ParseInt', text, 'value out of range')
  return value
}

/** An unsigned 64-bit number, written like int64 but without a sign. */
export function uint64(text: string): bigint {
  const value = magnitude('ParseUint', text, text)
  if (value !== BigInt.asUintN(64, value)) throw problem('ParseUint', text, 'value out of range')
  return value
}

/** A number that is counted with: an int64 that a double holds exactly. */
export function count(text: string): number {
  const value = int64(text)
  if (BigInt(Number(value)) !== value || !Number.isSafeInteger(Number(value))) {
    throw problem('ParseInt', text, 'value out of range')
  }
  return Number(value)
}

/** Decimal only, the whole text, as positionals are read. */
export function decimal(text: string): bigint {
  if (!/^[+-]?[0-9]+$/.test(text)) throw problem('ParseInt', text, 'invalid syntax')
  const value = BigInt(text.replace(/^\+/, ''))
  if (value !== BigInt.asIntN(64, value)) throw problem('ParseInt', text, 'value out of range')
  return value
}

const bases: readonly (readonly [prefix: RegExp, base: string, digits: RegExp])[] = [
  [/^0[xX]/, '0x', /^(_?[0-9a-fA-F])+$/],
  [/^0[bB]/, '0b', /^(_?[01])+$/],
  [/^0[oO]/, '0o', /^(_?[0-7])+$/],
  [/^0(?=.)/, '0o', /^(_?[0-7])+$/],
  [/^(?=[0-9])/, '', /^[0-9](_?[0-9])*$/],
]

function magnitude(call: string, text: string, digits: string): bigint {
  for (const [prefix, base, form] of bases) {
    if (!prefix.test(digits)) continue
    const rest = digits.replace(prefix, '')
    if (!form.test(rest)) break
    return BigInt(base + rest.replaceAll('_', ''))
  }
  throw problem(call, text, 'invalid syntax')
}

function problem(call: string, text: string, cause: string): ValueError {
  return new ValueError(`strconv.${call}: parsing ${goQuote(text)}: ${cause}`)
}

/** Milliseconds in each unit of Go's durations. Both micro signs are in use. */
const unitMs: Readonly<Record<string, number>> = {
  ...{ ns: 1e-6, us: 1e-3, '\u00b5s': 1e-3, '\u03bcs': 1e-3 },
  ...{ ms: 1, s: 1000, m: 60_000, h: 3_600_000 },
}

/** Go's durations end at 2^63 nanoseconds, some 292 years. */
const durationMaxMs = 2 ** 63 / 1e6

/** A duration in milliseconds: `300ms`, `1.5s`, `2m3s`, `0`. */
export function durationMs(text: string): number {
  const invalid = (): ValueError => new ValueError(`time: invalid duration ${goQuote(text)}`)
  const [, sign = '', body = ''] = /^([+-]?)(.*)$/s.exec(text) ?? []
  if (body === '0') return 0
  let total = 0
  let rest = body
  do {
    const [part, number = '', unit = ''] = /^([0-9]*\.?[0-9]*)([^0-9.]*)/.exec(rest) ?? []
    if (part === undefined || !/[0-9]/.test(number)) throw invalid()
    if (unit === '') throw new ValueError(`time: missing unit in duration ${goQuote(text)}`)
    const scale = Object.hasOwn(unitMs, unit) ? unitMs[unit] : undefined
    if (scale === undefined) {
      throw new ValueError(`time: unknown unit ${goQuote(unit)} in duration ${goQuote(text)}`)
    }
    total += Number(number) * scale
    rest = rest.slice(part.length)
  } while (rest !== '')
  if (total >= durationMaxMs) throw invalid()
  return sign === '-' ? -total : total
}

/** A list: one record of comma separated values, `"` around an element that holds a comma. */
export function list(text: string): readonly string[] {
  const items: string[] = []
  let at = 0
  while (text !== '') {
    const quoted = text[at] === '"'
    const { item, end } = quoted ? quotedItem(text, at) : plainItem(text, at)
    items.push(item)
    if (text[end] !== ',') return items
    at = end + 1
  }
  return items
}

function plainItem(text: string, start: number): { item: string; end: number } {
  const item = /^[^,\r\n]*/.exec(text.slice(start))?.[0] ?? ''
  const quote = item.indexOf('"')
  if (quote >= 0) throw csvProblem(start + quote, 'bare " in non-quoted field')
  return { item, end: start + item.length }
}

function quotedItem(text: string, start: number): { item: string; end: number } {
  const [whole, item] = /^"((?:[^"]|"")*)"/.exec(text.slice(start)) ?? []
  const end = start + (whole?.length ?? 0)
  if (whole === undefined || item === undefined || /^[^,\r\n]/.test(text.slice(end))) {
    const at = whole === undefined ? text.length : end - 1
    throw csvProblem(at, 'extraneous or missing " in quoted-field')
  }
  return { item: item.replaceAll('""', '"'), end }
}

function csvProblem(index: number, cause: string): ValueError {
  return new ValueError(`parse error on line 1, column ${index + 1}: ${cause}`)
}
