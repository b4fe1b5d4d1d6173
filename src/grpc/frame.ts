// frame.ts: messages in the byte stream of a call. Each has a head of five bytes:
//
//     0            1                    5
//     | compressed | length, big endian | message ... |
//
// HTTP/2 cuts that stream anywhere, so the reader keeps what it has. A message that arrived whole
// in one piece is handed on as a view of that piece, without a copy.
import { RpcError, Status } from './status.js'

export const messageHeadBytes = 5

/** What a server has ready for a message that it knows only the length of. */
const firstBytes = 16 * 1024

/** Messages one behind the other, each with its head: as they go over the wire. */
export interface Framed {
  readonly bytes: Buffer
  readonly count: number
}

/** Of a message that is not compressed. */
export function writeMessageHead(into: Buffer, at: number, size: number): void {
  into[at] = 0
  into[at + 1] = size >>> 24
  into[at + 2] = size >>> 16
  into[at + 3] = size >>> 8
  into[at + 4] = size
}

/** The messages themselves, as views. */
export function unframed({ bytes, count }: Framed): Buffer[] {
  let at = 0
  return Array.from({ length: count }, () => {
    const start = at + messageHeadBytes
    at = start + bytes.readUInt32BE(at + 1)
    return bytes.subarray(start, at)
  })
}

export function frame(message: Uint8Array): Buffer {
  return frames([message])
}

/** One after the other in one piece, so that several messages cost one write. */
export function frames(messages: readonly Uint8Array[]): Buffer {
  let size = 0
  for (const { length } of messages) size += messageHeadBytes + length
  const framed = Buffer.allocUnsafe(size)
  let at = 0
  for (const message of messages) {
    writeMessageHead(framed, at, message.length)
    framed.set(message, at + messageHeadBytes)
    at += messageHeadBytes + message.length
  }
  return framed
}

export interface FrameReaderOptions {
  readonly maxBytes: number
  /** The peer's grpc-encoding header, if it sent one. */
  readonly encoding?: string | undefined
  /** A server that cannot decompress says Unimplemented; a client never asked for compression. */
  readonly side: 'client' | 'server'
}

/** Turns pieces into messages. After an error it must not be used again. */
export class FrameReader {
  readonly #options: FrameReaderOptions
  readonly #onMessage: (message: Buffer) => void
  readonly #head = Buffer.alloc(messageHeadBytes)
  #headFill = 0
  #body: Buffer | undefined // the message being put together, once its head is complete
  #bodyFill = 0
  /** Of the message. Invariant: #bodyFill <= #body.length <= #bodyBytes. */
  #bodyBytes = 0

  constructor(options: FrameReaderOptions, onMessage: (message: Buffer) => void) {
    this.#options = options
    this.#onMessage = onMessage
  }

  /** True between messages; false when the stream may not end here. */
  get isBetween(): boolean {
    return this.#headFill === 0
  }

  /** Returns the error that ends the call, if the piece holds one. */
  push(piece: Buffer): RpcError | undefined {
    let at = 0
    while (at < piece.length) {
      if (this.#body !== undefined) {
        at += this.#fill(this.#body, piece, at)
        continue
      }
      const whole = this.#headFill === 0 && piece.length - at >= messageHeadBytes
      if (!whole) at += this.#fillHead(piece, at)
      if (!whole && this.#headFill < messageHeadBytes) return undefined
      const flag = whole ? (piece[at] ?? 0) : (this.#head[0] ?? 0)
      const length = whole ? piece.readUInt32BE(at + 1) : this.#head.readUInt32BE(1)
      if (whole) at += messageHeadBytes
      const error = this.#check(flag, length)
      if (error !== undefined) return error
      if (piece.length - at >= length) {
        this.#headFill = 0
        this.#onMessage(piece.subarray(at, at + length))
        at += length
      } else {
        this.#headFill = messageHeadBytes
        this.#bodyFill = 0
        this.#bodyBytes = length
        // A server does not take a client's word for what is to come: ten thousand calls that
        // announce two megabytes each, and send none, are to cost nothing.
        const isTrusted = this.#options.side === 'client'
        try {
          this.#body = Buffer.allocUnsafeSlow(isTrusted ? length : Math.min(length, firstBytes))
        } catch (cause) {
          // A limit of gigabytes lets a peer announce more than there is.
          const details = `no memory for a message of ${length} bytes`
          return new RpcError(Status.resourceExhausted, details, { cause })
        }
      }
    }
    return undefined
  }

  #fillHead(piece: Buffer, at: number): number {
    const taken = piece.copy(this.#head, this.#headFill, at, at + messageHeadBytes - this.#headFill)
    this.#headFill += taken
    return taken
  }

  #fill(held: Buffer, piece: Buffer, at: number): number {
    const end = Math.min(this.#bodyBytes, this.#bodyFill + piece.length - at)
    const body = end <= held.length ? held : this.#grown(held, end)
    const taken = piece.copy(body, this.#bodyFill, at, at + end - this.#bodyFill)
    this.#bodyFill += taken
    if (this.#bodyFill === this.#bodyBytes) {
      this.#body = undefined
      this.#headFill = 0
      this.#onMessage(body)
    }
    return taken
  }

  /** Twice as large, so that all in all each byte is copied but a few times. */
  #grown(held: Buffer, leastBytes: number): Buffer {
    const size = Math.min(this.#bodyBytes, Math.max(2 * held.length, leastBytes))
    const body = Buffer.allocUnsafeSlow(size)
    held.copy(body, 0, 0, this.#bodyFill)
    this.#body = body
    return body
  }

  #check(flag: number, length: number): RpcError | undefined {
    const { maxBytes, encoding, side } = this.#options
    if (flag > 1) {
      return new RpcError(Status.internal, `grpc: received unexpected payload format ${flag}`)
    }
    if (flag === 1 && (encoding === undefined || encoding === 'identity')) {
      const details = 'grpc: compressed flag set with identity or empty encoding'
      return new RpcError(Status.internal, details)
    }
    if (flag === 1) {
      const code = side === 'server' ? Status.unimplemented : Status.internal
      const details = `grpc: Decompressor is not installed for grpc-encoding "${encoding}"`
      return new RpcError(code, details)
    }
    return length > maxBytes ? tooLarge('received message', length, maxBytes) : undefined
  }
}

/** The refusal of a message that this end will not send; undefined if it may go. */
export function sendError(message: Uint8Array, maxBytes: number): RpcError | undefined {
  if (message.length <= maxBytes) return undefined
  return tooLarge('trying to send message', message.length, maxBytes)
}

function tooLarge(what: string, bytes: number, maxBytes: number): RpcError {
  // Both texts are grpc-go's; only the one for receiving carries its prefix.
  const prefix = what.startsWith('received') ? 'grpc: ' : ''
  const details = `${prefix}${what} larger than max (${bytes} vs. ${maxBytes})`
  return new RpcError(Status.resourceExhausted, details, { unprocessed: prefix === '' })
}
