// tokenise.ts: a line that a person types at us (watch -i, the operations of txn), cut into words.
//
//   put "a key" 'raw \n' b"c      put │ a key │ raw \n │ b"c
//
// Double quotes hold Go's escapes, single quotes hold what they hold, and a word without quotes
// ends at the next blank, quotes inside it included. Words are arguments: bytes() gives bytes.
import { argument, bytes } from './context.js'

/** A line that is no list of words. The text is Go's. */
export class SyntaxProblem extends Error {
  override readonly name = 'SyntaxProblem'
}

// Go's blanks; a quote without its partner is dropped, since no alternative begins with it.
const token = /"(?:[^"\\]|\\.)*"|'[^']*'|[^'"\t\n\f\r ][^\t\n\f\r ]*/gu

/** Throws SyntaxProblem for an escape that Go does not know. */
export function tokens(line: string): string[] {
  return Array.from(line.matchAll(token), ([word]) => {
    if (word.startsWith('"')) return unquoted(word)
    return word.startsWith("'") ? word.slice(1, -1) : word
  })
}

const simpleEscapes: Readonly<Record<string, string>> = {
  ...{ a: '\x07', b: '\b', f: '\f', n: '\n', r: '\r', t: '\t', v: '\v' },
  ...{ '\\': '\\', '"': '"' },
}

const hex = '[0-9a-fA-F]'
const escaped = `\\\\(?:([abfnrtv\\\\"])|x(${hex}{2})|([0-7]{3})|u(${hex}{4})|U(${hex}{8}))`
const piece = new RegExp(`${escaped}|([^\\\\"\n]+)`, 'uy')

/** The text of a Go string literal: `"…"` with escapes, or raw between back quotes. */
export function unquoted(literal: string): string {
  const quote = literal.charAt(0)
  const body = literal.slice(1, -1)
  if (literal.length < 2 || !literal.endsWith(quote)) throw invalid()
  if (quote === '`' && !body.includes('`')) return body.replaceAll('\r', '')
  if (quote !== '"') throw invalid()
  const parts: (string | number)[] = []
  piece.lastIndex = 0
  while (piece.lastIndex < body.length) {
    const match = piece.exec(body)
    if (match === null) throw invalid()
    parts.push(value(match))
  }
  return joined(parts)
}

/** A number is a single byte, which need not be valid UTF-8 by itself. */
function value([, simple, hex, octal, short, long, plain]: RegExpExecArray): string | number {
  if (plain !== undefined) return plain
  if (simple !== undefined) return simpleEscapes[simple] ?? ''
  if (hex !== undefined) return Number.parseInt(hex, 16)
  if (octal !== undefined) {
    const byte = Number.parseInt(octal, 8)
    if (byte > 0xff) throw invalid()
    return byte
  }
  const code = Number.parseInt(short ?? long ?? '', 16)
  if (code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff)) throw invalid()
  return String.fromCodePoint(code)
}

function joined(parts: readonly (string | number)[]): string {
  if (parts.every((part) => typeof part === 'string')) return parts.join('')
  return argument(
    Buffer.concat(parts.map((part) => (typeof part === 'number' ? Buffer.of(part) : bytes(part)))),
  )
}

const invalid = (): SyntaxProblem => new SyntaxProblem('invalid syntax')
