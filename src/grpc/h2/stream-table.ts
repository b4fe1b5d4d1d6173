// stream-table.ts: the open streams of a connection, and what comes for each but headers. An error
// of a stream resets it and leaves the rest alone; what no connection survives is thrown as a
// ConnectionFault. What the two ends do differently are rules: server-streams.ts has those of the
// end that takes streams, client-streams.ts those of the end that opens them.
import { protocolFault, sizeFault, windowFault, withoutPadding } from './faults.js'
import { trailersFault } from './field-section.js'
import type { FrameHead } from './frame-splitter.js'
import {
  defaultWindowBytes,
  type ErrorCode,
  errorCode,
  flag,
  frameType,
  largest31,
} from './frame-types.js'
import type { HeaderBlock } from './header-blocks.js'
import { Outflow, type Sink } from './outflow.js'
import { ReceiveWindow } from './receive-window.js'
import { type Carrier, type Fields, Stream } from './stream.js'

export interface StreamRules {
  /**
   * What is held unread counts against the connection's window: it bounds all requests of a client
   * together. Answers do not: whoever leaves one unread is not to hold up the others.
   */
  readonly isHeldCounted: boolean
  /** What came to its end is read after its stream is closed. So are answers; requests are not. */
  readonly readsOn: boolean
  /** Whether a stream that is not open may be named: it was open, or the peer may think so. */
  wasOpen(id: number): boolean
  /** A frame of DATA without data. */
  onEmptyData(): void
  /** Data for a stream that was open. */
  onLateData(id: number): void
  /** Content was handed on, and more may come. */
  onContent(stream: Stream): void
  /** We reset it. */
  onOwnReset(id: number): void
  /** The peer reset one, or broke a rule so that we did. */
  onPeerReset(): void
  /** One is no longer open. */
  onClosed(): void
}

export interface StreamTableOptions {
  readonly streamWindowBytes: number
  readonly connectionWindowBytes: number
}

export class StreamTable implements Carrier {
  readonly outflow: Outflow
  readonly #rules: StreamRules
  readonly #streams = new Map<number, Stream>()
  /** Of all streams together. */
  readonly #receiveWindow: ReceiveWindow
  readonly #streamWindowBytes: number
  /** What the peer takes of a new stream. */
  #sendWindowBytes = defaultWindowBytes

