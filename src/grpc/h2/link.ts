// link.ts: what both ends of an HTTP/2 connection (RFC 9113) do alike: bytes in, frames to whom
// they concern, and the connection's own frames answered. server-connection.ts and
// client-connection.ts say what else their ends do. None knows a socket, so that a test can hold
// one in its hand; socket.ts puts an end on one.
//
// What no connection survives is thrown as a ConnectionFault anywhere below receive(), and told to
// the end, which says GOAWAY. What a stream does not survive is a matter of stream-table.ts.
import { ConnectionFault, protocolFault, sizeFault, windowFault } from './faults.js'
import { type FrameHead, FrameSplitter, preface } from './frame-splitter.js'
import { defaultWindowBytes, type ErrorCode, flag, frameType } from './frame-types.js'
import { type HeaderBlock, HeaderBlocks } from './header-blocks.js'
import type { Outflow, Sink } from './outflow.js'
import {
  defaultPeerSettings,
  type OwnSettings,
  type PeerSettings,
  settingsAfter,
  settingsPayload,
} from './settings.js'
import type { StreamTable } from './stream-table.js'

export interface Transport extends Sink {
  /** Nothing is read from now on, or again. */
  pause(): void
  resume(): void
  /** No more is written; what the peer still says is dropped. */
  end(): void
  destroy(): void
}

/** What an end makes of frames in its own way. */
export interface LinkEnd {
  /** Nothing that comes is looked at any more. */
  readonly isOver: boolean
  /** A header block is whole. */
  onBlock(block: HeaderBlock): void
  onPriority(id: number, bytes: Buffer, from: number, end: number): void
  /** They count from now on, and the peer is told so. */
  onSettings(settings: PeerSettings): void
  /** The peer asked whether we are here, and is told. */
  onPing(): void
  /** The peer answered a ping. */
  onPong(payload: Buffer): void
  onGoaway(lastId: number, code: number, debug: Buffer): void
  /** The peer broke a rule that no connection survives. */
  onFault(fault: ConnectionFault): void
}

export interface LinkOptions extends OwnSettings {
  readonly side: 'client' | 'server'
  readonly connectionWindowBytes: number
}

export class Link {
  readonly #end: LinkEnd
  readonly #streams: StreamTable
  readonly #outflow: Outflow
  readonly #splitter: FrameSplitter
  readonly #blocks: HeaderBlocks
  readonly #isClient: boolean
  #hasSettings = false
  #peer = defaultPeerSettings

