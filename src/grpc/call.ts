// call.ts: one call of a client from first to last: it waits for a connection, runs on it, runs
// again on another when it is certain that no handler saw it, and ends exactly once. What is sent
// and what becomes of the messages is its sink's business.
import type { Clock, Timer } from '../platform/clock.js'
import { errorOfReset, errorOfTrailers, foreignAnswer } from './answer.js'
import type { Connection, RequestHead } from './connection.js'
import { closingError, type Dialer, type Waiter } from './dialer.js'
import { FrameReader } from './frame.js'
import type { Headers } from './h2/field-section.js'
import { errorCode } from './h2/frame-types.js'
import type { Stream, StreamOwner, StreamReader } from './h2/stream.js'
import type { Metadata } from './metadata.js'
import { RpcError, Status } from './status.js'
import { encodeTimeout } from './timeout.js'

/** Timers hold 31 bits of milliseconds, which are 24 days; a longer one is due at once. */
const timerMsMax = 2 ** 31 - 1

/** A server that sends every call back unread must not keep us busy for ever. */
const unseenMax = 5

export interface CallOptions {
  readonly metadata?: Metadata
  /** From now. Without it the call waits for ever. */
  readonly deadlineMs?: number
  /** Its abort ends the call as Canceled, or with its reason if that is an RpcError. */
  readonly signal?: AbortSignal
  /**
   * True: the call may reach a handler twice without harm. It is then sent before the peer has
   * shown that it speaks HTTP/2, which saves a round trip on a new connection, and again if the
   * peer turns out not to.
   */
  readonly idempotent?: boolean
}

/** What the calls of a channel have in common. */
export interface CallParts {
  readonly sendMaxBytes: number
  readonly receiveMaxBytes: number
  readonly dialer: Dialer
  readonly clock: Clock
}

export interface CallSink {
  /** The place to write the requests to. Comes again when the call is sent anew. */
  onStream(stream: Stream): void
  /** Nobody saw what went to the stream; onStream() comes with another. */
  onStreamLost(): void
  /** All that was written has gone, after a write() that said there was no room. */
  onDrain(): void
  onMessage(message: Buffer): void
  /** The last event; undefined is status OK. `isLocal`: we ended it, not waiting for the peer. */
  onEnd(error: RpcError | undefined, isLocal: boolean): void
  /** Whether onStream() can still write all requests again. */
  isReplayable(): boolean
}

export class Call implements Waiter, StreamReader, StreamOwner {
  readonly isEager: boolean
  readonly #parts: CallParts
  readonly #path: string
  readonly #options: CallOptions
  readonly #sink: CallSink
  readonly #deadline: number | undefined // on the clock
  #timer: Timer | undefined
  #connection: Connection | undefined
  #stream: Stream | undefined
  #reader: FrameReader | undefined // from the first headers on
  #final: { error: RpcError | undefined } | undefined // the status, once it is here
  #isOver = false
  #unseenCount = 0

  constructor(parts: CallParts, path: string, options: CallOptions, sink: CallSink) {
    this.#parts = parts
    this.#path = path
    this.#options = options
    this.#sink = sink
    this.isEager = options.idempotent === true
    const { deadlineMs } = options
    this.#deadline = deadlineMs === undefined ? undefined : parts.clock.now() + deadlineMs
  }

