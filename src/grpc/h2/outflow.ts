// outflow.ts: what a connection sends, in which order, and when. All of one turn of the event loop
// goes in one write. Data waits for three things: the window of its stream, the window of the
// connection, and the socket, which is given no more than it can soon be rid of. Streams that wait
// for the latter two stand in a ring and send a frame each in turn, so that a large answer does not
// hold up the others.
import { defaultWindowBytes, flag, framePayloadMax, frameType, largest31 } from './frame-types.js'
import { FrameWriter } from './frame-writer.js'
import { HpackEncoder } from './hpack-encoder.js'
import { answerHeaders, type Fields, okTrailers, type Stream } from './stream.js'

/** Where frames go. */
export interface Sink {
  /** Handed over and not yet sent. */
  readonly pendingBytes: number
  /** When much was written, the connection is told (drained()) that all of it has left. */
  write(pieces: readonly Buffer[]): void
}

/** Enough to keep a fast client busy; beyond this, answers wait where they can be withdrawn. */
const pendingBytesMax = 256 * 1024

const nothing = Buffer.alloc(0)

// Taken now: fake timers that a test puts in its place later are to stop the test's code alone.
const { nextTick } = process

export interface OutflowOptions {
  readonly sink: Sink
  /** The stream's own side is done: END_STREAM went. */
  onEnded(stream: Stream): void
}

export class Outflow {
  readonly #sink: Sink
  readonly #onEnded: (stream: Stream) => void
  readonly #frames = new FrameWriter()
  readonly #encoder = new HpackEncoder()
  /** With data, and held up by the connection's window or the socket. */
  readonly #ring = new Set<Stream>()
  #window = defaultWindowBytes
  #isFlushDue = false
  #isClosed = false

  constructor({ sink, onEnded }: OutflowOptions) {
    this.#sink = sink
    this.#onEnded = onEnded
  }

  /** Bytes that the peer has not taken from us. */
  get pendingBytes(): number {
    return this.#sink.pendingBytes + this.#frames.size
  }

  /** So much waits for the socket that nothing more should be begun before it has proceeded. */
  get isFull(): boolean {
    return this.pendingBytes > pendingBytesMax
  }

  /** What stands before all frames. */
  greet(preface: Uint8Array): void {
    this.#frames.put(preface)
    this.#flushSoon()
  }

  /** A frame of the connection's own, at once. */
  control(type: number, flags: number, stream: number, payload: Uint8Array = nothing): void {
    this.#frames.frame(type, flags, stream, payload)
    this.#flushSoon()
  }

  /** A frame whose payload is one number. */
  number(type: number, stream: number, value: number): void {
    this.#frames.head(type, 0, stream, 4)
    this.#frames.uint32(value)
    this.#flushSoon()
  }

  /** The peer's table of header fields takes this from now on. */
  limitTable(bytes: number): void {
    this.#encoder.limitTable(bytes)
  }

  respond(stream: Stream, headers: Fields): void {
    stream.hasSentHeaders = true
    this.#headers(stream, headers, stream.isEnding)
    if (stream.isEnding) this.#ended(stream)
    this.#flushSoon()
  }

