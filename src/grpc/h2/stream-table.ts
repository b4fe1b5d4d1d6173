// stream-table.ts: the streams of a connection: which are open, what comes for each, and what may
// come. An error of a stream resets it and leaves the rest alone; what no connection survives is
// thrown as a ConnectionFault.
//
// A stream is idle before its id was named, then in the table, then closed for ever; ids rise. So
// the last id that was taken tells idle ones from closed ones, of which nothing is kept but the
// latest numbers of those that we reset: their clients may not have heard of it yet.
import type { Allowance } from './allowance.js'
import {
  ConnectionFault,
  flood,
  protocolFault,
  sizeFault,
  windowFault,
  withoutPadding,
} from './faults.js'
import { requestFault, trailersFault } from './field-section.js'
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
import type { OwnSettings } from './settings.js'
import { type Carrier, type Fields, Stream } from './stream.js'

/** Reset by us, and still remembered: trailers on their way break no rule (RFC 9113 §5.1). */
const resetIdsMax = 100

export interface StreamTableOptions extends OwnSettings {
  readonly connectionWindowBytes: number
  onStream(stream: Stream): void
  /** The last one was closed. */
  onIdle(): void
  onTooManyResets(): void
}

export interface StreamTableParts {
  readonly sink: Sink
  /** Frames of DATA without data. */
  readonly emptyFrames: Allowance
  /** Calls that the client takes back, or has us give up by breaking their rules. */
  readonly resets: Allowance
}

export class StreamTable implements Carrier {
  readonly outflow: Outflow
  /** New ones are turned away from now on. */
  isRefusing = false
  readonly #options: StreamTableOptions
  readonly #resets: Allowance
  readonly #emptyFrames: Allowance
  readonly #streams = new Map<number, Stream>()
  /** Of all streams together. */
  readonly #receiveWindow: ReceiveWindow
  /** What the client takes of a new stream. */
  #sendWindowBytes = defaultWindowBytes
  #lastId = 0
  /** The latest, oldest first. */
  readonly #resetIds = new Set<number>()

