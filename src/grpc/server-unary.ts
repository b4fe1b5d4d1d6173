// server-unary.ts: serves one request with one answer. The handler starts as soon as its message
// is whole, without waiting for the client's half-close.
import { FrameReader } from './frame.js'
import type { IncomingCall, ServerCall } from './server-call.js'
import { RpcError, Status } from './status.js'

export type UnaryHandler = (request: Buffer, call: ServerCall) => Promise<Uint8Array> | Uint8Array

export function serveUnary(call: IncomingCall, handle: UnaryHandler, maxBytes: number): void {
  let hasRequest = false
  const settings = { maxBytes, encoding: call.encoding, side: 'server' } as const
  const reader = new FrameReader(settings, (request) => {
    if (hasRequest) return
    hasRequest = true
    if (!call.isOver && !call.isRefused()) run(call, handle, request)
  })
  call.stream.reader = {
    onData(piece) {
      if (hasRequest || call.isOver) return
      const error = reader.push(piece)
      if (error !== undefined) call.end(error)
    },
    onEnd() {
      if (hasRequest) return
      // grpc-go's words for a request that ends before its message does, or without one.
      const problem = reader.isBetween ? 'EOF' : 'unexpected EOF'
      call.end(new RpcError(Status.unknown, problem))
    },
    onDrain: ignore,
  }
}

function run(call: IncomingCall, handle: UnaryHandler, request: Buffer): void {
  try {
    const answer = handle(request, call)
    if (answer instanceof Uint8Array) {
      call.reply(answer)
      return
    }
    answer.then(
      (message) => call.reply(message),
      (error: unknown) => call.fail(error),
    )
  } catch (error) {
    call.fail(error)
  }
}

function ignore(): void {}
