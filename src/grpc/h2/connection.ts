// connection.ts: the server's end of an HTTP/2 connection (RFC 9113): bytes in, streams to whoever
// serves them, bytes out. It knows no socket, so that a test can hold one in its hand; socket.ts
// puts it on one.
//
// Errors of a stream reset it and leave the rest alone; errors of the connection are thrown as
// ConnectionFault anywhere below receive(), which says GOAWAY and ends everything.
import type { Clock, Timer } from '../../platform/clock.js'
import { Allowance } from './allowance.js'
import {
  ConnectionFault,
  flood,
  protocolFault,
  sizeFault,
  windowFault,
  withoutPadding,
} from './faults.js'
import { requestFault, trailersFault } from './field-section.js'
import { type FrameHead, FrameSplitter } from './frame-splitter.js'
import {
  defaultWindowBytes,
  type ErrorCode,
  errorCode,
  flag,
  frameType,
  largest31,
} from './frame-types.js'
import { type HeaderBlock, HeaderBlocks } from './header-blocks.js'
import { Outflow, type Sink } from './outflow.js'
import { ReceiveWindow } from './receive-window.js'
import {
  defaultPeerSettings,
  type OwnSettings,
  settingsAfter,
  settingsPayload,
} from './settings.js'
import { type Carrier, type Fields, Stream } from './stream.js'

/** What lies around unread by a client that goes on to ask: it is not listened to meanwhile. */
const unreadBytesMax = 1024 * 1024

/**
 * What costs a client nothing: streams that it resets, frames of DATA without data, settings. The
 * numbers are nghttp2's for resets, in use since the floods of 2023.
 */
const trifles = { burst: 1000, perSecond: 33 }

/** A client that does not answer the ping behind a first GOAWAY gets the second without it. */
const goawayPingMs = 5_000

/** How long a client that was told to go may take to hang up. */
const lingerMs = 1_000

export interface Transport extends Sink {
  /** Nothing is read from now on, or again. */
  pause(): void
  resume(): void
  /** No more is written; what the client still says is dropped. */
  end(): void
  destroy(): void
}

export interface ConnectionOptions extends OwnSettings {
  readonly connectionWindowBytes: number
  readonly clock: Pick<Clock, 'now' | 'after'>
  onStream(stream: Stream): void
  /** The client asked whether we are here. */
  onPing(): void
  onFault(fault: ConnectionFault): void
}

type Phase =
  | 'open'
  /** GOAWAY went, with the promise that calls on their way are still taken. */
  | 'warned'
  /** GOAWAY went, and calls behind lastId are refused. */
  | 'draining'
  | 'over'

