// masking.ts: brings an output into a form in which two runs can be compared: what a case marks as
// volatile becomes #, what may come in another order is sorted, and tables are taken apart into
// cells where a masked cell may have changed their width.
import { asText, replaceGroups } from './text.js'

export function canonical(output: Buffer, volatile: readonly string[]): string {
  const isUnordered = volatile.includes('unordered')
  const fields = withPrefix(volatile, 'pb:')
  if (fields.length > 0) return messageText(output, fields, { isUnordered })
  const paths = withPrefix(volatile, 'json:')
  let text = asText(output)
  if (paths.length > 0) {
    text = eachLine(text, (line) =>
      /^[[{]/.test(line) ? jsonText(line, paths, isUnordered) : line,
    )
  }
  for (const pattern of withPrefix(volatile, 're:')) text = replaceGroups(text, pattern)
  text = text.replace(/ +#/g, ' #') // an id that was right aligned
  if (text.startsWith('+-') && volatile.length > 0) text = eachLine(text, cells)
  if (isUnordered && paths.length === 0) text = text.split('\n').sort().join('\n')
  return text
}

export const withPrefix = (volatile: readonly string[], prefix: string): string[] =>
  volatile.filter((one) => one.startsWith(prefix)).map((one) => one.slice(prefix.length))

const eachLine = (text: string, change: (line: string) => string): string =>
  text.split('\n').map(change).join('\n')

function cells(line: string): string {
  if (line.startsWith('+-')) return '+'
  return line
    .split('|')
    .map((cell) => cell.trim())
    .join('|')
}

/**
 * The JSON text with the values at the paths replaced: `$` root, `.key`, `[*]` any element. The
 * rest stays byte for byte, as the writer wrote it.
 */
export function jsonText(text: string, paths: readonly string[], isUnordered: boolean): string {
  const masked = new Set(paths)
  let at = 0

  const skipString = (): string => {
    const start = at
    for (at++; text[at] !== '"'; at++) if (text[at] === '\\') at++
    at++
    return text.slice(start, at)
  }
  /** Members between brackets, each written by `member`. */
  const members = (close: string, member: () => string): string[] => {
    const found: string[] = []
    for (at++; text[at] !== close && at < text.length; ) {
      found.push(member())
      if (text[at] === ',') at++
    }
    at++
    return found
  }
  const value = (path: string): string => {
    const written = plainValue(path)
    return masked.has(path) ? '#' : written
  }
  const plainValue = (path: string): string => {
    if (text[at] === '{') {
      const found = members('}', () => {
        const key = skipString()
        at++ // the colon
        return `${key}:${value(`${path}.${JSON.parse(key)}`)}`
      })
      return `{${found.join(',')}}`
    }
    if (text[at] === '[') {
      const found = members(']', () => value(`${path}[*]`))
      return `[${(isUnordered ? found.sort() : found).join(',')}]`
    }
    if (text[at] === '"') return skipString()
    const start = at
    while (at < text.length && !/[,\]}]/.test(text[at] ?? '')) at++
    return text.slice(start, at)
  }
  return value('$') + text.slice(at)
}

/**
 * A protobuf message, field by field: 1{1:#,3:7},2:"bytes in hexadecimal". A field is opened when a
 * masked one lies in it.
 */
export function messageText(
  message: Buffer,
  masked: readonly string[],
  { isUnordered }: { isUnordered: boolean },
): string {
  let at = 0
  const varint = (): bigint => {
    let result = 0n
    for (let shift = 0n; ; shift += 7n) {
      const byte = message[at++]
      if (byte === undefined) throw new RangeError('the message ends inside a number')
      result |= BigInt(byte & 0x7f) << shift
      if (byte < 0x80) return result
    }
  }
  const fields: string[] = []
  while (at < message.length) {
    const key = Number(varint())
    const field = String(key >> 3)
    const isBytes = (key & 7) === 2
    const length = isBytes ? Number(varint()) : 0
    const shown = isBytes
      ? bytesText(message.subarray(at, at + length), inside(masked, field), isUnordered)
      : `:${varint()}`
    if (isBytes) at += length
    fields.push(masked.includes(field) ? `${field}:#` : field + shown)
  }
  return (isUnordered ? fields.sort() : fields).join(',')
}

const inside = (masked: readonly string[], field: string): string[] =>
  masked.filter((one) => one.startsWith(`${field}.`)).map((one) => one.slice(field.length + 1))

function bytesText(bytes: Buffer, masked: readonly string[], isUnordered: boolean): string {
  if (masked.length === 0) return `:"${bytes.toString('hex')}"`
  return `{${messageText(bytes, masked, { isUnordered })}}`
}
