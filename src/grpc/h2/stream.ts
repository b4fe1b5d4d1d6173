// stream.ts: one request and its answer, at either end. The connection says what came; what is to
// go waits here until the outflow finds room for it.
//
// Either end of a stream ends by itself (isRemoteDone, isLocalDone); when both have, or either
// side resets it, it is closed and its owner is told, once.
import type { Headers } from './field-section.js'
import type { ErrorCode } from './frame-types.js'
import { HeldBytes, type HeldBytesOptions } from './held-bytes.js'
import type { HeaderField } from './hpack-encoder.js'
import { ReceiveWindow } from './receive-window.js'

export type Fields = readonly HeaderField[]

/** Who reads what the peer sends: a request, or an answer. */
export interface StreamReader {
  /** The headers of an answer; those of a request were there before its reader. */
  onHead?(headers: Headers): void
  /** A view of what was received; not called while the stream is paused. */
  onData(piece: Buffer): void
  /** Behind all data, and told at once: some of those may still be held by a pause. */
  onTrailers?(headers: Headers): void
  /** It is whole. */
  onEnd(): void
  /** All that was written has gone, after a write() that said there was no room. */
  onDrain(): void
}

/** Who is told how the stream fares. */
export interface StreamOwner {
  /** What we had to say has left, to its end. */
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
  /** So many bytes of what came are no longer held. */
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
  /** Of the peer; empty before begin(). */
  headers: Headers = {}
  hasHead = false
  reader: StreamReader | undefined
  owner: StreamOwner | undefined
  isRemoteDone = false
  isLocalDone = false
  isClosed = false
  /** Why it was closed before its end, by whomever; undefined: the connection is gone. */
  resetCode: number | undefined

  // For the connection and its outflow alone.
  /** What the peer takes; negative after it has made its window smaller. */
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
  /** What is left of a content-length; undefined: the peer named none. */
  #expectedBytes: number | undefined
  #isPaused = false
  #isEndHanded = false
  readonly #held: HeldBytes

  /** `mayKeep`: see HeldBytesOptions. */
  constructor(
    carrier: Carrier,
    id: number,
    { mayKeep, ...windows }: { send: number; receive: number } & HeldBytesOptions,
  ) {
    this.#carrier = carrier
    this.id = id
    this.#held = new HeldBytes({ mayKeep })
    this.sendWindow = windows.send
    this.receiveWindow = new ReceiveWindow(windows.receive)
  }

  /** Of the connection: the peer's headers are here. */
  begin(headers: Headers): void {
    this.headers = headers
    this.hasHead = true
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

  /** Our headers; without this they are those of an answer of gRPC. */
  respond(headers: Fields): void {
    if (this.#isWritable && !this.hasSentHeaders) this.#carrier.respond(this, headers)
  }

  /** False: not all could go yet; the reader is told when it has. Pieces must not change. */
  write(...pieces: Buffer[]): boolean {
    if (!this.#isWritable) return true
    if (!this.hasSentHeaders) this.respond(answerHeaders)
    for (const piece of pieces) this.#enqueue(piece)
    this.#carrier.send(this)
    this.wantsDrain = this.queuedBytes > 0
    return !this.wantsDrain
  }

  /** The piece is the end, and goes as such; the headers went before. */
  writeLast(piece: Buffer): void {
    if (!this.#isWritable) return
    this.#enqueue(piece)
    this.end(undefined)
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

  /** Nothing is handed on until resume(); the window holds the peer up. */
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

  /**
   * Of the connection: over, by whomever. Returns the bytes that nobody will read. `readsOn`: what
   * came to its end is read all the same.
   */
  close(readsOn: boolean): number {
    this.isClosed = true
    this.queue = []
    this.queuedBytes = 0
    const isKept = readsOn && this.isRemoteDone
    const unreadBytes = isKept ? 0 : this.#held.bytes
    if (!isKept) {
      this.#held.clear()
      this.#isEndHanded = true
    }
    this.owner?.onClose()
    return unreadBytes
  }

  get #isWritable(): boolean {
    return !this.isClosed && !this.isLocalDone && !this.isEnding
  }

  #enqueue(piece: Buffer): void {
    if (piece.length === 0) return
    this.queue.push(piece)
    this.queuedBytes += piece.length
  }

  #handEnd(): void {
    if (this.#isPaused || this.#isEndHanded) return
    this.#isEndHanded = true
    this.reader?.onEnd()
  }

  #hand(piece: Buffer): void {
    this.#carrier.consumed(this, piece.length)
    this.reader?.onData(piece)
  }
}
