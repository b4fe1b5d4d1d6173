// byte-parser.ts: reads items out of a stream of bytes that arrives in pieces of any size. A parser
// is a generator: it yields how many bytes it wants next and is resumed with exactly those, so that
// it reads like code over a whole buffer. Bytes are views of what arrived unless an item was torn.

/** The largest item a peer may send, as in etcd: what is longer is no message but noise. */
export const itemBytesMax = 512 * 1024 * 1024

export type ByteParser = Generator<number, void, Buffer>

export class ByteFeed {
  readonly #parser: ByteParser
  readonly #pieces: Buffer[] = []
  #size = 0
  #wanted: number
  #isDone: boolean

  constructor(parser: ByteParser) {
    this.#parser = parser
    const { value, done } = parser.next()
    this.#wanted = value ?? 0
    this.#isDone = done === true
  }

  /** The parser has ended: what was left over is in rest(). */
  get isDone(): boolean {
    return this.#isDone
  }

  /** Throws what the parser throws; nothing may be pushed after that. */
  push(bytes: Buffer): void {
    this.#pieces.push(bytes)
    this.#size += bytes.length
    while (!this.#isDone && this.#size >= this.#wanted) {
      const { value, done } = this.#parser.next(this.#take(this.#wanted))
      this.#wanted = value ?? 0
      this.#isDone = done === true
    }
  }

  /** Takes what no item has used yet. */
  rest(): Buffer {
    return this.#take(this.#size)
  }

  #take(count: number): Buffer {
    // Joined once when all of it is there: a long item costs one copy.
    const first = this.#pieces[0]
    const isWhole = first !== undefined && first.length >= count
    const joined = isWhole ? first : Buffer.concat(this.#pieces.splice(0))
    const rest = joined.subarray(count)
    if (isWhole) this.#pieces.shift()
    if (rest.length > 0) this.#pieces.unshift(rest)
    this.#size -= count
    return joined.subarray(0, count)
  }
}

/** A big-endian number of eight bytes. @throws when it is more than `max` */
export function* uint64(max: number): Generator<number, number, Buffer> {
  const bytes = yield 8
  const value = bytes.readUInt32BE(0) * 2 ** 32 + bytes.readUInt32BE(4)
  if (value > max) throw new Error(`${value} exceeds the limit of ${max}`)
  return value
}

/** Bytes behind their length. */
export function* lengthPrefixed(max: number): Generator<number, Buffer, Buffer> {
  return yield yield* uint64(max)
}
