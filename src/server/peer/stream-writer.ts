// stream-writer.ts: the sending end of a stream that a peer has dialled: the body of a response
// that never ends. Messages of one turn go out together. While the peer is slow they wait, up to a
// limit; a write that takes too long ends the stream, and the peer dials again.
import type { ServerResponse } from 'node:http'
import type { Message } from '../../api/gen/raft.js'
import type { Clock, Timer } from '../../platform/clock.js'
import { operationTimeoutMs } from './idle-limit.js'
import type { StreamEncoder } from './message-stream.js'

// Taken now: fake timers that a test puts in its place later are to stop the test's code alone.
const { queueMicrotask } = globalThis

/** As etcd: a third of what the other end waits for before it gives up. */
export const heartbeatMs = operationTimeoutMs / 3
/** As etcd: messages that wait for a slow peer. More would be old news when they arrive. */
export const queueMax = 4096
/** Encoded at once; what is more waits as messages, which share their entries with the log. */
const writeBytes = 1024 * 1024

export interface StreamWriterParts {
  response: ServerResponse
  encoder: StreamEncoder
  clock: Clock
  onSent(bytes: number): void
  /** The stream ended, not by end(); messages that were not written are lost. */
  onLost(lostCount: number): void
}

export class StreamWriter {
  readonly #parts: StreamWriterParts
  readonly #heartbeat: Timer
  #queue: Message[] = []
  #isScheduled = false
  #isOver = false
  /** Set while the connection takes no more. */
  #blocked: Timer | undefined

  constructor(parts: StreamWriterParts) {
    this.#parts = parts
    const { response, clock, encoder } = parts
    this.#heartbeat = clock.every(heartbeatMs, () => {
      if (this.#blocked === undefined) this.#write(encoder.heartbeat)
    })
    response.on('drain', () => {
      this.#blocked?.cancel()
      this.#blocked = undefined
      this.#flush()
    })
    response.on('close', () => {
      if (!this.#isOver) parts.onLost(this.#stop())
    })
    response.on('error', () => response.destroy())
  }

  /** False: too many wait already, the message is dropped. */
  send(message: Message): boolean {
    if (this.#queue.length >= queueMax) return false
    this.#queue.push(message)
    if (!this.#isScheduled) {
      this.#isScheduled = true
      queueMicrotask(() => this.#flush())
    }
    return true
  }

  /** Ends the body as a whole one, unless the peer does not take it; what waits is dropped. */
  end(): void {
    if (this.#isOver) return
    const isStuck = this.#blocked !== undefined
    this.#stop()
    if (isStuck) this.#parts.response.destroy()
    else this.#parts.response.end()
  }

  /** Breaks the connection, as if it had failed. */
  destroy(): void {
    this.#parts.response.destroy()
  }

  #flush(): void {
    this.#isScheduled = false
    while (this.#queue.length > 0 && this.#blocked === undefined && !this.#isOver) {
      const pieces: Uint8Array[] = []
      let bytes = 0
      let count = 0
      for (const message of this.#queue) {
        if (bytes >= writeBytes) break
        count++
        for (const piece of this.#parts.encoder.encode(message)) {
          pieces.push(piece)
          bytes += piece.length
        }
      }
      this.#queue = this.#queue.slice(count)
      this.#write(Buffer.concat(pieces, bytes))
    }
  }

  #write(bytes: Uint8Array): void {
    const { response, clock, onSent } = this.#parts
    onSent(bytes.length)
    if (response.write(bytes)) return
    this.#blocked = clock.after(operationTimeoutMs, () => response.destroy())
  }

  #stop(): number {
    const { length } = this.#queue
    this.#isOver = true
    this.#queue = []
    this.#heartbeat.cancel()
    this.#blocked?.cancel()
    this.#blocked = undefined
    return length
  }
}
