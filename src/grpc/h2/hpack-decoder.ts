// hpack-decoder.ts: reads header blocks (RFC 7541 §6). A block is a row of:
//
//     1 index                         a field of the tables
//     01 index [name] value           a field with this name, and into the table with it
//     001 size                        the table's new size; only before all fields
//     0000 or 0001 index [name] value a field with this name, not for the table
//
// Numbers begin in the bits that are left of the first byte; index 0 means that the name follows.
//
// A client that calls the same methods again and again sends the same few bytes again and again,
// as long as it puts nothing new into the table: what they mean is remembered.
import { type Field, fieldOf, withValue } from './field.js'
import { type FieldSection, FieldSectionBuilder } from './field-section.js'
import { HpackError } from './hpack-error.js'
import { DynamicTable, defaultTableBytes } from './hpack-tables.js'
import { huffmanDecoded } from './huffman.js'

export interface HpackDecoderOptions {
  /** What our SETTINGS allow; the client's table has this size until it says otherwise. */
  readonly tableBytesMax?: number
  /** Of the fields of one block, as RFC 9113 §6.5.2 counts for SETTINGS_MAX_HEADER_LIST_SIZE. */
  readonly listBytesMax: number
}

/** Longer blocks hold strings, and hardly come twice. */
const knownBlockBytesMax = 64

/** Places for blocks that are remembered; a power of two. Clients use a handful of methods. */
const knownBlocksMax = 32

interface KnownBlock {
  readonly bytes: Buffer
  readonly section: FieldSection
}

/** Bytes of a number after its first. Four give 2^28, more than any size that can be meant. */
const continuationBytesMax = 4

export class HpackDecoder {
  readonly #table: DynamicTable
  readonly #tableBytesMax: number
  readonly #listBytesMax: number
  /** By a hash of their bytes. True for the table as it is; emptied when it changes. */
  #known: (KnownBlock | undefined)[] = []
  /** Where the block is read. */
  #at = 0

  constructor({ tableBytesMax = defaultTableBytes, listBytesMax }: HpackDecoderOptions) {
    this.#table = new DynamicTable(tableBytesMax)
    this.#tableBytesMax = tableBytesMax
    this.#listBytesMax = listBytesMax
  }

  /** Of the table now, as fields count. */
  get tableBytes(): number {
    return this.#table.bytes
  }

  /**
   * Every block of the connection must go through here, in the order in which they came. Throws
   * HpackError, after which the decoder is of no use. Keeps nothing of `block`.
   */
  decode(block: Buffer, from: number, end: number): FieldSection {
    if (end - from > knownBlockBytesMax) return this.#read(block, from, end)
    const place = hashOf(block, from, end) & (knownBlocksMax - 1)
    const known = this.#known[place]
    if (known !== undefined && isEqual(known.bytes, block, from, end)) return known.section
    const table = this.#known
    const section = this.#read(block, from, end)
    // Joined values are kept by nobody else, and are as long as the client likes.
    if (this.#known === table && !section.isJoined) {
      this.#known[place] = { bytes: Buffer.from(block.subarray(from, end)), section }
    }
    return section
  }

  #read(block: Buffer, from: number, end: number): FieldSectionBuilder {
    const section = new FieldSectionBuilder(this.#listBytesMax)
    this.#at = from
    while (this.#at < end && isSizeUpdate(block[this.#at] as number)) this.#resize(block, end)
    while (this.#at < end) section.add(this.#field(block, end))
    return section
  }

  #resize(block: Buffer, end: number): void {
    const size = this.#number(block, end, 5)
    if (size > this.#tableBytesMax) {
      throw new HpackError(`a table of ${size} bytes, not ${this.#tableBytesMax}`)
    }
    this.#table.resize(size)
    this.#known = []
  }

  #field(block: Buffer, end: number): Field {
    const first = block[this.#at] as number
    if (first >= 0x80) return this.#table.at(this.#number(block, end, 7))
    if (isSizeUpdate(first)) throw new HpackError('a change of the table after a field')
    const isForTable = first >= 0x40
    const index = this.#number(block, end, isForTable ? 6 : 4)
    const named = index === 0 ? this.#text(block, end) : this.#table.at(index)
    const value = this.#text(block, end)
    const field = typeof named === 'string' ? fieldOf(named, value) : withValue(named, value)
    if (isForTable) {
      this.#table.add(field)
      this.#known = []
    }
    return field
  }

  /** A number in the lower `bits` of the byte here, and those after it (§5.1). */
  #number(block: Buffer, end: number, bits: number): number {
    const most = (1 << bits) - 1
    let value = (block[this.#at++] as number) & most
    if (value < most) return value
    for (let count = 0; count < continuationBytesMax; count++) {
      if (this.#at >= end) throw new HpackError('a number that is cut off')
      const byte = block[this.#at++] as number
      value += (byte & 0x7f) << (7 * count)
      if (byte < 0x80) return value
    }
    throw new HpackError('a number that is too large')
  }

  /** A string (§5.2): its first bit says whether it is coded. */
  #text(block: Buffer, end: number): string {
    if (this.#at >= end) throw new HpackError('a field that is cut off')
    const isCoded = (block[this.#at] as number) >= 0x80
    const size = this.#number(block, end, 7)
    const from = this.#at
    const stop = from + size
    if (stop > end) throw new HpackError('a string that is cut off')
    this.#at = stop
    return isCoded ? huffmanDecoded(block, from, stop) : block.toString('latin1', from, stop)
  }
}

const isSizeUpdate = (first: number): boolean => (first & 0xe0) === 0x20

function hashOf(block: Buffer, from: number, end: number): number {
  let hash = 0
  for (let at = from; at < end; at++) hash = (Math.imul(hash, 31) + (block[at] as number)) | 0
  return hash ^ (hash >>> 5) // the last bytes alone would decide
}

function isEqual(bytes: Buffer, block: Buffer, from: number, end: number): boolean {
  if (bytes.length !== end - from) return false
  for (let at = 0; at < bytes.length; at++) if (bytes[at] !== block[from + at]) return false
  return true
}
