// argument.ts: words that may be any bytes. A word of the command line is a string, but a key need
// not be text: a byte that is not part of valid UTF-8 travels inside the string as the lone
// surrogate U+DC00 + byte, which no decoded text contains, and bytes() gives it back.
import { quoted } from '../output/quote.js'

/** The bytes that an argument was typed as. */
export function bytes(text: string): Buffer {
  if (!loneSurrogate.test(text)) return Buffer.from(text)
  const parts: Buffer[] = []
  for (const character of text) {
    const code = character.codePointAt(0) ?? 0
    const escaped = code >= 0xdc80 && code <= 0xdcff
    parts.push(escaped ? Buffer.of(code - 0xdc00) : Buffer.from(character))
  }
  return Buffer.concat(parts)
}

/** An argument that stands for these bytes: the inverse of bytes(). */
export function argument(data: Buffer): string {
  const text = data.toString()
  if (!text.includes('\ufffd') || Buffer.from(text).equals(data)) return text
  let escaped = ''
  for (let at = 0; at < data.length; ) {
    const size = characterSize(data, at)
    escaped +=
      size > 0
        ? data.toString('utf8', at, at + size)
        : String.fromCharCode(0xdc00 + (data[at] ?? 0))
    at += Math.max(size, 1)
  }
  return escaped
}

const loneSurrogate = /[\udc80-\udcff]/u

/** Length of the valid UTF-8 character at `at`, 0 when there is none. */
function characterSize(data: Buffer, at: number): number {
  const longest = Math.min(4, data.length - at)
  for (let size = 1; size <= longest; size++) {
    const text = data.toString('utf8', at, at + size)
    if (Buffer.from(text).equals(data.subarray(at, at + size))) return size
  }
  return 0
}

/** A word in Go's %q form, as messages show it. */
export function goQuote(text: string): string {
  return quoted(bytes(text))
}