  /** The whole of a small answer. False: not all of it can go now, and nothing went. */
  reply(stream: Stream, message: Uint8Array): boolean {
    const size = 5 + message.length
    if (stream.hasSentHeaders || size > framePayloadMax) return false
    if (size > stream.sendWindow || size > this.#window || this.#ring.size > 0) return false
    if (this.isFull) return false
    stream.hasSentHeaders = true
    stream.isEnding = true
    this.#window -= size
    this.#headers(stream, answerHeaders, false)
    const frames = this.#frames
    frames.head(frameType.data, 0, stream.id, size)
    frames.messageHead(message.length)
    frames.put(message)
    this.#headers(stream, okTrailers, true)
    this.#ended(stream)
    this.#flushSoon()
    return true
  }

  /** Sends of a stream what can go. */
  send(stream: Stream): void {
    if (stream.isLocalDone) return // its window may still grow
    if (stream.queuedBytes > 0 && (this.#ring.size > 0 || this.#isBlocked)) {
      this.#ring.add(stream)
      return
    }
    while (this.#sendFrame(stream)) {
      if (!this.#isBlocked || stream.queuedBytes === 0) continue
      this.#ring.add(stream)
      return
    }
  }

  /** False: the window is larger than windows may be. */
  grow(bytes: number): boolean {
    this.#window += bytes
    if (this.#window > largest31) return false
    this.proceed()
    return true
  }

  /** The socket or the window has room again. */
  proceed(): void {
    // Streams that are put back come again at the end: a Set goes through its additions, too.
    for (const stream of this.#ring) {
      if (this.#isBlocked) return
      this.#ring.delete(stream)
      if (this.#sendFrame(stream)) this.#ring.add(stream)
    }
  }

  forget(stream: Stream): void {
    this.#ring.delete(stream)
  }

  flush(): void {
    if (this.#frames.size > 0 && !this.#isClosed) this.#sink.write(this.#frames.take())
  }

  close(): void {
    this.#isClosed = true
    this.#ring.clear()
  }

  get #isBlocked(): boolean {
    return this.#window <= 0 || this.isFull
  }

  /** One frame of data, or the end. True: there is more that the stream's window lets through. */
  #sendFrame(stream: Stream): boolean {
    if (stream.queuedBytes > 0) {
      const room = Math.min(framePayloadMax, stream.sendWindow, this.#window)
      if (room <= 0) return false
      const isLast = stream.queuedBytes <= room && stream.isEnding && stream.trailers === undefined
      this.#sendData(stream, Math.min(room, stream.queuedBytes), isLast ? flag.endStream : 0)
      if (stream.queuedBytes > 0) return stream.sendWindow > 0
      this.#tellDrained(stream)
      if (isLast) {
        this.#ended(stream)
        return false
      }
    }
    if (stream.isEnding) this.#sendEnd(stream)
    return false
  }

  /** Who waited for room is told, even if nothing more is to come. */
  #tellDrained(stream: Stream): void {
    if (!stream.wantsDrain) return
    stream.wantsDrain = false
    stream.reader?.onDrain()
  }

  #sendData(stream: Stream, size: number, flags: number): void {
    const { queue } = stream
    this.#frames.head(frameType.data, flags, stream.id, size)
    stream.queuedBytes -= size
    stream.sendWindow -= size
    this.#window -= size
    let rest = size
    let at = 0
    for (; rest > 0; at++) {
      const piece = queue[at] as Buffer
      if (piece.length > rest) {
        this.#frames.put(piece.subarray(0, rest))
        queue[at] = piece.subarray(rest)
        break
      }
      this.#frames.put(piece)
      rest -= piece.length
    }
    queue.splice(0, at)
    this.#flushSoon()
  }

  #sendEnd(stream: Stream): void {
    const { trailers } = stream
    if (trailers !== undefined) this.#headers(stream, trailers, true)
    else this.#frames.frame(frameType.data, flag.endStream, stream.id, nothing)
    this.#ended(stream)
    this.#flushSoon()
  }

  #ended(stream: Stream): void {
    stream.isLocalDone = true
    stream.owner?.onSent()
    this.#onEnded(stream)
  }

  /** A block that is too long for one frame goes on in others (RFC 9113 §6.10). */
  #headers(stream: Stream, fields: Fields, isEnd: boolean): void {
    const block = this.#encoder.encode(fields)
    const endFlag = isEnd ? flag.endStream : 0
    if (block.length <= framePayloadMax) {
      this.#frames.frame(frameType.headers, flag.endHeaders | endFlag, stream.id, block)
      return
    }
    for (let at = 0; at < block.length; at += framePayloadMax) {
      const part = block.subarray(at, at + framePayloadMax)
      const lastFlag = at + framePayloadMax >= block.length ? flag.endHeaders : 0
      if (at === 0) this.#frames.frame(frameType.headers, endFlag | lastFlag, stream.id, part)
      else this.#frames.frame(frameType.continuation, lastFlag, stream.id, part)
    }
  }

  #flushSoon(): void {
    if (this.#isFlushDue) return
    this.#isFlushDue = true
    nextTick(this.#flushNow)
  }

  readonly #flushNow = (): void => {
    this.#isFlushDue = false
    this.flush()
  }
}
