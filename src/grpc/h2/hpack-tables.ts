// hpack-tables.ts: the fields that a header block can name by number (RFC 7541 §2.3). The first 61
// are always the same; behind them comes what this connection's blocks put there, the newest first:
//
//     1 ... 61 | 62    ...    61 + count
//     static   | newest ... oldest, which goes first
import { type Field, fieldOf, fieldOverheadBytes } from './field.js'
import { HpackError } from './hpack-error.js'

/** Names with their values, in the order of RFC 7541 appendix A. */
const staticValues: readonly (readonly [name: string, ...values: string[]])[] = [
  [':authority', ''],
  [':method', 'GET', 'POST'],
  [':path', '/', '/index.html'],
  [':scheme', 'http', 'https'],
  [':status', '200', '204', '206', '304', '400', '404', '500'],
  ['accept-charset', ''],
  ['accept-encoding', 'gzip, deflate'],
  ...[
    ['accept-language', 'accept-ranges', 'accept', 'access-control-allow-origin', 'age', 'allow'],
    ['authorization', 'cache-control', 'content-disposition', 'content-encoding'],
    ['content-language', 'content-length', 'content-location', 'content-range', 'content-type'],
    ['cookie', 'date', 'etag', 'expect', 'expires', 'from', 'host', 'if-match'],
    ['if-modified-since', 'if-none-match', 'if-range', 'if-unmodified-since', 'last-modified'],
    ['link', 'location', 'max-forwards', 'proxy-authenticate', 'proxy-authorization', 'range'],
    ['referer', 'refresh', 'retry-after', 'server', 'set-cookie', 'strict-transport-security'],
    ['transfer-encoding', 'user-agent', 'vary', 'via', 'www-authenticate'],
  ]
    .flat()
    .map((name) => [name, ''] as const),
]

/** By number; nothing has the number 0. */
export const staticFields: readonly (Field | undefined)[] = [
  undefined,
  ...staticValues.flatMap(([name, ...values]) => values.map((value) => fieldOf(name, value))),
]

export const dynamicStart = staticFields.length

/** Size of a table before anybody said otherwise, in bytes as fields count. */
export const defaultTableBytes = 4096

export class DynamicTable {
  /** A ring. The place of the nth field that went in is the remainder of n. */
  readonly #places: (Field | undefined)[] = []
  readonly #placesMax: number
  /** How many went in so far, and how many of them have gone again. */
  #added = 0
  #gone = 0
  #bytes = 0
  #bytesMax: number

  /** `bytesMax` is also the most that resize() may ask for. */
  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax
    this.#placesMax = Math.floor(bytesMax / fieldOverheadBytes)
  }

  get bytes(): number {
    return this.#bytes
  }

  /** The field with that number, in whichever table. */
  at(index: number): Field {
    const nth = this.#added - 1 - (index - dynamicStart)
    const field = index < dynamicStart ? staticFields[index] : this.#nth(nth)
    if (field === undefined) throw new HpackError(`index ${index} is in no table`)
    return field
  }

  /** What is larger than the table empties it, and that is no error (§4.4). */
  add(field: Field): void {
    this.#evict(Math.max(0, this.#bytesMax - field.size))
    if (field.size > this.#bytesMax) return
    this.#places[this.#added++ % this.#placesMax] = field
    this.#bytes += field.size
  }

  resize(bytesMax: number): void {
    this.#bytesMax = bytesMax
    this.#evict(bytesMax)
  }

  #nth(nth: number): Field | undefined {
    return nth < this.#gone ? undefined : this.#places[nth % this.#placesMax]
  }

  #evict(bytesMax: number): void {
    while (this.#bytes > bytesMax) {
      const place = this.#gone++ % this.#placesMax
      this.#bytes -= (this.#places[place] as Field).size
      this.#places[place] = undefined
    }
  }
}
