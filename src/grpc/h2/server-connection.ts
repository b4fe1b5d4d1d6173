// server-connection.ts: the server's end of an HTTP/2 connection: how it parts from a client, and
// what it does about one that reads nothing or keeps it busy for nothing.
import type { Clock, Timer } from '../../platform/clock.js'
import { Allowance } from './allowance.js'
import { type ConnectionFault, flood } from './faults.js'
import { type ErrorCode, errorCode, largest31 } from './frame-types.js'
import type { HeaderBlock } from './header-blocks.js'
import { Link, type LinkEnd, type Transport } from './link.js'
import type { Outflow } from './outflow.js'
import { ServerStreams } from './server-streams.js'
import type { OwnSettings } from './settings.js'
import type { Stream } from './stream.js'

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

export interface ServerConnectionOptions extends OwnSettings {
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

export class ServerConnection implements LinkEnd {
  readonly #options: ServerConnectionOptions
  readonly #transport: Transport
  readonly #outflow: Outflow
  readonly #link: Link
  readonly #streams: ServerStreams
  readonly #settingsFrames: Allowance
  #phase: Phase = 'open'
  #isPaused = false
  #timer: Timer | undefined

  constructor(transport: Transport, options: ServerConnectionOptions) {
    this.#transport = transport
    this.#options = options
    const allowance = { ...trifles, clock: options.clock }
    this.#settingsFrames = new Allowance(allowance)
    const parts = {
      sink: transport,
      emptyFrames: new Allowance(allowance),
      resets: new Allowance(allowance),
    }
    this.#streams = new ServerStreams(parts, {
      ...options,
      onStream: (stream) => options.onStream(stream),
      onIdle: () => this.#onIdle(),
      // Calls under way go on; a client with a reason for so many dials again.
      onTooManyResets: () => this.#part(errorCode.enhanceYourCalm),
    })
    const { table } = this.#streams
    this.#outflow = table.outflow
    this.#link = new Link(table, this, { ...options, side: 'server' })
  }

  get isOver(): boolean {
    return this.#phase === 'over'
  }

  /** What the client sent. */
  receive(piece: Buffer): void {
    if (this.isOver) return
    this.#link.receive(piece)
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
    this.#link.ping()
  }

  /**
   * No new calls, and the end when those under way are over. In two steps, so that calls that are
   * on their way are served: the first GOAWAY names no last stream, and the ping that goes with it
   * comes back when the client has read it.
   */
  drain(): void {
    if (this.#phase !== 'open') return
    if (this.#streams.table.size === 0) {
      this.#part(errorCode.none)
      return
    }
    this.#phase = 'warned'
    this.#link.goaway(largest31, errorCode.none)
    this.#link.ping(goawayPing)
    this.#timer = this.#options.clock.after(goawayPingMs, () => this.#part(errorCode.none))
  }

  /** The client broke the rules: all its calls end now. */
  fail(code: ErrorCode, debug = ''): void {
    if (this.isOver) return
    this.#link.goaway(this.#streams.lastId, code, debug)
    this.#finish(1)
  }

  onBlock(block: HeaderBlock): void {
    this.#streams.onBlock(block)
  }

  onPriority(id: number, bytes: Buffer, from: number, end: number): void {
    this.#streams.onPriority(id, bytes, from, end)
  }

  onSettings(): void {
    if (!this.#settingsFrames.take()) throw flood('SETTINGS')
  }

  onPing(): void {
    this.#options.onPing()
  }

  onPong(payload: Buffer): void {
    if (this.#phase === 'warned' && goawayPing.equals(payload)) this.#part(errorCode.none)
  }

  /** We open no streams, and the client hangs up when it has its answers. */
  onGoaway(): void {}

  onFault(fault: ConnectionFault): void {
    this.#options.onFault(fault)
    this.fail(fault.code)
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
    this.#link.goaway(this.#streams.lastId, code)
    if (this.#streams.table.size === 0) this.#finish()
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
    this.#streams.table.closeAll()
  }
}

/** Tells the answer to this ping from others. */
const goawayPing = Buffer.from('goodbye!', 'latin1')
