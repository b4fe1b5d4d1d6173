// unary-call.ts: one request, one answer, on top of a call.
import { Call, type CallOptions, type CallParts, type CallSink } from './call.js'
import { frame, sendError } from './frame.js'
import type { Stream } from './h2/stream.js'
import { RpcError, Status } from './status.js'

export function unaryCall(
  parts: CallParts,
  path: string,
  request: Uint8Array,
  options: CallOptions,
): Promise<Buffer> {
  const refusal = sendError(request, parts.sendMaxBytes)
  if (refusal !== undefined) return Promise.reject(refusal)
  return new Promise((resolve, reject) => {
    const sink = new UnarySink(frame(request), resolve, reject)
    new Call(parts, path, options, sink).begin()
  })
}

class UnarySink implements CallSink {
  readonly #request: Buffer
  readonly #resolve: (answer: Buffer) => void
  readonly #reject: (error: RpcError) => void
  #answer: Buffer | undefined
  #count = 0

  constructor(
    request: Buffer,
    resolve: (answer: Buffer) => void,
    reject: (error: RpcError) => void,
  ) {
    this.#request = request
    this.#resolve = resolve
    this.#reject = reject
  }

  onStream(stream: Stream): void {
    stream.writeLast(this.#request)
  }

  onStreamLost(): void {}

  onDrain(): void {}

  onMessage(message: Buffer): void {
    this.#answer = message
    this.#count++
  }

  onEnd(error: RpcError | undefined): void {
    if (error !== undefined) {
      this.#reject(error)
      return
    }
    if (this.#answer !== undefined && this.#count === 1) {
      this.#resolve(this.#answer)
      return
    }
    const details = `the answer to a unary call holds ${this.#count} messages`
    this.#reject(new RpcError(Status.internal, details))
  }

  isReplayable(): boolean {
    return true
  }
}
