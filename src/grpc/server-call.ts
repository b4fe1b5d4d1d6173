// server-call.ts: what every call has on the server, whatever its kind: metadata, a deadline, a
// signal, and exactly one status at the end. Made for many small calls: what a handler may never
// ask for (metadata, signal) is made when it asks.
import type { Clock, Timer } from '../platform/clock.js'
import type { Log } from '../platform/log.js'
import type { Headers } from './h2/field-section.js'
import type { HeaderField } from './h2/hpack-encoder.js'
import { okTrailers, type Stream } from './h2/stream.js'
import { type Metadata, metadataOf } from './metadata.js'
import { percentEncoded } from './percent.js'
import { largeBytes, type Peer, type ServerSession } from './server-session.js'
import { isStatusCode, RpcError, Status } from './status.js'
import { parseTimeout } from './timeout.js'

export interface ServerCall {
  readonly path: string
  readonly metadata: Metadata
  /** Aborted: the client cancelled, the deadline passed, the connection broke, the server stops. */
  readonly signal: AbortSignal
  readonly peer: Peer
  /**
   * Waits until the client has room for an answer of so many bytes, which it then has to get.
   * Undefined: it has, or the answer is too small to matter. Fails when too many wait.
   */
  roomFor?(bytes: number): Promise<void> | undefined
}

export interface ServerCallParts {
  readonly clock: Clock
  readonly log: Log
  readonly receiveMaxBytes: number
}

/** No timer can be set for longer: 24 days. A client that gives more ends the call itself. */
const deadlineMsMax = 2 ** 31 - 1

export class IncomingCall implements ServerCall {
  readonly path: string
  readonly peer: Peer
  readonly stream: Stream
  readonly #headers: Headers
  readonly #session: ServerSession
  readonly #parts: ServerCallParts
  #metadata: Metadata | undefined
  #controller: AbortController | undefined
  #abortReason: RpcError | undefined
  #timer: Timer | undefined
  #onAbort: ((reason: RpcError) => void) | undefined
  /** What its answer adds to the unread bytes of its session. */
  #unreadBytes = 0
  /** Called when the stream is closed. */
  #onClosed: (() => void)[] | undefined
  isOver = false

  constructor(stream: Stream, session: ServerSession, parts: ServerCallParts) {
    this.stream = stream
    const { headers } = stream
    this.path = headers[':path'] ?? ''
    this.peer = session.peer
    this.#headers = headers
    this.#session = session
    this.#parts = parts
    session.callBegins()
    stream.owner = this
    const timeout = headers['grpc-timeout']
    if (timeout !== undefined) this.#startDeadline(timeout)
  }

  get metadata(): Metadata {
    this.#metadata ??= metadataOf(this.#headers)
    return this.#metadata
  }

