// client-stream.ts: the streaming kinds, on top of a call: messages out with back-pressure,
// messages in as an async iterable.
import { Call, type CallOptions, type CallParts, type CallSink } from './call.js'
import { frame, sendError } from './frame.js'
import type { Stream } from './h2/stream.js'
import { MessageQueue } from './message-queue.js'
import { RpcError, Status } from './status.js'

/** Bytes on their way out before write() makes its caller wait. */
const roomBytes = 256 * 1024

/**
 * What is kept to send the call anew when no handler saw it. A watch or a snapshot request is far
 * smaller; a stream that sent more has had an answer or is not worth the memory.
 */
const replayBytesMax = 64 * 1024

/** Iteration ends at status OK; any other status is thrown as an RpcError. */
export interface ClientStream extends AsyncIterable<Buffer> {
  /** Resolves when there is room for the next message. */
  write(message: Uint8Array): Promise<void>
  /** No more requests; answers may still come. */
  end(): void
  cancel(): void
}

interface Writer {
  resolve(): void
  reject(error: RpcError): void
}

export class OutgoingStream implements ClientStream, CallSink {
  readonly #call: Call
  readonly #sendMaxBytes: number
  readonly #queue: MessageQueue
  readonly #writers: Writer[] = [] // waiting for room
  #stream: Stream | undefined
  #sent: Buffer[] = [] // since the start, as long as the call may have to be sent anew
  #sentBytes = 0
  #isReplayable = true
  #isHalfClosed = false
  #isPaused = false
  #end: { error: RpcError | undefined } | undefined

  constructor(parts: CallParts, path: string, options: CallOptions) {
    this.#sendMaxBytes = parts.sendMaxBytes
    this.#queue = new MessageQueue({
      pause: () => this.#flow({ isPaused: true }),
      resume: () => this.#flow({ isPaused: false }),
      leave: () => this.cancel(),
    })
    this.#call = new Call(parts, path, options, this)
    this.#call.begin()
  }

  [Symbol.asyncIterator](): AsyncIterator<Buffer> {
    return this.#queue
  }

  write(message: Uint8Array): Promise<void> {
    const refusal = sendError(message, this.#sendMaxBytes)
    if (refusal !== undefined) {
      this.#call.end(refusal)
      return Promise.reject(refusal)
    }
    if (this.#end !== undefined) return Promise.reject(this.#end.error ?? endedError())
    if (this.#isHalfClosed) {
      return Promise.reject(new RpcError(Status.internal, 'write() after end()'))
    }
    const framed = frame(message)
    if (this.#stream === undefined || this.#isReplayable) this.#keep(framed)
    this.#stream?.write(framed)
    if (this.#stream !== undefined && this.#stream.queuedBytes <= roomBytes) {
      return Promise.resolve()
    }
    return new Promise((resolve, reject) => {
      this.#writers.push({ resolve, reject })
    })
  }

  end(): void {
    this.#isHalfClosed = true
    if (this.#end === undefined) this.#stream?.end(undefined)
  }

  cancel(): void {
    this.#call.end(new RpcError(Status.canceled, 'context canceled'))
  }

  onStream(stream: Stream): void {
    this.#stream = stream
    if (this.#isPaused) stream.pause()
    for (const piece of this.#sent) stream.write(piece)
    if (this.#sentBytes > replayBytesMax) this.#dropReplay()
    if (this.#isHalfClosed) stream.end(undefined)
    if (stream.queuedBytes <= roomBytes) this.onDrain()
  }

  /** What is written meanwhile is kept, however much, as before the first stream. */
  onStreamLost(): void {
    this.#stream = undefined
  }

  /** Of the stream: there is room again. */
  onDrain(): void {
    for (const writer of this.#writers.splice(0)) writer.resolve()
  }

  onMessage(message: Buffer): void {
    if (this.#isReplayable) this.#dropReplay()
    this.#queue.push(message)
  }

  onEnd(error: RpcError | undefined, isLocal: boolean): void {
    this.#end = { error }
    this.#dropReplay()
    for (const writer of this.#writers.splice(0)) writer.reject(error ?? endedError())
    if (isLocal && error !== undefined) this.#queue.abort(error)
    else this.#queue.end(error)
  }

  isReplayable(): boolean {
    return this.#isReplayable
  }

  #keep(framed: Buffer): void {
    this.#sent.push(framed)
    this.#sentBytes += framed.length
    // Before the call has a stream nothing is sent yet, so all of it is needed.
    if (this.#stream !== undefined && this.#sentBytes > replayBytesMax) this.#dropReplay()
  }

  #dropReplay(): void {
    this.#isReplayable = false
    this.#sent = []
  }

  #flow(to: { isPaused: boolean }): void {
    this.#isPaused = to.isPaused
    if (to.isPaused) this.#stream?.pause()
    else this.#stream?.resume()
  }
}

function endedError(): RpcError {
  return new RpcError(Status.unavailable, 'the server has ended the call')
}
