// text-fields.ts: names and passwords are text. Bytes that are no UTF-8 would be read as text that
// only looks like them, here, and be kept as they are by an older member of the same cluster; so
// such a request is refused before it reaches the log, as newer servers refuse it.
import type { Handler } from '../../grpc/server.js'
import { RpcError, Status } from '../../grpc/status.js'

/** Decodes a request, whose strings stand at the top of the message. */
export interface TextRequest {
  decode(data: Buffer): object
}

/** The handler, for requests whose strings are text. */
export function ofText(request: TextRequest, handler: Handler): Handler {
  if (handler.kind !== 'unary') return handler
  return {
    kind: 'unary',
    handle(data, call) {
      checkText(data, request.decode(data))
      return handler.handle(data, call)
    },
  }
}

/** U+FFFD in a string was sent as such, or it stands for bytes that were no text. */
function checkText(data: Buffer, message: object): void {
  for (const value of Object.values(message)) {
    if (typeof value !== 'string' || !value.includes('\ufffd') || data.includes(value)) continue
    const problem = 'string field contains invalid UTF-8'
    throw new RpcError(Status.internal, `grpc: error unmarshalling request: ${problem}`)
  }
}
