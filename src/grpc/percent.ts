// percent.ts: the text of grpc-message. A header holds printable ASCII only, so every other byte
// of the UTF-8 text, and % itself, travels as %XX.

const plain = /^[ -$&-~]*$/ // printable ASCII without %

export function percentEncoded(text: string): string {
  if (plain.test(text)) return text
  let encoded = ''
  for (const byte of Buffer.from(text, 'utf8')) {
    const isPlain = byte >= 0x20 && byte <= 0x7e && byte !== 0x25
    encoded += isPlain
      ? String.fromCharCode(byte)
      : `%${byte.toString(16).toUpperCase().padStart(2, '0')}`
  }
  return encoded
}

/** Never fails: what is no valid escape stays as it is, so that the text is not lost. */
export function percentDecoded(text: string): string {
  if (!text.includes('%')) return text
  const bytes: number[] = []
  const source = Buffer.from(text, 'utf8')
  for (let at = 0; at < source.length; at++) {
    const hex = source[at] === 0x25 ? source.toString('latin1', at + 1, at + 3) : ''
    if (/^[0-9a-fA-F]{2}$/.test(hex)) {
      bytes.push(Number.parseInt(hex, 16))
      at += 2
    } else {
      bytes.push(source[at] ?? 0)
    }
  }
  return Buffer.from(bytes).toString('utf8')
}
