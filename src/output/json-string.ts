// json-string.ts: text and bytes inside JSON, as Go's encoder writes them.
//
// It differs from JSON.stringify: <, > and & are escaped (Go guards output that ends up in HTML),
// so are the two Unicode line separators, and what is not valid text becomes \ufffd in letters.

const short: Readonly<Record<string, string>> = {
  '"': '\\"',
  '\\': '\\\\',
  '\b': '\\b',
  '\f': '\\f',
  '\n': '\\n',
  '\r': '\\r',
  '\t': '\\t',
}

// A surrogate that is half of a pair is part of one code point under the u flag, so only a lone
// one matches.
// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is sought.
const special = /[\u0000-\u001f"\\<>&\u2028\u2029\ud800-\udfff]/gu

export const jsonString = (text: string): string => `"${text.replace(special, escaped)}"`

function escaped(character: string): string {
  const code = character.charCodeAt(0)
  if (code >= 0xd800 && code <= 0xdfff) return '\\ufffd'
  return short[character] ?? `\\u${code.toString(16).padStart(4, '0')}`
}

/** Bytes are standard base64 with padding. */
export const jsonBytes = (bytes: Buffer): string => `"${bytes.toString('base64')}"`
