// text.ts: outputs as text, and the patterns of the recordings, which are Python's.

/** Text where the bytes are text, else one character a byte, so that nothing is lost. */
export function asText(bytes: Buffer): string {
  const text = bytes.toString()
  return Buffer.from(text).equals(bytes) ? text : bytes.toString('latin1')
}

/** Puts # in place of what the groups of each match hold; of all of it when there are none. */
export function replaceGroups(text: string, pattern: string): string {
  let result = ''
  let done = 0
  for (const match of text.matchAll(expression(pattern, 'gd'))) {
    const spans = match.indices?.slice(match.length > 1 ? 1 : 0) ?? []
    for (const span of spans) {
      if (span === undefined) continue // a group of the other alternative
      result += `${text.slice(done, span[0])}#`
      done = span[1]
    }
  }
  return result + text.slice(done)
}

/** The pattern in our dialect: flags stand in front, and $ also comes before a last line feed. */
export function expression(pattern: string, flags = ''): RegExp {
  const [, own = '', body = ''] = /^(?:\(\?([ms]+)\))?(.*)$/s.exec(pattern) ?? []
  const isMultiline = own.includes('m')
  const ended = isMultiline ? body : body.replace(/(?<!\\)\$$/, '(?=\\n?$)')
  return new RegExp(ended, flags + own)
}
