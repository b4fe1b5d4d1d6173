// quote.ts: text between double quotes, as Go's %q writes it.
//
// The bytes are read as UTF-8. A byte that is not part of valid UTF-8 becomes \xHH, a character
// that cannot be printed becomes an escape of 2, 4 or 8 digits, a printable one stays. Printable
// are letters, marks, numbers, punctuation, symbols and the ASCII space. What was assigned after
// Unicode 15.0 counts as unassigned, because the Go that builds etcdctl does not know it.

export function quoted(text: string | Uint8Array): string {
  const bytes = typeof text === 'string' ? Buffer.from(text) : bufferOf(text)
  let out = '"'
  for (let at = 0; at < bytes.length; ) {
    const plain = plainEnd(bytes, at)
    if (plain > at) {
      out += bytes.toString('latin1', at, plain)
      at = plain
      continue
    }
    const byte = bytes[at] ?? 0
    const size = byte < 0x80 ? 1 : sequenceLength(bytes, at)
    out += size === 0 ? hexEscape(byte) : character(codePoint(bytes, at, size))
    at += size || 1
  }
  return `${out}"`
}

const bufferOf = (bytes: Uint8Array): Buffer =>
  Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length)

/**
 * Where the characters end that stay as they are and take one byte. Mostly that is all of a text,
 * and copying it as a whole takes a tenth of the time and of the memory.
 */
function plainEnd(bytes: Uint8Array, from: number): number {
  let at = from
  for (; at < bytes.length; at++) {
    const byte = bytes[at] ?? 0
    if (byte < 0x20 || byte > 0x7e || byte === 0x22 || byte === 0x5c) break
  }
  return at
}

/** A list of quoted texts, as Go prints one: `["a" "b"]`. */
export const quotedList = (texts: readonly string[]): string => `[${texts.map(quoted).join(' ')}]`

/** Whether the whole text can be shown as it is: valid UTF-8, every character printable. */
export function isPrintable(bytes: Uint8Array): boolean {
  for (let at = 0; at < bytes.length; ) {
    const size = sequenceLength(bytes, at)
    if (size === 0 || !isPrintableCode(codePoint(bytes, at, size))) return false
    at += size
  }
  return true
}

const named = new Map([
  [0x07, '\\a'],
  [0x08, '\\b'],
  [0x0c, '\\f'],
  [0x0a, '\\n'],
  [0x0d, '\\r'],
  [0x09, '\\t'],
  [0x0b, '\\v'],
  [0x22, '\\"'],
  [0x5c, '\\\\'],
])

function character(code: number): string {
  const name = named.get(code)
  if (name !== undefined) return name
  if (isPrintableCode(code)) return String.fromCodePoint(code)
  if (code < 0x80) return hexEscape(code)
  const hex = code.toString(16)
  return code <= 0xffff ? `\\u${hex.padStart(4, '0')}` : `\\U${hex.padStart(8, '0')}`
}

const hexEscape = (byte: number): string => `\\x${byte.toString(16).padStart(2, '0')}`

/** Length of the UTF-8 sequence that starts here, 0 when there is no valid one. */
function sequenceLength(bytes: Uint8Array, at: number): number {
  const first = bytes[at] ?? 0
  if (first < 0x80) return 1
  if (first < 0xc2 || first > 0xf4) return 0
  // The second byte has a narrower range after these four: no overlong forms, no surrogates,
  // nothing above U+10FFFF.
  const lowest = first === 0xe0 ? 0xa0 : first === 0xf0 ? 0x90 : 0x80
  const highest = first === 0xed ? 0x9f : first === 0xf4 ? 0x8f : 0xbf
  const second = bytes[at + 1] ?? 0
  if (second < lowest || second > highest) return 0
  const size = first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4
  for (let i = 2; i < size; i++) {
    if (((bytes[at + i] ?? 0) & 0xc0) !== 0x80) return 0
  }
  return size
}

const leadBits = [0, 0x7f, 0x1f, 0x0f, 0x07]

function codePoint(bytes: Uint8Array, at: number, size: number): number {
  let code = (bytes[at] ?? 0) & (leadBits[size] ?? 0)
  for (let i = 1; i < size; i++) code = (code << 6) | ((bytes[at + i] ?? 0) & 0x3f)
  return code
}

function isPrintableCode(code: number): boolean {
  if (code < 0x80) return code >= 0x20 && code < 0x7f
  // Not above: V8 looks the classes up when it meets the expression, and few texts need them.
  const printable = /[\p{L}\p{M}\p{N}\p{P}\p{S}]/u
  return printable.test(String.fromCodePoint(code)) && !isNewerThanUnicode15(code)
}

function isNewerThanUnicode15(code: number): boolean {
  newerRanges ??= parsedRanges()
  return newerRanges.some(([from, to]) => code >= from && code <= to)
}

/** Printable characters that Unicode 15.1, 16.0 and 17.0 added, in hexadecimal. */
const newer =
  '88f 897 c5c cdc 1acf-1add 1ae0-1aeb 1b4e-1b4f 1b7f 1c89-1c8a 20c1 2427-2429 2b96 2ffc-2fff ' +
  '31e4-31e5 31ef a7cb-a7cf a7d2 a7d4 a7da-a7dc a7f1 fbc3-fbd2 fd90-fd91 fdc8-fdce 105c0-105f3 ' +
  '10940-10959 10d40-10d65 10d69-10d85 10d8e-10d8f 10ec2-10ec7 10ed0-10ed8 10efa-10efc ' +
  '11380-11389 1138b 1138e 11390-113b5 113b7-113c0 113c2 113c5 113c7-113ca 113cc-113d5 ' +
  '113d7-113d8 113e1-113e2 116d0-116e3 11b60-11b67 11bc0-11be1 11bf0-11bf9 11db0-11ddb ' +
  '11de0-11de9 11f5a 13460-143fa 16100-16139 16d40-16d79 16ea0-16eb8 16ebb-16ed3 16ff2-16ff6 ' +
  '187f8-187ff 18cff 18d09-18d1e 18d80-18df2 1cc00-1ccfc 1cd00-1ceb3 1ceba-1ced0 1cee0-1cef0 ' +
  '1e5d0-1e5fa 1e5ff 1e6c0-1e6de 1e6e0-1e6f5 1e6fe-1e6ff 1f6d8 1f777-1f77a 1f8b2-1f8bb ' +
  '1f8c0-1f8c1 1f8d0-1f8d8 1fa54-1fa57 1fa89-1fa8a 1fa8e-1fa8f 1fabe 1fac6 1fac8 1facd 1fadc ' +
  '1fadf 1fae9-1faea 1faef 1fbcb-1fbef 1fbfa 2b73a-2b73f 2cea2-2cead 2ebf0-2ee5d 323b0-33479'

/** The same as numbers, made when a character first asks. */
let newerRanges: readonly (readonly [from: number, to: number])[] | undefined

const parsedRanges = () =>
  newer
    .split(' ')
    .map((range) => range.split('-').map((hex) => Number.parseInt(hex, 16)))
    .map(([from = 0, to = from]) => [from, to] as const)
