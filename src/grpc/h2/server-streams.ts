// server-streams.ts: the streams that a client opens: which are taken, and which it may not open.
//
// A stream is idle before its id was named, then in the table, then closed for ever; ids rise. So
// the last id that was taken tells idle ones from closed ones, of which nothing is kept but the
// latest numbers of those that we reset: their clients may not have heard of it yet.
import type { Allowance } from './allowance.js'
import { ConnectionFault, flood, protocolFault } from './faults.js'
import { requestFault } from './field-section.js'
import { type ErrorCode, errorCode, frameType } from './frame-types.js'
import type { HeaderBlock } from './header-blocks.js'
import type { Sink } from './outflow.js'
import type { Stream } from './stream.js'
import { type StreamRules, StreamTable, type StreamTableOptions } from './stream-table.js'

/** Reset by us, and still remembered: trailers on their way break no rule (RFC 9113 §5.1). */
const resetIdsMax = 100

export interface ServerStreamsOptions extends StreamTableOptions {
  readonly streamsMax: number
  onStream(stream: Stream): void
  /** The last one was closed. */
  onIdle(): void
  onTooManyResets(): void
}

export interface ServerStreamsParts {
  readonly sink: Sink
  /** Frames of DATA without data. */
  readonly emptyFrames: Allowance
  /** Calls that the client takes back, or has us give up by breaking their rules. */
  readonly resets: Allowance
}

export class ServerStreams implements StreamRules {
  readonly isHeldCounted = true
  readonly readsOn = false
  readonly table: StreamTable
  /** New ones are turned away from now on. */
  isRefusing = false
  readonly #options: ServerStreamsOptions
  readonly #resets: Allowance
  readonly #emptyFrames: Allowance
  #lastId = 0
  /** The latest, oldest first. */
  readonly #resetIds = new Set<number>()

  constructor({ sink, emptyFrames, resets }: ServerStreamsParts, options: ServerStreamsOptions) {
    this.#options = options
    this.#emptyFrames = emptyFrames
    this.#resets = resets
    this.table = new StreamTable(sink, this, options)
  }

  /** Of the streams that were taken. */
  get lastId(): number {
    return this.#lastId
  }

  onBlock(block: HeaderBlock): void {
    const { stream: id, section, isEnd } = block
    const known = this.table.get(id)
    if (known !== undefined) {
      this.table.onTrailers(known, block)
      return
    }
    if (this.#resetIds.has(id)) {
      // No trailers are so, whatever the client knew.
      if (!isEnd) this.table.outflow.number(frameType.reset, id, errorCode.protocol)
      return
    }
    if (id <= this.#lastId) throw new ConnectionFault(errorCode.streamClosed, 'HEADERS again')
    const problem = this.#problemOf(block)
    if (!this.isRefusing) this.#lastId = id
    if (problem !== undefined) {
      this.table.sendReset(id, problem)
      return
    }
    const stream = this.table.open(id)
    stream.begin(section.headers)
    if (isEnd && !stream.expects(0, true)) {
      this.table.giveUp(stream, errorCode.protocol)
      return
    }
    this.#options.onStream(stream)
    if (isEnd) this.table.remoteEnded(stream)
  }

  /** Why a request is not served. */
  #problemOf({ section, isSelfDependent }: HeaderBlock): ErrorCode | undefined {
    if (this.isRefusing) return errorCode.refusedStream
    if (this.table.size >= this.#options.streamsMax) return errorCode.refusedStream
    if (section.isTooLarge) return errorCode.enhanceYourCalm
    const isMalformed = isSelfDependent || requestFault(section) !== undefined
    return isMalformed ? errorCode.protocol : undefined
  }

  /** It is still looked at, though nobody has to keep to it (RFC 9113 §5.3.2). */
  onPriority(id: number, bytes: Buffer, from: number, end: number): void {
    if (id === 0) throw protocolFault('PRIORITY on no stream')
    const isItself = end - from === 5 && (bytes.readUInt32BE(from) & 0x7fff_ffff) === id
    if (end - from === 5 && !isItself) return
    const code = isItself ? errorCode.protocol : errorCode.frameSize
    const stream = this.table.get(id)
    if (stream !== undefined) this.table.giveUp(stream, code)
    else if (id <= this.#lastId) this.table.outflow.number(frameType.reset, id, code)
    // A reset must not name a stream that nobody opened.
    else throw new ConnectionFault(code, 'PRIORITY')
  }

  /** While calls are refused, clients may have gone on with some before they knew. */
  wasOpen(id: number): boolean {
    return id <= this.#lastId || this.isRefusing
  }

  onEmptyData(): void {
    if (!this.#emptyFrames.take()) throw flood('empty frames')
  }

  onLateData(id: number): void {
    this.table.outflow.number(frameType.reset, id, errorCode.streamClosed)
  }

  /** Our answer is complete, and the client still sends: it need not (RFC 9113 §8.1). */
  onContent(stream: Stream): void {
    if (stream.isLocalDone) stream.reset(errorCode.none)
  }

  onOwnReset(id: number): void {
    this.#resetIds.add(id)
    for (const oldest of this.#resetIds) {
      if (this.#resetIds.size <= resetIdsMax) break
      this.#resetIds.delete(oldest)
    }
  }

  /**
   * Rules that a client breaks count as if it had taken the call back: otherwise handlers could be
   * started and left without end by who has us reset their streams.
   */
  onPeerReset(): void {
    if (!this.#resets.take()) this.#options.onTooManyResets()
  }

  onClosed(): void {
    if (this.table.size === 0) this.#options.onIdle()
  }
}
