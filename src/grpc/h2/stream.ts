// stream.ts: one request and its answer. The connection says what came; what is to go waits here
// until the outflow finds room for it.
//
// Either end of a stream ends by itself (isRemoteDone, isLocalDone); when both have, or either
// side resets it, it is closed and its owner is told, once.
import type { Headers } from './field-section.js'
import type { ErrorCode } from './frame-types.js'
import { HeldBytes } from './held-bytes.js'
import type { HeaderField } from './hpack-encoder.js'
import { ReceiveWindow } from './receive-window.js'

export type Fields = readonly HeaderField[]

/** Who reads the request. */
export interface StreamReader {
  /** A view of what was received; not called while the stream is paused. */
  onData(piece: Buffer): void
  /** The request is whole. */
  onEnd(): void
  /** All that was written has gone, after a write() that said there was no room. */
  onDrain(): void
}

/** Who is told how the stream fares. */
export interface StreamOwner {
  /** The answer has left, to its end. */
  onSent(): void
  onClose(): void
}

/** The connection, as its streams see it. */
export interface Carrier {
  /** False: there is no room for all of it at once. */
  reply(stream: Stream, message: Uint8Array): boolean
  respond(stream: Stream, headers: Fields): void
  /** The stream has something to send that it had not before. */
  send(stream: Stream): void
  /** So many bytes of the request are no longer held. */
  consumed(stream: Stream, bytes: number): void
  reset(stream: Stream, code: ErrorCode): void
}

/** Of an answer of gRPC. */
export const answerHeaders: Fields = [
  [':status', '200'],
  ['content-type', 'application/grpc'],
]

export const okTrailers: Fields = [['grpc-status', '0']]

export class Stream {
  readonly id: number
  readonly headers: Headers
  reader: StreamReader | undefined
  owner: StreamOwner | undefined
  isRemoteDone = false
  isLocalDone = false
  isClosed = false

  // For the connection and its outflow alone.
  /** What the client takes; negative after it has made its window smaller. */
  sendWindow: number
  readonly receiveWindow: ReceiveWindow
  queue: Buffer[] = []
  queuedBytes = 0
  hasSentHeaders = false
  isEnding = false
  /** Behind the queue; undefined: the data are the end. */
  trailers: Fields | undefined
  wantsDrain = false
  readonly #carrier: Carrier
  /** What is left of a content-length; undefined: the client named none. */
  #expectedBytes: number | undefined
  #isPaused = false
  #isEndHanded = false
  readonly #held = new HeldBytes()

  constructor(
    carrier: Carrier,
    id: number,
    headers: Headers,
    windows: { send: number; receive: number },
  ) {
    this.#carrier = carrier
    this.id = id
    this.headers = headers
    this.sendWindow = windows.send
    this.receiveWindow = new ReceiveWindow(windows.receive)
    const length = headers['content-length']
    if (length !== undefined) this.#expectedBytes = /^\d+$/.test(length) ? Number(length) : -1
  }

  /** Headers, one message and status OK, together where there is room. */
  reply(message: Uint8Array): void {
    if (!this.#isWritable || this.#carrier.reply(this, message)) return
    const head = Buffer.alloc(5)
    head.writeUInt32BE(message.length, 1)
    this.write(head, Buffer.from(message.buffer, message.byteOffset, message.length))
    this.end(okTrailers)
  }

  /** The headers of an answer; without this they are those of gRPC. */
  respond(headers: Fields): void {
    if (this.#isWritable && !this.hasSentHeaders) this.#carrier.respond(this, headers)
  }

  /** False: not all could go yet; the reader is told when it has. Pieces must not change. */
  write(...pieces: Buffer[]): boolean {
    if (!this.#isWritable) return true
    if (!this.hasSentHeaders) this.respond(answerHeaders)
    for (const piece of pieces) {
      if (piece.length === 0) continue
      this.queue.push(piece)
      this.queuedBytes += piece.length
    }
    this.#carrier.send(this)
    this.wantsDrain = this.queuedBytes > 0
    return !this.wantsDrain
  }

  /** Nothing follows but these; where nothing was before, they go with the headers. */
  end(trailers: Fields | undefined): void {
    if (!this.#isWritable) return
    this.isEnding = true
    if (!this.hasSentHeaders) this.#carrier.respond(this, [...answerHeaders, ...(trailers ?? [])])
    else {
      this.trailers = trailers
      this.#carrier.send(this)
    }
  }

  reset(code: ErrorCode): void {
    if (!this.isClosed) this.#carrier.reset(this, code)
  }

  /** Nothing is handed on until resume(); the window holds the client up. */
  pause(): void {
    this.#isPaused = true
  }

  resume(): void {
    if (!this.#isPaused) return
    this.#isPaused = false
    while (!this.#isPaused) {
      const piece = this.#held.shift()
      if (piece === undefined) break
      this.#hand(piece)
    }
    if (this.isRemoteDone) this.#handEnd()
  }

  /** Of the connection: so much content came. False: it is not what content-length says. */
  expects(bytes: number, isEnd: boolean): boolean {
    if (this.#expectedBytes === undefined) return true
    this.#expectedBytes -= bytes
    return isEnd ? this.#expectedBytes === 0 : this.#expectedBytes >= 0
  }

  /** Of the connection: data came. */
  receive(piece: Buffer): void {
    if (this.#isPaused) this.#held.push(piece)
    else this.#hand(piece)
  }

  /** Of the connection: nothing more comes. */
  receiveEnd(): void {
    this.isRemoteDone = true
    this.#handEnd()
  }

  /** Of the connection: over, by whomever. Returns the bytes that nobody will read. */
  close(): number {
    this.isClosed = true
    this.queue = []
    this.queuedBytes = 0
    const unreadBytes = this.#held.bytes
    this.#held.clear()
    this.owner?.onClose()
    return unreadBytes
  }

  get #isWritable(): boolean {
    return !this.isClosed && !this.isLocalDone && !this.isEnding
  }

  #handEnd(): void {
    if (this.#isPaused || this.isClosed || this.#isEndHanded) return
    this.#isEndHanded = true
    this.reader?.onEnd()
  }

  #hand(piece: Buffer): void {
    this.#carrier.consumed(this, piece.length)
    this.reader?.onData(piece)
  }
}