  /** Greets the peer. */
  constructor(streams: StreamTable, end: LinkEnd, options: LinkOptions) {
    this.#end = end
    this.#streams = streams
    this.#outflow = streams.outflow
    this.#isClient = options.side === 'client'
    this.#splitter = new FrameSplitter({
      isGreeted: !this.#isClient,
      onFrame: (head, bytes, from, to) => this.#onFrame(head, bytes, from, to),
    })
    this.#blocks = new HeaderBlocks(options.headerListBytesMax)
    if (this.#isClient) this.#outflow.greet(preface)
    this.#outflow.control(frameType.settings, 0, 0, settingsPayload(options, options.side))
    const more = options.connectionWindowBytes - defaultWindowBytes
    if (more > 0) this.#outflow.number(frameType.windowUpdate, 0, more)
  }

  /** What the peer sent. */
  receive(piece: Buffer): void {
    try {
      this.#splitter.push(piece)
    } catch (error) {
      if (!(error instanceof ConnectionFault)) throw error
      this.#end.onFault(error)
    }
  }

  ping(payload: Buffer = emptyPing): void {
    this.#outflow.control(frameType.ping, 0, 0, payload)
  }

  goaway(lastId: number, code: ErrorCode, debug = ''): void {
    const payload = Buffer.alloc(goawayBytesMin + debug.length)
    payload.writeUInt32BE(lastId, 0)
    payload.writeUInt32BE(code, 4)
    payload.write(debug, goawayBytesMin, 'latin1')
    this.#outflow.control(frameType.goaway, 0, 0, payload)
  }

  #onFrame(head: FrameHead, bytes: Buffer, from: number, to: number): boolean {
    const { type, stream } = head
    if (!this.#hasSettings) {
      const isSettings = type === frameType.settings && (head.flags & flag.ack) === 0
      if (!isSettings) throw protocolFault('the first frame is not SETTINGS')
      this.#hasSettings = true
    }
    this.#blocks.check(head)
    switch (type) {
      case frameType.data:
        this.#streams.onData(head, bytes, from, to)
        break
      case frameType.headers:
        this.#onBlock(this.#blocks.begin(head, bytes, from, to))
        break
      case frameType.continuation:
        this.#onBlock(this.#blocks.goOn(head, bytes, from, to))
        break
      case frameType.priority:
        this.#end.onPriority(stream, bytes, from, to)
        break
      case frameType.reset:
        this.#streams.onReset(stream, bytes, from, to)
        break
      case frameType.settings:
        this.#onSettings(head, bytes, from, to)
        break
      case frameType.ping:
        this.#onPing(head, bytes, from, to)
        break
      case frameType.goaway:
        this.#onGoaway(stream, bytes, from, to)
        break
      case frameType.windowUpdate:
        this.#onWindowUpdate(stream, bytes, from, to)
        break
      case frameType.pushPromise: // a client may not, and a server was told not to
        throw protocolFault('nobody is to push')
      default: // of an extension: to be ignored
    }
    return !this.#end.isOver
  }

  #onBlock(block: HeaderBlock | undefined): void {
    if (block === undefined) return // it goes on
    if ((block.stream & 1) === 0) throw protocolFault('a stream of an even number')
    this.#end.onBlock(block)
  }

  #onSettings({ stream, flags }: FrameHead, bytes: Buffer, from: number, to: number): void {
    if (stream !== 0) throw protocolFault('SETTINGS on a stream')
    if ((flags & flag.ack) !== 0) {
      if (to > from) throw sizeFault('an acknowledgement', to - from)
      return
    }
    const before = this.#peer
    this.#peer = settingsAfter(before, bytes, from, to)
    const { headerTableBytes, headerTableBytesLeast, isPushing } = this.#peer
    if (this.#isClient && isPushing) throw protocolFault('a server that has itself pushed to')
    if (headerTableBytesLeast !== before.headerTableBytes) {
      this.#outflow.limitTable(headerTableBytesLeast)
    }
    if (headerTableBytes !== headerTableBytesLeast) this.#outflow.limitTable(headerTableBytes)
    this.#outflow.control(frameType.settings, flag.ack, 0)
    this.#streams.resizeSendWindows(this.#peer.streamWindowBytes)
    this.#end.onSettings(this.#peer)
  }

  #onPing({ stream, flags }: FrameHead, bytes: Buffer, from: number, to: number): void {
    if (stream !== 0) throw protocolFault('PING on a stream')
    if (to - from !== emptyPing.length) throw sizeFault('PING', to - from)
    const payload = bytes.subarray(from, to)
    if ((flags & flag.ack) !== 0) {
      this.#end.onPong(payload)
      return
    }
    this.#outflow.control(frameType.ping, flag.ack, 0, payload)
    this.#end.onPing()
  }

  #onGoaway(id: number, bytes: Buffer, from: number, to: number): void {
    if (id !== 0) throw protocolFault('GOAWAY on a stream')
    if (to - from < goawayBytesMin) throw sizeFault('GOAWAY', to - from)
    const lastId = bytes.readUInt32BE(from) & 0x7fff_ffff
    this.#end.onGoaway(lastId, bytes.readUInt32BE(from + 4), bytes.subarray(from + 8, to))
  }

  #onWindowUpdate(id: number, bytes: Buffer, from: number, to: number): void {
    if (to - from !== 4) throw sizeFault('WINDOW_UPDATE', to - from)
    const more = bytes.readUInt32BE(from) & 0x7fff_ffff
    if (id !== 0) this.#streams.onWindowUpdate(id, more)
    else if (more === 0) throw protocolFault('WINDOW_UPDATE by nothing')
    else if (!this.#outflow.grow(more)) throw windowFault('the connection')
  }
}

const emptyPing = Buffer.alloc(8)

/** The last stream and the code. */
const goawayBytesMin = 8
