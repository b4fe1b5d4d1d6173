// authority.ts: makes the :authority of a request one that node:http2 takes. grpc-go of the years
// around 2020 puts a URL or the path of a unix socket there (http://127.0.0.1:2379, /run/etcd),
// and nghttp2 resets such a stream before any listener of ours hears of it.
//
// A header block is a row of fields (RFC 7541 §6), most of them of this shape:
//
//     41              a literal, to be indexed; its name is entry 1 of the table, :authority
//     90 9d29aee3...  Huffman bit and length, then that many bytes
//
// All lengths are plain numbers, so the field is found without decoding a single string.

/** Entry 1 of the static table. */
const authorityName = 1

/** How a value begins that is to go: its letters, and their bits in the Huffman code. */
const starts = ['http://', 'https://', 'unix://', 'unixs://', '/'].map((letters) => ({
  letters,
  bits: [...letters].map(huffmanBits).join(''),
}))

/** Looked at of a value, enough for any of the starts in either form. */
const startBytesMax = 8

// Nobody reads the value. One letter, because an entry of the table that both ends build takes as
// much room as it has letters: with entries that are never longer than the client's the server's
// table drops an entry later than the client's, never sooner. A client refers only to what is in
// its own table, counted from the newest entry, so both mean the same.
const substitute = Buffer.from([1, '-'.charCodeAt(0)])

/** The block with a short name for the URL or path. Undefined: nothing to replace, or no block. */
export function withoutUrl(block: Buffer): Buffer | undefined {
  for (let at = 0; at < block.length; ) {
    const field = fieldAt(block, at)
    if (field === undefined) return undefined
    if (field.name === authorityName && field.value !== undefined) {
      const { start, end } = field.value
      if (!startsAsUrl(field.value, block)) return undefined
      return Buffer.concat([block.subarray(0, start), substitute, block.subarray(end)])
    }
    at = field.end
  }
  return undefined
}

/** start: the length that goes before the text; end: after the text. */
interface Text {
  readonly start: number
  readonly from: number
  readonly end: number
  readonly isCoded: boolean
}

interface Field {
  /** Index of the name; 0 where the name is spelt out. */
  readonly name: number
  readonly value?: Text
  readonly end: number
}

function fieldAt(block: Buffer, at: number): Field | undefined {
  const first = block[at] ?? 0
  const hasValue = (first & 0xc0) === 0x40 || first < 0x20
  const prefixBits = first >= 0x80 ? 7 : first >= 0x40 ? 6 : first >= 0x20 ? 5 : 4
  const index = integerAt(block, at, prefixBits)
  if (index === undefined) return undefined
  // An index of name and value, or a new size of the table.
  if (!hasValue) return { name: 0, end: index.end }
  const name = index.value === 0 ? textAt(block, index.end) : index
  const value = name === undefined ? undefined : textAt(block, name.end)
  return value && { name: index.value, value, end: value.end }
}

function textAt(block: Buffer, start: number): Text | undefined {
  const length = integerAt(block, start, 7)
  if (length === undefined) return undefined
  const end = length.end + length.value
  if (end > block.length) return undefined
  return { start, from: length.end, end, isCoded: (block[start] ?? 0) >= 0x80 }
}

/** RFC 7541 §5.1. Numbers beyond two further bytes are larger than any block. */
function integerAt(
  block: Buffer,
  at: number,
  prefixBits: number,
): { value: number; end: number } | undefined {
  const most = 2 ** prefixBits - 1
  const first = block[at]
  if (first === undefined) return undefined
  let value = first & most
  if (value < most) return { value, end: at + 1 }
  for (let i = 1; i <= 3; i++) {
    const byte = block[at + i]
    if (byte === undefined) return undefined
    value += (byte & 0x7f) * 128 ** (i - 1)
    if (byte < 0x80) return { value, end: at + i + 1 }
  }
  return undefined
}

function startsAsUrl({ from, end, isCoded }: Text, block: Buffer): boolean {
  const bytes = block.subarray(from, Math.min(end, from + startBytesMax))
  if (!isCoded) return starts.some(({ letters }) => bytes.toString('latin1').startsWith(letters))
  const bits = Array.from(bytes, (byte) => byte.toString(2).padStart(8, '0')).join('')
  return starts.some((start) => bits.startsWith(start.bits))
}

/** RFC 7541, appendix B, as far as the starts need it. */
function huffmanBits(letter: string): string {
  const codes: Record<string, string> = {
    h: '100111',
    i: '00110',
    n: '101010',
    p: '101011',
    s: '01000',
    t: '01001',
    u: '101101',
    x: '1111001',
    ':': '1011100',
    '/': '011000',
  }
  const code = codes[letter]
  if (code === undefined) throw new Error(`no Huffman code for ${letter}`)
  return code
}