export class Connection implements Carrier {
  readonly #options: ConnectionOptions
  readonly #transport: Transport
  readonly #outflow: Outflow
  readonly #splitter = new FrameSplitter((head, bytes, from, end) => {
    return this.#onFrame(head, bytes, from, end)
  })
  readonly #blocks: HeaderBlocks
  readonly #streams = new Map<number, Stream>()
  readonly #resets: Allowance
  readonly #settingsFrames: Allowance
  readonly #emptyFrames: Allowance
  #phase: Phase = 'open'
  #lastId = 0
  #hasSettings = false
  #peer = defaultPeerSettings
  readonly #receiveWindow: ReceiveWindow
  #isPaused = false
  #timer: Timer | undefined

  constructor(transport: Transport, options: ConnectionOptions) {
    this.#transport = transport
    this.#options = options
    this.#outflow = new Outflow({ sink: transport, onEnded: (stream) => this.#onSideEnded(stream) })
    this.#blocks = new HeaderBlocks(options.headerListBytesMax)
    const allowance = { ...trifles, clock: options.clock }
    this.#resets = new Allowance(allowance)
    this.#settingsFrames = new Allowance(allowance)
    this.#emptyFrames = new Allowance(allowance)
    this.#receiveWindow = new ReceiveWindow(options.connectionWindowBytes)
    this.#outflow.control(frameType.settings, 0, 0, settingsPayload(options))
    const more = options.connectionWindowBytes - defaultWindowBytes
    if (more > 0) this.#outflow.number(frameType.windowUpdate, 0, more)
  }

  get isOver(): boolean {
    return this.#phase === 'over'
  }

  /** What the client sent. */
  receive(piece: Buffer): void {
    if (this.isOver) return
    try {
      this.#splitter.push(piece)
    } catch (error) {
      if (!(error instanceof ConnectionFault)) throw error
      this.#options.onFault(error)
      this.fail(error.code)
    }
    if (this.#outflow.pendingBytes > unreadBytesMax && !this.#isPaused) {
      this.#isPaused = true
      this.#transport.pause()
    }
  }

  /** All that was handed to the transport has left. */
  drained(): void {
    this.#outflow.proceed()
    if (!this.#isPaused) return
    this.#isPaused = false
    this.#transport.resume()
  }

  /** The transport is closed. */
  closed(): void {
    this.#timer?.cancel()
    this.#endAll()
  }

  ping(): void {
    this.#outflow.control(frameType.ping, 0, 0, Buffer.alloc(8))
  }

  /**
   * No new calls, and the end when those under way are over. In two steps, so that calls that are
   * on their way are served: the first GOAWAY names no last stream, and the ping that goes with it
   * comes back when the client has read it.
   */
  drain(): void {
    if (this.#phase !== 'open') return
    if (this.#streams.size === 0) {
      this.#part(errorCode.none)
      return
    }
    this.#phase = 'warned'
    this.#goaway(largest31, errorCode.none)
    this.#outflow.control(frameType.ping, 0, 0, goawayPing)
    this.#timer = this.#options.clock.after(goawayPingMs, () => this.#part(errorCode.none))
  }

  /** The client broke the rules: all its calls end now. */
  fail(code: ErrorCode, debug = ''): void {
    if (this.isOver) return
    this.#goaway(this.#lastId, code, debug)
    this.#finish()
  }

  reply(stream: Stream, message: Uint8Array): boolean {
    return this.#outflow.reply(stream, message)
  }

  respond(stream: Stream, headers: Fields): void {
    this.#outflow.respond(stream, headers)
  }

  send(stream: Stream): void {
    this.#outflow.send(stream)
  }

  consumed(stream: Stream, bytes: number): void {
    this.#giveBack(bytes)
    if (stream.isRemoteDone || stream.isClosed) return
    const more = stream.receiveWindow.giveBack(bytes)
    if (more > 0) this.#outflow.number(frameType.windowUpdate, stream.id, more)
  }

  reset(stream: Stream, code: ErrorCode): void {
    this.#outflow.number(frameType.reset, stream.id, code)
    this.#close(stream)
  }

  #onFrame(head: FrameHead, bytes: Buffer, from: number, end: number): boolean {
    const { type, stream } = head
    if (!this.#hasSettings) {
      if (type !== frameType.settings) throw protocolFault('the first frame is not SETTINGS')
      this.#hasSettings = true
    }
    this.#blocks.check(head)
    switch (type) {
      case frameType.data:
        this.#onData(head, bytes, from, end)
        break
      case frameType.headers:
        this.#onBlock(this.#blocks.begin(head, bytes, from, end))
        break
      case frameType.continuation:
        this.#onBlock(this.#blocks.goOn(head, bytes, from, end))
        break
      case frameType.priority:
        this.#onPriority(stream, bytes, from, end)
        break
      case frameType.reset:
        this.#onReset(stream, end - from)
        break
      case frameType.settings:
        this.#onSettings(head, bytes, from, end)
        break
      case frameType.ping:
        this.#onPing(head, bytes, from, end)
        break
      case frameType.goaway:
        if (stream !== 0) throw protocolFault('GOAWAY on a stream')
        if (end - from < 8) throw sizeFault('GOAWAY', end - from)
        break // we open no streams, and the client hangs up when it has its answers
      case frameType.windowUpdate:
        this.#onWindowUpdate(stream, bytes, from, end)
        break
      case frameType.pushPromise:
        throw protocolFault('a client does not push')
      default: // of an extension: to be ignored
    }
    return !this.isOver
  }

  #onData({ stream: id, flags }: FrameHead, bytes: Buffer, start: number, stop: number): void {
    if (id === 0) throw protocolFault('DATA on no stream')
    const { from, end } = withoutPadding(flags, bytes, start, stop)
    const isEnd = (flags & flag.endStream) !== 0
    if (start === stop && !isEnd && !this.#emptyFrames.take()) throw flood('empty frames')
    // Padding counts, too (RFC 9113 §6.9.1).
    const size = stop - start
    if (!this.#receiveWindow.take(size)) throw windowFault('the connection')
    const stream = this.#openStream(id)
    const problem = stream && dataProblem(stream, { size, contentBytes: end - from, isEnd })
    if (stream === undefined || problem !== undefined) {
      this.#giveBack(size)
      this.#outflow.number(frameType.reset, id, problem ?? errorCode.streamClosed)
      if (stream !== undefined) this.#close(stream)
      return
    }
    const paddingBytes = size - (end - from)
    if (paddingBytes > 0) this.consumed(stream, paddingBytes)
    if (end > from) stream.receive(bytes.subarray(from, end))
    if (isEnd) this.#onRemoteEnd(stream)
    // Our answer is complete, and the client still sends: it need not (RFC 9113 §8.1).
    else if (stream.isLocalDone && end > from) stream.reset(errorCode.none)
  }

  #onBlock(block: HeaderBlock | undefined): void {
    if (block === undefined) return // it goes on
    const { stream: id, section, isEnd } = block
    if ((id & 1) === 0) throw protocolFault('a stream of an even number')
    const known = this.#streams.get(id)
    if (known !== undefined) {
      this.#onTrailers(known, block)
      return
    }
    if (id <= this.#lastId) throw new ConnectionFault(errorCode.streamClosed, 'HEADERS again')
    const problem = this.#problemOf(block)
    if (this.#phase !== 'draining') this.#lastId = id
    if (problem !== undefined) {
      this.#outflow.number(frameType.reset, id, problem)
      return
    }
    const windows = {
      send: this.#peer.streamWindowBytes,
      receive: this.#options.streamWindowBytes,
    }
    const stream = new Stream(this, id, section.headers, windows)
    this.#streams.set(id, stream)
    if (isEnd && !stream.expects(0, true)) {
      stream.reset(errorCode.protocol)
      return
    }
    this.#options.onStream(stream)
    if (isEnd) this.#onRemoteEnd(stream)
  }

  /** Why a request is not served. */
  #problemOf({ section, isSelfDependent }: HeaderBlock): ErrorCode | undefined {
    if (this.#phase === 'draining') return errorCode.refusedStream
    if (this.#streams.size >= this.#options.streamsMax) return errorCode.refusedStream
    if (section.isTooLarge) return errorCode.enhanceYourCalm
    const isMalformed = isSelfDependent || requestFault(section) !== undefined
    return isMalformed ? errorCode.protocol : undefined
  }

  #onTrailers(stream: Stream, { section, isEnd }: HeaderBlock): void {
    if (stream.isRemoteDone) stream.reset(errorCode.streamClosed)
    else if (section.isTooLarge) stream.reset(errorCode.enhanceYourCalm)
    else if (!isEnd || trailersFault(section) !== undefined || !stream.expects(0, true)) {
      stream.reset(errorCode.protocol)
    } else this.#onRemoteEnd(stream)
  }

  /** It is still looked at, though nobody has to keep to it (RFC 9113 §5.3.2). */
  #onPriority(id: number, bytes: Buffer, from: number, end: number): void {
    if (id === 0) throw protocolFault('PRIORITY on no stream')
    const isItself = end - from === 5 && (bytes.readUInt32BE(from) & 0x7fff_ffff) === id
    if (end - from === 5 && !isItself) return
    const code = isItself ? errorCode.protocol : errorCode.frameSize
    const stream = this.#streams.get(id)
    if (stream !== undefined) stream.reset(code)
    else if (id <= this.#lastId) this.#outflow.number(frameType.reset, id, code)
    // A reset must not name a stream that nobody opened.
    else throw new ConnectionFault(code, 'PRIORITY')
  }

  #onReset(id: number, size: number): void {
    if (size !== 4) throw sizeFault('RST_STREAM', size)
    const stream = this.#openStream(id)
    if (stream === undefined) return
    this.#close(stream)
    // Calls under way go on; a client with a reason for so many dials again.
    if (!this.#resets.take()) this.#part(errorCode.enhanceYourCalm)
  }

  #onSettings({ stream, flags }: FrameHead, bytes: Buffer, from: number, end: number): void {
    if (stream !== 0) throw protocolFault('SETTINGS on a stream')
    if ((flags & flag.ack) !== 0) {
      if (end > from) throw sizeFault('an acknowledgement', end - from)
      return
    }
    if (!this.#settingsFrames.take()) throw flood('SETTINGS')
    const before = this.#peer
    this.#peer = settingsAfter(before, bytes, from, end)
    if (this.#peer.headerTableBytes !== before.headerTableBytes) {
      this.#outflow.limitTable(this.#peer.headerTableBytes)
    }
    this.#outflow.control(frameType.settings, flag.ack, 0)
    // Of streams that are open, too; it may well make their windows negative (RFC 9113 §6.9.2).
    const more = this.#peer.streamWindowBytes - before.streamWindowBytes
    if (more === 0) return
    for (const stream of this.#streams.values()) {
      stream.sendWindow += more
      if (stream.sendWindow > largest31) throw windowFault('a stream')
      if (more > 0) this.#outflow.send(stream)
    }
  }

  #onPing({ stream, flags }: FrameHead, bytes: Buffer, from: number, end: number): void {
    if (stream !== 0) throw protocolFault('PING on a stream')
    if (end - from !== 8) throw sizeFault('PING', end - from)
    if ((flags & flag.ack) === 0) {
      this.#outflow.control(frameType.ping, flag.ack, 0, bytes.subarray(from, end))
      this.#options.onPing()
    } else if (this.#phase === 'warned' && goawayPing.compare(bytes, from, end) === 0) {
      this.#part(errorCode.none)
    }
  }

  #onWindowUpdate(id: number, bytes: Buffer, from: number, end: number): void {
    if (end - from !== 4) throw sizeFault('WINDOW_UPDATE', end - from)
    const more = bytes.readUInt32BE(from) & 0x7fff_ffff
    if (id === 0) {
      if (more === 0) throw protocolFault('WINDOW_UPDATE by nothing')
      if (!this.#outflow.grow(more)) throw windowFault('the connection')
      return
    }
    const stream = this.#openStream(id)
    if (stream === undefined) return
    stream.sendWindow += more
    if (more === 0) stream.reset(errorCode.protocol)
    else if (stream.sendWindow > largest31) stream.reset(errorCode.flowControl)
    else this.#outflow.send(stream)
  }

  /** Undefined: it is closed. That it was never open is a fault. */
  #openStream(id: number): Stream | undefined {
    const stream = this.#streams.get(id)
    if (stream === undefined && (id === 0 || id > this.#lastId || (id & 1) === 0)) {
      // While calls are refused, clients may have gone on with some before they knew.
      if (this.#phase !== 'draining' || (id & 1) === 0) throw protocolFault(`stream ${id} is idle`)
    }
    return stream
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
    this.#outflow.forget(stream)
    this.#giveBack(stream.close())
    if (this.#streams.size > 0) return
    if (this.#phase === 'warned') this.#part(errorCode.none)
    else if (this.#phase === 'draining') this.#finish()
  }

  /** Of the connection's window. */
  #giveBack(bytes: number): void {
    const more = bytes > 0 ? this.#receiveWindow.giveBack(bytes) : 0
    if (more > 0) this.#outflow.number(frameType.windowUpdate, 0, more)
  }

  /** Refuses calls from now on, and ends with the last of those that are open. */
  #part(code: ErrorCode): void {
    if (this.#phase === 'draining' || this.isOver) return
    this.#phase = 'draining'
    this.#timer?.cancel()
    this.#goaway(this.#lastId, code)
    if (this.#streams.size === 0) this.#finish()
  }

  #goaway(lastId: number, code: ErrorCode, debug = ''): void {
    const payload = Buffer.alloc(8 + debug.length)
    payload.writeUInt32BE(lastId, 0)
    payload.writeUInt32BE(code, 4)
    payload.write(debug, 8, 'latin1')
    this.#outflow.control(frameType.goaway, 0, 0, payload)
  }

  /** The last frame was handed over. A client that does not hang up is cut off. */
  #finish(): void {
    if (this.isOver) return
    this.#phase = 'over'
    this.#timer?.cancel()
    this.#outflow.flush()
    this.#transport.end()
    this.#timer = this.#options.clock.after(lingerMs, () => this.#transport.destroy())
    this.#endAll()
    // What comes is dropped; unread, it would have the kernel take back the GOAWAY.
    if (this.#isPaused) this.#transport.resume()
  }

  #endAll(): void {
    this.#phase = 'over'
    this.#outflow.close()
    const streams = [...this.#streams.values()]
    this.#streams.clear()
    for (const stream of streams) stream.close()
  }
}

/** Tells the answer to this ping from others. */
const goawayPing = Buffer.from('goodbye!', 'latin1')

/** Why data that came end their stream. */
function dataProblem(
  stream: Stream,
  { size, contentBytes, isEnd }: { size: number; contentBytes: number; isEnd: boolean },
): ErrorCode | undefined {
  if (stream.isRemoteDone) return errorCode.streamClosed
  if (!stream.receiveWindow.take(size)) return errorCode.flowControl
  return stream.expects(contentBytes, isEnd) ? undefined : errorCode.protocol
}