  begin(): void {
    const { signal, deadlineMs } = this.#options
    if (signal?.aborted === true) {
      this.#cancelled()
      return
    }
    if (deadlineMs !== undefined && deadlineMs <= 0) {
      this.#expired()
      return
    }
    this.#watchDeadline()
    signal?.addEventListener('abort', this.#cancelled)
    this.#parts.dialer.serve(this)
  }

  start(connection: Connection): void {
    let stream: Stream
    try {
      stream = connection.request(this.#head())
    } catch (cause) {
      const more = { cause, unprocessed: true }
      this.end(new RpcError(Status.internal, 'the request cannot be sent', more))
      return
    }
    this.#connection = connection
    this.#stream = stream
    this.#reader = undefined
    stream.reader = this
    stream.owner = this
    this.#sink.onStream(stream)
  }

  /** Ends the call from this side. */
  end(error: RpcError): void {
    this.#finish(error, true)
  }

  readonly #cancelled = (): void => {
    const cause: unknown = this.#options.signal?.reason
    if (cause instanceof RpcError) {
      this.end(cause)
      return
    }
    this.end(new RpcError(Status.canceled, 'context canceled', { cause, ...this.#sentOrNot() }))
  }

  #watchDeadline(): void {
    if (this.#deadline === undefined) return
    const { clock } = this.#parts
    const left = this.#deadline - clock.now()
    this.#timer = clock.after(Math.max(0, Math.min(left, timerMsMax)), () => {
      if (left > timerMsMax) this.#watchDeadline()
      else this.#expired()
    })
  }

  #expired(): void {
    const cause = this.#stream === undefined ? this.#parts.dialer.lastError : undefined
    const more = { cause, ...this.#sentOrNot() }
    this.end(new RpcError(Status.deadlineExceeded, 'context deadline exceeded', more))
  }

  #sentOrNot(): { unprocessed: boolean } {
    return { unprocessed: this.#stream === undefined }
  }

  #head(): RequestHead {
    const deadline = this.#deadline
    const timeout =
      deadline === undefined ? undefined : encodeTimeout(deadline - this.#parts.clock.now())
    return { path: this.#path, timeout, metadata: this.#options.metadata }
  }

  onHead(headers: Headers): void {
    if (this.#isOver) return
    const foreign = foreignAnswer(headers)
    if (foreign !== undefined) {
      this.#finish(foreign, false)
      return
    }
    const settings = {
      maxBytes: this.#parts.receiveMaxBytes,
      encoding: headers['grpc-encoding'],
      side: 'client',
    } as const
    this.#reader = new FrameReader(settings, (message) => this.#sink.onMessage(message))
  }

  onData(piece: Buffer): void {
    if (this.#isOver) return
    const error = this.#reader?.push(piece)
    if (error !== undefined) this.#finish(error, true)
  }

  onTrailers(headers: Headers): void {
    this.#final = { error: errorOfTrailers(headers) }
  }

  onEnd(): void {
    let error = this.#final === undefined ? errorOfTrailers({}) : this.#final.error
    if (error === undefined && this.#reader?.isBetween === false) {
      error = new RpcError(Status.internal, 'unexpected EOF')
    }
    this.#finish(error, false)
  }

  onDrain(): void {
    this.#sink.onDrain()
  }

  onSent(): void {}

  /** Of the stream. An answer that is whole is still read, if its reader has paused. */
  onClose(): void {
    const connection = this.#connection
    const stream = this.#stream
    if (this.#isOver || connection === undefined || stream === undefined) return
    if (stream.isRemoteDone) return
    if (this.#parts.dialer.isClosed) {
      this.end(closingError({ unprocessed: false }))
      return
    }
    const isSilent = this.#reader === undefined
    if (!connection.wasReady && isSilent && this.#sink.isReplayable()) {
      // Sent on trust before the peer had said a word, and allowed to reach a handler twice.
      this.#forgetStream()
      this.#parts.dialer.serve(this)
      return
    }
    const code = stream.resetCode
    const error = code === undefined ? lostError(connection) : errorOfReset(code, { isSilent })
    if (error.unprocessed) this.#unseen(error)
    else this.#finish(error, false)
  }

  /** The call came back, and no handler saw it. */
  #unseen(cause: RpcError): void {
    this.#unseenCount++
    if (this.#unseenCount <= unseenMax && this.#sink.isReplayable()) {
      this.#forgetStream()
      this.#parts.dialer.serve(this)
      return
    }
    this.#finish(cause, false)
  }

  #forgetStream(): void {
    this.#stream = undefined
    this.#connection = undefined
    this.#sink.onStreamLost()
  }

  #finish(error: RpcError | undefined, isLocal: boolean): void {
    if (this.#isOver) return
    this.#isOver = true
    this.#timer?.cancel()
    this.#options.signal?.removeEventListener('abort', this.#cancelled)
    this.#parts.dialer.forget(this)
    const stream = this.#stream
    // Neither requests not yet sent nor what may still come interest anybody any more.
    if (stream?.isRemoteDone === false || stream?.isLocalDone === false) {
      stream.reset(errorCode.cancel)
    }
    this.#sink.onEnd(error, isLocal)
  }
}

function lostError(connection: Connection): RpcError {
  const { name, reason } = connection
  const why = reason instanceof Error ? reason.message : 'closed by the server'
  const details = `connection to ${name} lost: ${why}`
  return new RpcError(Status.unavailable, details, { cause: reason })
}
