// well-formed.ts: stands before the handlers and lets in only bytes that are a message of the
// method's request type. The refusals are those of Go's gRPC, which reads a request before anything
// looks at it; for the streams whose clients may break them off, etcd's words are logged.
import { methods } from '../../api/gen/schema.js'
import type { Handler, ServerStream } from '../../grpc/server.js'
import { RpcError, Status } from '../../grpc/status.js'
import type { Log } from '../../platform/log.js'
import { streaming, streamWith, unary } from './handlers.js'
import { wireProblem } from './wire-problem.js'

export function wellFormed(path: string, handler: Handler, log: Log): Handler {
  const type = methods[path]?.request
  if (type === undefined) return handler
  if (handler.kind === 'stream') {
    return streaming((stream) => handler.handle(checked(stream, type, log)))
  }
  return unary((request, call) => {
    const problem = wireProblem(type, request)
    if (problem === undefined) return handler.handle(request, call)
    throw new RpcError(Status.internal, `grpc: error unmarshalling request: ${problem}`)
  })
}

function checked(stream: ServerStream, type: string, log: Log): ServerStream {
  return streamWith(stream, {
    async *[Symbol.asyncIterator]() {
      try {
        for await (const message of stream) {
          const problem = wireProblem(type, message)
          if (problem === undefined) yield message
          else throw malformed(problem)
        }
      } catch (error) {
        const what = brokenStreams[stream.path]
        if (what !== undefined && error instanceof RpcError && !hasLeft(error)) {
          log.warn(what, { error: error.message })
        }
        throw error
      }
    },
  })
}

function malformed(problem: string): RpcError {
  const details = `grpc: failed to unmarshal the received message: ${problem}`
  return new RpcError(Status.internal, details)
}

/** A client that goes away, or whose time is over, is nothing to tell. */
const hasLeft = ({ code }: RpcError): boolean =>
  code === Status.canceled || code === Status.deadlineExceeded

const brokenStreams: Readonly<Record<string, string>> = {
  '/etcdserverpb.Watch/Watch': 'failed to receive watch request from gRPC stream',
  '/etcdserverpb.Lease/LeaseKeepAlive':
    'failed to receive lease keepalive request from gRPC stream',
}