  get signal(): AbortSignal {
    if (this.#controller === undefined) {
      this.#controller = new AbortController()
      if (this.#abortReason !== undefined) this.#controller.abort(this.#abortReason)
    }
    return this.#controller.signal
  }

  get encoding(): string | undefined {
    return this.#headers['grpc-encoding']
  }

  /** One listener, told once when the signal aborts; costs less than the signal. */
  onAbort(listener: (reason: RpcError) => void): void {
    this.#onAbort = listener
    if (this.#abortReason !== undefined) listener(this.#abortReason)
  }

  /** The only message of a unary answer, and status OK. */
  reply(message: Uint8Array): void {
    if (!this.#begin()) return
    this.#session.noteSent()
    if (this.#unreadBytes === 0 && message.length > 0) {
      this.#unreadBytes = message.length
      this.#session.noteAnswer(message.length)
    }
    this.stream.reply(message)
  }

  roomFor(bytes: number): Promise<void> | undefined {
    if (bytes < largeBytes) return undefined
    return new Promise((resolve, reject) => {
      const make = () => {
        this.#unreadBytes = bytes
        resolve()
      }
      const giveUp = () => reject(new RpcError(Status.canceled, 'context canceled'))
      if (this.stream.isClosed) {
        giveUp()
        return
      }
      const answer = { bytes, make }
      if (this.#session.reserve(answer)) {
        // Nobody is left to read it: it must not be made when its turn comes.
        this.#onClosed ??= []
        this.#onClosed.push(() => this.#session.withdraw(answer) && giveUp())
        return
      }
      reject(tooMuchUnread())
    })
  }

  /** Ends the call of a client that leaves all its answers unread. */
  isRefused(): boolean {
    if (!this.#session.isOverdrawn) return false
    this.end(tooMuchUnread())
    return true
  }

  /** Of the stream: the answer was sent to its end. */
  onSent(): void {
    if (this.#unreadBytes >= largeBytes) this.#answerLeft()
  }

  #answerLeft(): void {
    const bytes = this.#unreadBytes
    this.#unreadBytes = 0
    if (bytes > 0) this.#session.release(bytes)
  }

  /** Some of the call's messages, framed. False: the client takes no more now; wait for drain. */
  send(framed: Buffer): boolean {
    this.#session.noteSent()
    return this.stream.write(framed)
  }

  /** The status. What the client still sends is dropped. */
  end(error: RpcError | undefined): void {
    if (!this.#begin()) return
    const { stream } = this
    this.#session.noteSent()
    stream.end(error === undefined ? okTrailers : errorTrailers(error))
    stream.resume()
  }

  /** Ends the call with whatever a handler threw. */
  fail(thrown: unknown): void {
    if (this.isOver) return
    const error = rpcErrorOf(thrown)
    if (error !== thrown && error.code === Status.unknown) {
      this.#parts.log.warn('rpc handler failed', { method: this.path, error: error.details })
    }
    this.end(error)
  }

  /** Claims the right to send the status; false if the call is over already. */
  #begin(): boolean {
    if (this.isOver) return false
    this.isOver = true
    this.#timer?.cancel()
    return !this.stream.isClosed
  }

  #startDeadline(text: string): void {
    const timeoutMs = parseTimeout(text)
    if (timeoutMs === undefined) {
      this.end(new RpcError(Status.internal, `malformed grpc-timeout: ${text}`))
      return
    }
    if (timeoutMs > deadlineMsMax) return
    this.#timer = this.#parts.clock.after(timeoutMs, () => {
      const error = new RpcError(Status.deadlineExceeded, 'context deadline exceeded')
      this.end(error)
      this.abort(error)
    })
  }

  /** Of the stream: it is closed, by whomever. */
  onClose(): void {
    this.#session.callEnds()
    this.#answerLeft()
    for (const told of this.#onClosed ?? []) told()
    if (this.isOver) return
    this.isOver = true
    this.#timer?.cancel()
    this.abort(new RpcError(Status.canceled, 'context canceled'))
  }

  /** Tells the handler that nobody wants its answer. */
  abort(reason: RpcError): void {
    if (this.#abortReason !== undefined) return
    this.#abortReason = reason
    this.#controller?.abort(reason)
    this.#onAbort?.(reason)
  }
}

/** For a client that goes on to ask without reading. */
function tooMuchUnread(): RpcError {
  const details = 'too many calls wait for earlier answers to be read'
  return new RpcError(Status.resourceExhausted, details)
}

function errorTrailers(error: RpcError): HeaderField[] {
  return [
    ['grpc-status', String(error.code)],
    ['grpc-message', percentEncoded(error.details)],
  ]
}

/** The status that a call ends with when its handler threw this. */
export function rpcErrorOf(thrown: unknown): RpcError {
  if (thrown instanceof RpcError) return thrown
  if (typeof thrown !== 'object' || thrown === null) {
    return new RpcError(Status.unknown, String(thrown))
  }
  const text = 'message' in thrown ? String(thrown.message) : String(thrown)
  const status = 'status' in thrown ? thrown.status : undefined
  if (isStatusCode(status) && status !== Status.ok) return new RpcError(status, text)
  return new RpcError(Status.unknown, text, { cause: thrown })
}
