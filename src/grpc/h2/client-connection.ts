// client-connection.ts: the client's end of an HTTP/2 connection: streams are opened as the server
// has room for them, until it says GOAWAY or we want no more.

import { ClientStreams } from './client-streams.js'
import { type ConnectionFault, flood, sizeFault } from './faults.js'
import { errorCode } from './frame-types.js'
import type { HeaderBlock } from './header-blocks.js'
import { Link, type LinkEnd, type Transport } from './link.js'
import type { Outflow } from './outflow.js'
import { type PeerSettings, unlimited } from './settings.js'
import type { Fields, Stream } from './stream.js'

/**
 * Of an answer's headers, as HTTP/2 counts: 32 bytes a field beside the text. node:http2 allows as
 * much, and no error text of a server is longer.
 */
const headerListBytesMax = 64 * 1024

/**
 * What may wait for a server that goes on to ask (pings, settings) and reads none of it. Requests
 * by themselves stop at a quarter of a megabyte.
 */
const unreadBytesMax = 4 * 1024 * 1024

export interface ClientConnectionOptions {
  readonly streamWindowBytes: number
  readonly connectionWindowBytes: number
  /** See ClientStreamsOptions. */
  readonly lastIdMax?: number
  /** The server's first SETTINGS: it speaks HTTP/2 for sure. */
  onReady(): void
  /** Another stream may be opened, after none could. */
  onRoom(): void
  /** No stream is opened any more; those that are open go on. */
  onDraining(): void
  /** The server ends all calls with this. */
  onGoaway(code: number, debug: Buffer): void
  onFault(fault: ConnectionFault): void
}

export class ClientConnection implements LinkEnd {
  readonly #options: ClientConnectionOptions
  readonly #transport: Transport
  readonly #outflow: Outflow
  readonly #link: Link
  readonly #streams: ClientStreams
  #phase: 'open' | 'draining' | 'over' = 'open'
  #isReady = false
  #wasFull = false

  constructor(transport: Transport, options: ClientConnectionOptions) {
    this.#transport = transport
    this.#options = options
    this.#streams = new ClientStreams(transport, { ...options, onClosed: () => this.#onClosed() })
    const { table } = this.#streams
    this.#outflow = table.outflow
    const own = { streamsMax: unlimited, headerListBytesMax }
    this.#link = new Link(table, this, { ...options, ...own, side: 'client' })
  }

  get isOver(): boolean {
    return this.#phase === 'over'
  }

  get streamCount(): number {
    return this.#streams.table.size
  }

  /** False once the server or we want no more streams, for good. */
  get takesStreams(): boolean {
    return this.#phase === 'open'
  }

  /** Another stream may be opened now; if not, onRoom() will tell. */
  get hasRoom(): boolean {
    const hasRoom = this.takesStreams && this.#streams.hasRoom
    if (!hasRoom) this.#wasFull = true
    return hasRoom
  }

  /**
   * Opens a stream with these headers; whoever has it says what follows. There has to be room.
   * Throws a TypeError for fields that are none.
   */
  open(headers: Fields): Stream {
    const stream = this.#streams.open(headers)
    if (this.#streams.isWornOut) this.drain()
    return stream
  }

  /** The server has a quarter of a megabyte to read before we say more. */
  get isFull(): boolean {
    return this.#outflow.isFull
  }

  /** What the server sent. */
  receive(piece: Buffer): void {
    if (!this.isOver) this.#link.receive(piece)
  }

  /** All that was handed to the transport has left. */
  drained(): void {
    this.#outflow.proceed()
    this.#tellRoom()
  }

  /** The transport is closed. */
  closed(): void {
    this.#phase = 'over'
    this.#streams.table.closeAll()
  }

  ping(): void {
    this.#link.ping()
  }

  /** Opens no more streams; hangs up when those that are open are over. */
  drain(): void {
    if (this.#phase !== 'open') return
    this.#phase = 'draining'
    this.#options.onDraining()
    if (this.streamCount === 0) this.#hangUp()
  }

  onBlock(block: HeaderBlock): void {
    this.#streams.onBlock(block)
  }

  /** A server has none to tell a client. */
  onPriority(_id: number, _bytes: Buffer, from: number, end: number): void {
    if (end - from !== 5) throw sizeFault('PRIORITY', end - from)
  }

  onSettings({ streamsMax }: PeerSettings): void {
    this.#checkUnread()
    this.#streams.streamsMax = streamsMax
    if (this.#isReady) {
      this.#tellRoom()
      return
    }
    this.#isReady = true
    this.#options.onReady()
  }

  onPing(): void {
    this.#checkUnread()
  }

  onPong(): void {}

  /** Streams behind the last that it names were never looked at. With an error it ends them all. */
  onGoaway(lastId: number, code: number, debug: Buffer): void {
    if (code !== errorCode.none) this.#options.onGoaway(code, debug)
    // First, so that calls which come back do not come here again.
    const wasOpen = this.#phase === 'open'
    this.#phase = 'draining'
    if (wasOpen) this.#options.onDraining()
    this.#streams.table.refuseBeyond(lastId)
    if (this.isOver) return
    if (code !== errorCode.none || this.streamCount === 0) this.#hangUp()
  }

  onFault(fault: ConnectionFault): void {
    this.#options.onFault(fault)
    if (this.isOver) return
    this.#link.goaway(0, fault.code)
    this.#hangUp()
  }

  #checkUnread(): void {
    if (this.#outflow.pendingBytes > unreadBytesMax) throw flood('pings and settings')
  }

  #onClosed(): void {
    if (this.#phase === 'draining' && this.streamCount === 0) this.#hangUp()
    else this.#tellRoom()
  }

  #tellRoom(): void {
    if (!this.#wasFull || !this.#streams.hasRoom || !this.takesStreams) return
    this.#wasFull = false
    this.#options.onRoom()
  }

  /**
   * Without waiting for the server to hang up, too, or to read what is left: it may never do so,
   * and nobody waits for an answer to that.
   */
  #hangUp(): void {
    this.#phase = 'over'
    this.#outflow.flush()
    this.#transport.destroy()
    this.#streams.table.closeAll()
  }
}
