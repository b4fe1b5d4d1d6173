// byte-text.ts: one growing buffer in which an answer is put together.
//
// Keys and values are bytes that need not be text, so an answer is never built as a string. The
// buffer doubles when it is full; an answer of n bytes costs at most 2n of copying.

const initialBytes = 512
const lineFeed = 0x0a

export class ByteText {
  readonly #isHex: boolean
  #buffer = Buffer.allocUnsafe(initialBytes)
  #length = 0

  constructor(options: { hex: boolean }) {
    this.#isHex = options.hex
  }

  text(text: string): this {
    // No UTF-16 unit becomes more than three bytes of UTF-8.
    this.#reserve(text.length * 3)
    this.#length += this.#buffer.write(text, this.#length)
    return this
  }

  bytes(bytes: Uint8Array): this {
    this.#reserve(bytes.length)
    this.#buffer.set(bytes, this.#length)
    this.#length += bytes.length
    return this
  }

  /** A key or value on a line of its own. */
  line(bytes: Uint8Array): this {
    this.data(bytes)
    this.#reserve(1)
    this.#buffer[this.#length++] = lineFeed
    return this
  }

  /** A key or value: in the hex form each byte is a backslash, x and two digits. */
  data(bytes: Uint8Array): this {
    if (!this.#isHex) return this.bytes(bytes)
    this.#reserve(bytes.length * 4)
    this.#length = writeHex(bytes, { from: 0, to: bytes.length }, this.#buffer, this.#length)
    return this
  }

  /** What was written. The view stays valid; nothing may be added after it. */
  done(): Buffer {
    return this.#buffer.subarray(0, this.#length)
  }

  get sizeBytes(): number {
    return this.#length
  }

  /** What was written, valid until more is added, which begins anew in the same memory. */
  take(): Buffer {
    const taken = this.done()
    this.#length = 0
    return taken
  }

  #reserve(bytes: number): void {
    const needed = this.#length + bytes
    if (needed <= this.#buffer.length) return
    const grown = Buffer.allocUnsafe(Math.max(needed, this.#buffer.length * 2))
    this.#buffer.copy(grown, 0, 0, this.#length)
    this.#buffer = grown
  }
}

const digits = Buffer.from('0123456789abcdef', 'latin1')

/** Writes `\xHH` for each byte of the span to target at `at`; returns where it ended. */
export function writeHex(
  bytes: Uint8Array,
  span: { from: number; to: number },
  target: Buffer,
  at: number,
): number {
  let end = at
  for (let i = span.from; i < span.to; i++) {
    const byte = bytes[i] ?? 0
    target[end] = 0x5c
    target[end + 1] = 0x78
    target[end + 2] = digits[byte >> 4] ?? 0
    target[end + 3] = digits[byte & 15] ?? 0
    end += 4
  }
  return end
}
