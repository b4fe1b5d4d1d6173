// message-queue.ts: received messages between the connection that brings them and the loop that
// takes them. It holds little: past `bytesMax` it asks for a pause, which closes the flow-control
// window of the call, so that a slow reader slows its peer and nothing else.
import { Fifo } from './fifo.js'
import type { RpcError } from './status.js'

/** Enough to keep a reader busy while the next window update travels. */
const bytesMax = 256 * 1024

/** What a queued message costs beside its bytes: many tiny ones must count too. */
const overheadBytes = 64

interface Taker {
  resolve(result: IteratorResult<Buffer, undefined>): void
  reject(error: RpcError): void
}

/**
 * A message that has to wait must not keep all that came from the socket with it: a client could
 * send ever so little of each piece to a call that nobody reads.
 */
function alone(message: Buffer): Buffer {
  const isSmallPart = message.length + overheadBytes < message.buffer.byteLength / 2
  return isSmallPart ? Buffer.from(message) : message
}

/** One reader only: next() is called again after the last answer was given. */
export class MessageQueue implements AsyncIterator<Buffer, undefined> {
  readonly #source: { pause(): void; resume(): void; leave(): void }
  readonly #messages = new Fifo<Buffer>()
  #bytes = 0
  #isPaused = false
  #end: { error: RpcError | undefined } | undefined
  #taker: Taker | undefined

  /** `leave` is called when the reader breaks off its loop. */
  constructor(source: { pause(): void; resume(): void; leave(): void }) {
    this.#source = source
  }

  push(message: Buffer): void {
    if (this.#end !== undefined) return
    const taker = this.#taker
    if (taker !== undefined) {
      this.#taker = undefined
      taker.resolve({ value: message, done: false })
      return
    }
    this.#messages.push(alone(message))
    this.#bytes += message.length + overheadBytes
    if (this.#bytes > bytesMax && !this.#isPaused) {
      this.#isPaused = true
      this.#source.pause()
    }
  }

  /** No more messages. Those already here are still delivered, then the error if there is one. */
  end(error?: RpcError): void {
    if (this.#end !== undefined) return
    this.#end = { error }
    const taker = this.#taker
    this.#taker = undefined
    if (taker === undefined) return
    if (error === undefined) taker.resolve({ value: undefined, done: true })
    else taker.reject(error)
  }

  /** Ends at once: messages that nobody took are dropped. Without effect after the last one. */
  abort(error: RpcError): void {
    if (this.#end !== undefined && this.#messages.length === 0) return
    this.#messages.clear()
    this.#bytes = 0
    this.#end = undefined
    this.end(error)
  }

  next(): Promise<IteratorResult<Buffer, undefined>> {
    const message = this.#messages.shift()
    if (message !== undefined) {
      this.#taken(message.length)
      return Promise.resolve({ value: message, done: false })
    }
    if (this.#end !== undefined) {
      const { error } = this.#end
      this.#end = { error: undefined } // an error is told once, as by a generator
      return error === undefined
        ? Promise.resolve({ value: undefined, done: true })
        : Promise.reject(error)
    }
    return new Promise((resolve, reject) => {
      this.#taker = { resolve, reject }
    })
  }

  return(): Promise<IteratorResult<Buffer, undefined>> {
    this.#messages.clear()
    this.#end ??= { error: undefined }
    this.#end.error = undefined
    this.#taker?.resolve({ value: undefined, done: true })
    this.#taker = undefined
    this.#source.leave()
    return Promise.resolve({ value: undefined, done: true })
  }

  #taken(size: number): void {
    this.#bytes -= size + overheadBytes
    // Half empty before it flows again, so that the window does not stutter.
    if (this.#isPaused && this.#bytes <= bytesMax / 2) {
      this.#isPaused = false
      this.#source.resume()
    }
  }
}
