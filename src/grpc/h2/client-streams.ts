// client-streams.ts: the streams that we open: how many at once, which ids they get, and their
// answers.
//
// An answer is headers with :status, perhaps after some that only inform (1xx), then data, then
// trailers; or headers alone, which are trailers, too. A stream that is neither in the table nor
// still to come is closed: what the server sends for it was on its way, and is passed over.
import { protocolFault } from './faults.js'
import { answerFault } from './field-section.js'
import { errorCode, largest31 } from './frame-types.js'
import type { HeaderBlock } from './header-blocks.js'
import type { Sink } from './outflow.js'
import { unlimited } from './settings.js'
import type { Fields, Stream } from './stream.js'
import { type StreamRules, StreamTable, type StreamTableOptions } from './stream-table.js'

export interface ClientStreamsOptions extends StreamTableOptions {
  /** Our last: by default that of 31 bits. Ids are never used twice: a connection wears out. */
  readonly lastIdMax?: number | undefined
  /** One was closed. */
  onClosed(): void
}

export class ClientStreams implements StreamRules {
  readonly isHeldCounted = false
  readonly readsOn = true
  readonly table: StreamTable
  /** What the server takes. Until it has said so nothing is held back. */
  streamsMax = unlimited
  readonly #options: ClientStreamsOptions
  readonly #lastIdMax: number
  #nextId = 1

  constructor(sink: Sink, options: ClientStreamsOptions) {
    this.#options = options
    this.#lastIdMax = options.lastIdMax ?? largest31
    this.table = new StreamTable(sink, this, options)
  }

  /** Another may be opened now. */
  get hasRoom(): boolean {
    return this.table.size < this.streamsMax && !this.table.outflow.isFull
  }

  /** There is no id left for another. */
  get isWornOut(): boolean {
    return this.#nextId > this.#lastIdMax
  }

  /** Throws a TypeError for headers that are none. */
  open(headers: Fields): Stream {
    const stream = this.table.open(this.#nextId)
    try {
      stream.respond(headers)
    } catch (error) {
      this.table.drop(stream)
      throw error
    }
    this.#nextId += 2
    return stream
  }

  onBlock(block: HeaderBlock): void {
    const { stream: id, section, isEnd } = block
    const stream = this.table.get(id)
    if (stream === undefined) {
      if (!this.wasOpen(id)) throw protocolFault(`stream ${id} is idle`)
      return
    }
    if (stream.hasHead) {
      this.table.onTrailers(stream, block)
      return
    }
    if (section.isTooLarge) {
      this.table.giveUp(stream, errorCode.enhanceYourCalm)
      return
    }
    const isInforming = section.headers[':status']?.startsWith('1') === true
    if (block.isSelfDependent || answerFault(section) !== undefined || (isInforming && isEnd)) {
      this.table.giveUp(stream, errorCode.protocol)
      return
    }
    if (!isInforming) this.#begin(stream, block)
  }

  #begin(stream: Stream, { section, isEnd }: HeaderBlock): void {
    const { headers } = section
    stream.begin(headers)
    if (isEnd && !stream.expects(0, true)) {
      this.table.giveUp(stream, errorCode.protocol)
      return
    }
    stream.reader?.onHead?.(headers)
    if (!isEnd) return
    stream.reader?.onTrailers?.(headers)
    this.table.remoteEnded(stream)
  }

  wasOpen(id: number): boolean {
    return id < this.#nextId
  }

  onEmptyData(): void {}

  onLateData(): void {}

  onContent(): void {}

  onOwnReset(): void {}

  onPeerReset(): void {}

  onClosed(): void {
    this.#options.onClosed()
  }
}
