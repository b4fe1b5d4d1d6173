// connection.ts: the server's end of an HTTP/2 connection (RFC 9113): bytes in, streams to whoever
// serves them, bytes out. It knows no socket, so that a test can hold one in its hand; socket.ts
// puts it on one.
//
// What no connection survives is thrown as a ConnectionFault anywhere below receive(), which says
// GOAWAY and ends everything. What a stream does not survive is a matter of stream-table.ts.
import type { Clock, Timer } from '../../platform/clock.js'
import { Allowance } from './allowance.js'
import { ConnectionFault, flood, protocolFault, sizeFault, windowFault } from './faults.js'
import { type FrameHead, FrameSplitter } from './frame-splitter.js'
import {
  defaultWindowBytes,
  type ErrorCode,
  errorCode,
  flag,
  frameType,
  largest31,
} from './frame-types.js'
import { HeaderBlocks } from './header-blocks.js'
import type { Outflow, Sink } from './outflow.js'
import {
  defaultPeerSettings,
  type OwnSettings,
  settingsAfter,
  settingsPayload,
} from './settings.js'
import type { Stream } from './stream.js'
import { StreamTable } from './stream-table.js'

/** What lies around unread by a client that goes on to ask: it is not listened to meanwhile. */
const unreadBytesMax = 1024 * 1024

/**
 * What costs a client nothing: streams that it resets, frames of DATA without data, settings. The
 * numbers are nghttp2's for resets, in use since the floods of 2023.
 */
const trifles = { burst: 1000, perSecond: 33 }

/** A client that does not answer the ping behind a first GOAWAY gets the second without it. */
const goawayPingMs = 5_000

/** How long a client that was told to go may take to hang up, when it has its answers. */
const lingerMs = 1_000

/** How often it may be given as long again while the last answers of its calls still leave. */
const lingersMax = 60

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

export class Connection {
  readonly #options: ConnectionOptions
  readonly #transport: Transport
  readonly #outflow: Outflow
  readonly #splitter = new FrameSplitter((head, bytes, from, end) => {
    return this.#onFrame(head, bytes, from, end)
  })
  readonly #blocks: HeaderBlocks
  readonly #streams: StreamTable
  readonly #settingsFrames: Allowance
  #phase: Phase = 'open'
  #hasSettings = false
  #peer = defaultPeerSettings
  #isPaused = false
  #timer: Timer | undefined

  constructor(transport: Transport, options: ConnectionOptions) {
    this.#transport = transport
    this.#options = options
    const allowance = { ...trifles, clock: options.clock }
    this.#settingsFrames = new Allowance(allowance)
    const parts = {
      sink: transport,
      emptyFrames: new Allowance(allowance),
      resets: new Allowance(allowance),
    }
    this.#streams = new StreamTable(parts, {
      ...options,
      onStream: (stream) => options.onStream(stream),
      onIdle: () => this.#onIdle(),
      // Calls under way go on; a client with a reason for so many dials again.
      onTooManyResets: () => this.#part(errorCode.enhanceYourCalm),
    })
    this.#outflow = this.#streams.outflow
    this.#blocks = new HeaderBlocks(options.headerListBytesMax)
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
    if (this.#outflow.pendingBytes > unreadBytesMax && !this.#isPaused && !this.isOver) {
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
    this.#goaway(this.#streams.lastId, code, debug)
    this.#finish(1)
  }

  #onFrame(head: FrameHead, bytes: Buffer, from: number, end: number): boolean {
    const { type, stream } = head
    if (!this.#hasSettings) {
      const isSettings = type === frameType.settings && (head.flags & flag.ack) === 0
      if (!isSettings) throw protocolFault('the first frame is not SETTINGS')
      this.#hasSettings = true
    }
    this.#blocks.check(head)
    switch (type) {
      case frameType.data:
        this.#streams.onData(head, bytes, from, end)
        break
      case frameType.headers:
        this.#streams.onBlock(this.#blocks.begin(head, bytes, from, end))
        break
      case frameType.continuation:
        this.#streams.onBlock(this.#blocks.goOn(head, bytes, from, end))
        break
      case frameType.priority:
        this.#streams.onPriority(stream, bytes, from, end)
        break
      case frameType.reset:
        this.#streams.onReset(stream, end - from)
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

  #onSettings({ stream, flags }: FrameHead, bytes: Buffer, from: number, end: number): void {
    if (stream !== 0) throw protocolFault('SETTINGS on a stream')
    if ((flags & flag.ack) !== 0) {
      if (end > from) throw sizeFault('an acknowledgement', end - from)
      return
    }
    if (!this.#settingsFrames.take()) throw flood('SETTINGS')
    const before = this.#peer
    this.#peer = settingsAfter(before, bytes, from, end)
    const { headerTableBytes, headerTableBytesLeast } = this.#peer
    if (headerTableBytesLeast !== before.headerTableBytes) {
      this.#outflow.limitTable(headerTableBytesLeast)
    }
    if (headerTableBytes !== headerTableBytesLeast) this.#outflow.limitTable(headerTableBytes)
    this.#outflow.control(frameType.settings, flag.ack, 0)
    this.#streams.resizeSendWindows(this.#peer.streamWindowBytes)
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
    if (id !== 0) this.#streams.onWindowUpdate(id, more)
    else if (more === 0) throw protocolFault('WINDOW_UPDATE by nothing')
    else if (!this.#outflow.grow(more)) throw windowFault('the connection')
  }

  #onIdle(): void {
    if (this.#phase === 'warned') this.#part(errorCode.none)
    else if (this.#phase === 'draining') this.#finish()
  }

  /** Refuses calls from now on, and ends with the last of those that are open. */
  #part(code: ErrorCode): void {
    if (this.#phase === 'draining' || this.isOver) return
    this.#phase = 'draining'
    this.#streams.isRefusing = true
    this.#timer?.cancel()
    this.#goaway(this.#streams.lastId, code)
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
  #finish(lingers = lingersMax): void {
    if (this.isOver) return
    this.#phase = 'over'
    this.#timer?.cancel()
    this.#outflow.flush()
    this.#transport.end()
    this.#linger(lingers)
    this.#endAll()
    // What comes is dropped; unread, it would have the kernel take back the GOAWAY.
    if (this.#isPaused) this.#transport.resume()
  }

  /** Answers may have been handed over that a slow client takes its time for. */
  #linger(times: number): void {
    this.#timer = this.#options.clock.after(lingerMs, () => {
      if (times > 1 && this.#transport.pendingBytes > 0) this.#linger(times - 1)
      else this.#transport.destroy()
    })
  }

  #endAll(): void {
    this.#phase = 'over'
    this.#streams.closeAll()
  }
}

/** Tells the answer to this ping from others. */
const goawayPing = Buffer.from('goodbye!', 'latin1')
