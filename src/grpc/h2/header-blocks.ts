// header-blocks.ts: the header blocks of a connection: from HEADERS and the CONTINUATION frames
// behind it, between which nothing else may stand (RFC 9113 §6.10), to a request's headers or
// trailers. Every block is decoded, whatever becomes of its stream: the table of the decoder lives
// from all of them.
import { ConnectionFault, flood, protocolFault, sizeFault, withoutPadding } from './faults.js'
import type { FieldSection } from './field-section.js'
import type { FrameHead } from './frame-splitter.js'
import { errorCode, flag, frameType } from './frame-types.js'
import { HpackDecoder } from './hpack-decoder.js'
import { HpackError } from './hpack-error.js'

/** Coded. As long as what the list may have decoded: no coding makes fields longer. */
const blockBytesMax = 64 * 1024

/** Enough for such a block in frames of a kilobyte; empty ones cost no bytes. */
const partsMax = 128

const priorityBytes = 5

export interface HeaderBlock {
  readonly stream: number
  readonly section: FieldSection
  readonly isEnd: boolean
  /** It says that its stream depends on itself, which it may not. */
  readonly isSelfDependent: boolean
}

interface Open {
  readonly head: FrameHead
  readonly isSelfDependent: boolean
  readonly parts: Buffer[]
  bytes: number
}

export class HeaderBlocks {
  readonly #decoder: HpackDecoder
  #open: Open | undefined

  /** `listBytesMax`: see HpackDecoderOptions. */
  constructor(listBytesMax: number) {
    this.#decoder = new HpackDecoder({ listBytesMax })
  }

  /** Of every frame: whether it may stand here. */
  check({ type, stream }: FrameHead): void {
    const open = this.#open
    if (open === undefined ? type === frameType.continuation : type !== frameType.continuation) {
      throw protocolFault('a header block in pieces')
    }
    if (open !== undefined && stream !== open.head.stream) {
      throw protocolFault('a CONTINUATION of another stream')
    }
  }

  /** HEADERS. Undefined: the block goes on. */
  begin(head: FrameHead, bytes: Buffer, start: number, stop: number): HeaderBlock | undefined {
    if (head.stream === 0) throw protocolFault('HEADERS on no stream')
    let { from, end } = withoutPadding(head.flags, bytes, start, stop)
    let isSelfDependent = false
    if ((head.flags & flag.priority) !== 0) {
      if (end - from < priorityBytes) throw sizeFault('HEADERS with a priority', end - from)
      isSelfDependent = (bytes.readUInt32BE(from) & 0x7fff_ffff) === head.stream
      from += priorityBytes
    }
    if ((head.flags & flag.endHeaders) !== 0) {
      return this.#decoded(head, { bytes, from, end, isSelfDependent })
    }
    const parts = [Buffer.from(bytes.subarray(from, end))]
    this.#open = { head, isSelfDependent, parts, bytes: end - from }
    return undefined
  }

  /** CONTINUATION, after check(). */
  goOn({ flags }: FrameHead, bytes: Buffer, from: number, end: number): HeaderBlock | undefined {
    const open = this.#open as Open
    open.parts.push(Buffer.from(bytes.subarray(from, end)))
    open.bytes += end - from
    if (open.bytes > blockBytesMax || open.parts.length > partsMax) throw flood('header fields')
    if ((flags & flag.endHeaders) === 0) return undefined
    this.#open = undefined
    const block = Buffer.concat(open.parts)
    const { head, isSelfDependent } = open
    return this.#decoded(head, { bytes: block, from: 0, end: block.length, isSelfDependent })
  }

  #decoded(
    { stream, flags }: FrameHead,
    block: { bytes: Buffer; from: number; end: number; isSelfDependent: boolean },
  ): HeaderBlock {
    const { bytes, from, end, isSelfDependent } = block
    try {
      const section = this.#decoder.decode(bytes, from, end)
      return { stream, section, isEnd: (flags & flag.endStream) !== 0, isSelfDependent }
    } catch (error) {
      if (!(error instanceof HpackError)) throw error
      throw new ConnectionFault(errorCode.compression, error.message)
    }
  }
}
