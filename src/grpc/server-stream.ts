// server-stream.ts: serves the streaming kinds: the client's messages as an async iterable, and
// write() that waits while the client is slow.
import { type Framed, FrameReader, frames } from './frame.js'
import { MessageQueue } from './message-queue.js'
import type { Metadata } from './metadata.js'
import type { IncomingCall, ServerCall } from './server-call.js'
import type { Peer } from './server-session.js'
import { RpcError, Status } from './status.js'

/** Bytes on their way out before write() makes the handler wait. */
const roomBytes = 256 * 1024

/** Iteration gives the client's messages and ends when the client has no more to say. */
export interface ServerStream extends ServerCall, AsyncIterable<Buffer> {
  /**
   * Sends one message, or several for the price of one. Waits while the client is slow. Fails once
   * the call is over.
   */
  write(...messages: Uint8Array[]): Promise<void>
  /**
   * As write(), for who sends so much that promises count: undefined is room for more. The bytes
   * may be used again afterwards. Streams that are not a call of gRPC do without.
   */
  writeFramed?(messages: Framed): Promise<void> | undefined
}

/**
 * Returning is status OK. Thrown errors with a numeric `status` (1 to 16) and a `message`, and
 * RpcErrors, are sent as that status; anything else is Unknown.
 */
export type StreamHandler = (stream: ServerStream) => Promise<void>

export function serveStream(call: IncomingCall, handle: StreamHandler, maxBytes: number): void {
  const stream = new Serving(call, maxBytes)
  // Called inside the chain, so that a handler which throws before its first await is caught too.
  Promise.resolve(stream)
    .then(handle)
    .then(
      () => stream.finish(),
      (error: unknown) => stream.fail(error),
    )
}

interface Writer {
  resolve(): void
  reject(error: RpcError): void
}

class Serving implements ServerStream {
  readonly #call: IncomingCall
  readonly #queue: MessageQueue
  readonly #writers: Writer[] = [] // waiting for room

  constructor(call: IncomingCall, maxBytes: number) {
    this.#call = call
    const { stream } = call
    this.#queue = new MessageQueue({
      pause: () => stream.pause(),
      resume: () => stream.resume(),
      leave: ignore, // a handler that stops reading may well go on writing
    })
    const settings = { maxBytes, encoding: call.encoding, side: 'server' } as const
    const reader = new FrameReader(settings, (message) => this.#queue.push(message))
    stream.reader = {
      onData: (piece) => {
        const error = call.isOver ? undefined : reader.push(piece)
        if (error !== undefined) this.#refuse(error)
      },
      onEnd: () => {
        if (call.isOver || reader.isBetween) this.#queue.end()
        else this.#refuse(new RpcError(Status.internal, 'unexpected EOF'))
      },
      onDrain: () => {
        for (const writer of this.#writers.splice(0)) writer.resolve()
      },
    }
    call.onAbort((reason) => this.#abort(reason))
  }

  get path(): string {
    return this.#call.path
  }

  get metadata(): Metadata {
    return this.#call.metadata
  }

  get signal(): AbortSignal {
    return this.#call.signal
  }

  get peer(): Peer {
    return this.#call.peer
  }

  [Symbol.asyncIterator](): AsyncIterator<Buffer> {
    return this.#queue
  }

  write(...messages: Uint8Array[]): Promise<void> {
    return this.#send(frames(messages)) ?? Promise.resolve()
  }

  writeFramed({ bytes }: Framed): Promise<void> | undefined {
    return this.#send(Buffer.from(bytes))
  }

  /** Undefined: there is room for more. */
  #send(framed: Buffer): Promise<void> | undefined {
    const { stream, isOver } = this.#call
    if (isOver || stream.isClosed) {
      return Promise.reject(new RpcError(Status.canceled, 'context canceled'))
    }
    if (this.#call.send(framed) || stream.queuedBytes <= roomBytes) return undefined
    return new Promise((resolve, reject) => {
      this.#writers.push({ resolve, reject })
    })
  }

  finish(): void {
    this.#call.end(undefined)
  }

  fail(thrown: unknown): void {
    this.#call.fail(thrown)
  }

  /** A message that breaks the rules ends the call, whatever the handler is doing. */
  #refuse(error: RpcError): void {
    this.#call.end(error)
    this.#call.abort(error)
  }

  #abort(reason: RpcError): void {
    this.#queue.abort(reason)
    for (const writer of this.#writers.splice(0)) writer.reject(reason)
  }
}

function ignore(): void {}