  constructor({ sink, emptyFrames, resets }: StreamTableParts, options: StreamTableOptions) {
    this.#options = options
    this.outflow = new Outflow({ sink, onEnded: (stream) => this.#onSideEnded(stream) })
    this.#emptyFrames = emptyFrames
    this.#resets = resets
    this.#receiveWindow = new ReceiveWindow(options.connectionWindowBytes)
  }

  get size(): number {
    return this.#streams.size
  }

  /** Of the streams that were taken. */
  get lastId(): number {
    return this.#lastId
  }

  /** The client's SETTINGS, for streams that are open as well. */
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
    for (const stream of streams) stream.close()
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
    this.#giveBack(bytes)
    if (stream.isRemoteDone || stream.isClosed) return
    const more = stream.receiveWindow.giveBack(bytes)
    if (more > 0) this.outflow.number(frameType.windowUpdate, stream.id, more)
  }

  reset(stream: Stream, code: ErrorCode): void {
    this.#sendReset(stream.id, code)
    this.#close(stream)
  }

  onData({ stream: id, flags }: FrameHead, bytes: Buffer, start: number, stop: number): void {
    if (id === 0) throw protocolFault('DATA on no stream')
    const { from, end } = withoutPadding(flags, bytes, start, stop)
    const isEnd = (flags & flag.endStream) !== 0
    if (start === stop && !isEnd && !this.#emptyFrames.take()) throw flood('empty frames')
    // Padding counts, too (RFC 9113 §6.9.1).
    const size = stop - start
    if (!this.#receiveWindow.take(size)) throw windowFault('the connection')
    const stream = this.#openStream(id)
    if (stream === undefined) {
      this.#giveBack(size)
      this.outflow.number(frameType.reset, id, errorCode.streamClosed)
      return
    }
    const problem = dataProblem(stream, { size, contentBytes: end - from, isEnd })
    if (problem !== undefined) {
      this.#giveBack(size)
      this.#giveUp(stream, problem)
      return
    }
    const paddingBytes = size - (end - from)
    if (paddingBytes > 0) this.consumed(stream, paddingBytes)
    if (end > from) stream.receive(bytes.subarray(from, end))
    if (isEnd) this.#onRemoteEnd(stream)
    // Our answer is complete, and the client still sends: it need not (RFC 9113 §8.1).
    else if (stream.isLocalDone && end > from) stream.reset(errorCode.none)
  }

  onBlock(block: HeaderBlock | undefined): void {
    if (block === undefined) return // it goes on
    const { stream: id, section, isEnd } = block
    if ((id & 1) === 0) throw protocolFault('a stream of an even number')
    const known = this.#streams.get(id)
    if (known !== undefined) {
      this.#onTrailers(known, block)
      return
    }
    if (this.#resetIds.has(id)) {
      // No trailers are so, whatever the client knew.
      if (!isEnd) this.outflow.number(frameType.reset, id, errorCode.protocol)
      return
    }
    if (id <= this.#lastId) throw new ConnectionFault(errorCode.streamClosed, 'HEADERS again')
    const problem = this.#problemOf(block)
    if (!this.isRefusing) this.#lastId = id
    if (problem !== undefined) {
      this.#sendReset(id, problem)
      return
    }
    const windows = {
      send: this.#sendWindowBytes,
      receive: this.#options.streamWindowBytes,
    }
    const stream = new Stream(this, id, section.headers, windows)
    this.#streams.set(id, stream)
    if (isEnd && !stream.expects(0, true)) {
      this.#giveUp(stream, errorCode.protocol)
      return
    }
    this.#options.onStream(stream)
    if (isEnd) this.#onRemoteEnd(stream)
  }

  /** Why a request is not served. */
  #problemOf({ section, isSelfDependent }: HeaderBlock): ErrorCode | undefined {
    if (this.isRefusing) return errorCode.refusedStream
    if (this.#streams.size >= this.#options.streamsMax) return errorCode.refusedStream
    if (section.isTooLarge) return errorCode.enhanceYourCalm
    const isMalformed = isSelfDependent || requestFault(section) !== undefined
    return isMalformed ? errorCode.protocol : undefined
  }

  #onTrailers(stream: Stream, { section, isEnd }: HeaderBlock): void {
    if (stream.isRemoteDone) this.#giveUp(stream, errorCode.streamClosed)
    else if (section.isTooLarge) this.#giveUp(stream, errorCode.enhanceYourCalm)
    else if (!isEnd || trailersFault(section) !== undefined || !stream.expects(0, true)) {
      this.#giveUp(stream, errorCode.protocol)
    } else this.#onRemoteEnd(stream)
  }

  /** It is still looked at, though nobody has to keep to it (RFC 9113 §5.3.2). */
  onPriority(id: number, bytes: Buffer, from: number, end: number): void {
    if (id === 0) throw protocolFault('PRIORITY on no stream')
    const isItself = end - from === 5 && (bytes.readUInt32BE(from) & 0x7fff_ffff) === id
    if (end - from === 5 && !isItself) return
    const code = isItself ? errorCode.protocol : errorCode.frameSize
    const stream = this.#streams.get(id)
    if (stream !== undefined) this.#giveUp(stream, code)
    else if (id <= this.#lastId) this.outflow.number(frameType.reset, id, code)
    // A reset must not name a stream that nobody opened.
    else throw new ConnectionFault(code, 'PRIORITY')
  }

  onReset(id: number, size: number): void {
    if (size !== 4) throw sizeFault('RST_STREAM', size)
    const stream = this.#openStream(id)
    if (stream === undefined) return
    this.#close(stream)
    this.#countReset()
  }

  onWindowUpdate(id: number, more: number): void {
    const stream = this.#openStream(id)
    if (stream === undefined) return
    stream.sendWindow += more
    if (more === 0) this.#giveUp(stream, errorCode.protocol)
    else if (stream.sendWindow > largest31) this.#giveUp(stream, errorCode.flowControl)
    else this.outflow.send(stream)
  }

  /** Undefined: it is closed. That it was never open is a fault. */
  #openStream(id: number): Stream | undefined {
    const stream = this.#streams.get(id)
    if (stream === undefined && (id === 0 || id > this.#lastId || (id & 1) === 0)) {
      // While calls are refused, clients may have gone on with some before they knew.
      if (!this.isRefusing || (id & 1) === 0) throw protocolFault(`stream ${id} is idle`)
    }
    return stream
  }

  /**
   * The client broke a rule of the stream. It counts as if it had taken the call back: otherwise
   * handlers could be started and left without end by who has us reset their streams.
   */
  #giveUp(stream: Stream, code: ErrorCode): void {
    stream.reset(code)
    this.#countReset()
  }

  #sendReset(id: number, code: ErrorCode): void {
    this.outflow.number(frameType.reset, id, code)
    this.#resetIds.add(id)
    for (const oldest of this.#resetIds) {
      if (this.#resetIds.size <= resetIdsMax) break
      this.#resetIds.delete(oldest)
    }
  }

  #countReset(): void {
    if (!this.#resets.take()) this.#options.onTooManyResets()
  }

  #onRemoteEnd(stream: Stream): void {
    stream.receiveEnd()
    this.#onSideEnded(stream)
  }

  #onSideEnded(stream: Stream): void {
    if (stream.isRemoteDone && stream.isLocalDone) this.#close(stream)
  }

  #close(stream: Stream): void {
    if (stream.isClosed) return
    this.#streams.delete(stream.id)
    this.outflow.forget(stream)
    this.#giveBack(stream.close())
    if (this.#streams.size === 0) this.#options.onIdle()
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
  if (!stream.receiveWindow.take(size)) return errorCode.flowControl
  return stream.expects(contentBytes, isEnd) ? undefined : errorCode.protocol
}