  constructor(sink: Sink, rules: StreamRules, options: StreamTableOptions) {
    this.#rules = rules
    this.#streamWindowBytes = options.streamWindowBytes
    this.outflow = new Outflow({ sink, onEnded: (stream) => this.#onSideEnded(stream) })
    this.#receiveWindow = new ReceiveWindow(options.connectionWindowBytes)
  }

  get size(): number {
    return this.#streams.size
  }

  get(id: number): Stream | undefined {
    return this.#streams.get(id)
  }

  open(id: number): Stream {
    const stream = new Stream(this, id, {
      send: this.#sendWindowBytes,
      receive: this.#streamWindowBytes,
      mayKeep: !this.#rules.isHeldCounted,
    })
    this.#streams.set(id, stream)
    return stream
  }

  /** Nothing of it was sent. */
  drop(stream: Stream): void {
    this.#streams.delete(stream.id)
  }

  /** The peer's SETTINGS, for streams that are open as well. */
  resizeSendWindows(bytes: number): void {
    // It may well make their windows negative (RFC 9113 §6.9.2).
    const more = bytes - this.#sendWindowBytes
    this.#sendWindowBytes = bytes
    if (more === 0) return
    for (const stream of this.#streams.values()) {
      stream.sendWindow += more
      if (stream.sendWindow > largest31) throw windowFault('a stream')
      if (more > 0) this.outflow.send(stream)
    }
  }

  /** The connection is over. */
  closeAll(): void {
    this.outflow.close()
    const streams = [...this.#streams.values()]
    this.#streams.clear()
    for (const stream of streams) stream.close(this.#rules.readsOn)
  }

  /** The peer never looked at streams behind `lastId`, and has told us so. */
  refuseBeyond(lastId: number): void {
    for (const stream of [...this.#streams.values()]) {
      if (stream.id > lastId) this.#close(stream, errorCode.refusedStream)
    }
  }

  reply(stream: Stream, message: Uint8Array): boolean {
    return this.outflow.reply(stream, message)
  }

  respond(stream: Stream, headers: Fields): void {
    this.outflow.respond(stream, headers)
  }

  send(stream: Stream): void {
    this.outflow.send(stream)
  }

  consumed(stream: Stream, bytes: number): void {
    this.#release(bytes)
    if (stream.isRemoteDone || stream.isClosed) return
    const more = stream.receiveWindow.giveBack(bytes)
    if (more > 0) this.outflow.number(frameType.windowUpdate, stream.id, more)
  }

  reset(stream: Stream, code: ErrorCode): void {
    this.sendReset(stream.id, code)
    this.#close(stream, code)
  }

  sendReset(id: number, code: ErrorCode): void {
    this.outflow.number(frameType.reset, id, code)
    this.#rules.onOwnReset(id)
  }

  /** The peer broke a rule of the stream. */
  giveUp(stream: Stream, code: ErrorCode): void {
    stream.reset(code)
    this.#rules.onPeerReset()
  }

  onData({ stream: id, flags }: FrameHead, bytes: Buffer, start: number, stop: number): void {
    if (id === 0) throw protocolFault('DATA on no stream')
    const { from, end } = withoutPadding(flags, bytes, start, stop)
    const isEnd = (flags & flag.endStream) !== 0
    if (start === stop && !isEnd) this.#rules.onEmptyData()
    // Padding counts, too (RFC 9113 §6.9.1).
    const size = stop - start
    if (!this.#receiveWindow.take(size)) throw windowFault('the connection')
    if (!this.#rules.isHeldCounted) this.#giveBack(size)
    const stream = this.#openStream(id)
    if (stream === undefined) {
      this.#release(size)
      this.#rules.onLateData(id)
      return
    }
    const problem = dataProblem(stream, { size, contentBytes: end - from, isEnd })
    if (problem !== undefined) {
      this.#release(size)
      this.giveUp(stream, problem)
      return
    }
    const paddingBytes = size - (end - from)
    if (paddingBytes > 0) this.consumed(stream, paddingBytes)
    if (end > from) stream.receive(bytes.subarray(from, end))
    if (isEnd) this.remoteEnded(stream)
    else if (end > from) this.#rules.onContent(stream)
  }

  onTrailers(stream: Stream, { section, isEnd }: HeaderBlock): void {
    if (stream.isRemoteDone) this.giveUp(stream, errorCode.streamClosed)
    else if (section.isTooLarge) this.giveUp(stream, errorCode.enhanceYourCalm)
    else if (!isEnd || trailersFault(section) !== undefined || !stream.expects(0, true)) {
      this.giveUp(stream, errorCode.protocol)
    } else {
      stream.reader?.onTrailers?.(section.headers)
      this.remoteEnded(stream)
    }
  }

  onReset(id: number, bytes: Buffer, from: number, end: number): void {
    if (end - from !== 4) throw sizeFault('RST_STREAM', end - from)
    const stream = this.#openStream(id)
    if (stream === undefined) return
    this.#close(stream, bytes.readUInt32BE(from))
    this.#rules.onPeerReset()
  }

  onWindowUpdate(id: number, more: number): void {
    const stream = this.#openStream(id)
    if (stream === undefined) return
    stream.sendWindow += more
    if (more === 0) this.giveUp(stream, errorCode.protocol)
    else if (stream.sendWindow > largest31) this.giveUp(stream, errorCode.flowControl)
    else this.outflow.send(stream)
  }

  /** END_STREAM came. */
  remoteEnded(stream: Stream): void {
    stream.receiveEnd()
    this.#onSideEnded(stream)
  }

  /** Undefined: it is closed. That it was never open is a fault. */
  #openStream(id: number): Stream | undefined {
    const stream = this.#streams.get(id)
    if (stream === undefined && (id === 0 || (id & 1) === 0 || !this.#rules.wasOpen(id))) {
      throw protocolFault(`stream ${id} is idle`)
    }
    return stream
  }

  #onSideEnded(stream: Stream): void {
    if (stream.isRemoteDone && stream.isLocalDone) this.#close(stream)
  }

  #close(stream: Stream, code?: number): void {
    if (stream.isClosed) return
    this.#streams.delete(stream.id)
    this.outflow.forget(stream)
    stream.resetCode = code
    this.#release(stream.close(this.#rules.readsOn))
    this.#rules.onClosed()
  }

  /** Bytes that were held, or might have been. */
  #release(bytes: number): void {
    if (this.#rules.isHeldCounted) this.#giveBack(bytes)
  }

  /** Of the connection's window. */
  #giveBack(bytes: number): void {
    const more = bytes > 0 ? this.#receiveWindow.giveBack(bytes) : 0
    if (more > 0) this.outflow.number(frameType.windowUpdate, 0, more)
  }
}

/** Why data that came end their stream. */
function dataProblem(
  stream: Stream,
  { size, contentBytes, isEnd }: { size: number; contentBytes: number; isEnd: boolean },
): ErrorCode | undefined {
  if (stream.isRemoteDone) return errorCode.streamClosed
  if (!stream.hasHead) return errorCode.protocol
  if (!stream.receiveWindow.take(size)) return errorCode.flowControl
  return stream.expects(contentBytes, isEnd) ? undefined : errorCode.protocol
}
