// answer.ts: reads from HTTP/2 how a call ended: from the first headers, which must be those of a
// gRPC answer; from the trailers, which carry the status; or from the reset that came instead.
import { constants, type IncomingHttpHeaders } from 'node:http2'
import { isGrpcType } from './content-type.js'
import { percentDecoded } from './percent.js'
import { isStatusCode, RpcError, Status, type StatusCode, statusOfHttp } from './status.js'

/** An answer that is not gRPC at all (a proxy's error page, a web server), or undefined. */
export function foreignAnswer(headers: IncomingHttpHeaders): RpcError | undefined {
  const http = Number(headers[':status'])
  const type = headers['content-type'] ?? ''
  if (http === 200 && isGrpcType(type)) return undefined
  // Some servers send a status of their own beside an HTTP error; it says more than the number.
  if (headers['grpc-status'] !== undefined && isGrpcType(type)) return undefined
  if (http !== 200) {
    const details = `unexpected HTTP status code received from server: ${http}`
    return new RpcError(statusOfHttp(http), details)
  }
  return new RpcError(Status.unknown, `transport: received unexpected content-type "${type}"`)
}

/** The error that trailers (or trailers-only headers) stand for; undefined for status OK. */
export function errorOfTrailers(headers: IncomingHttpHeaders): RpcError | undefined {
  const text = headers['grpc-status']
  if (text === '0') return undefined
  const message = headers['grpc-message']
  const details = typeof message === 'string' ? percentDecoded(message) : ''
  if (text === undefined) {
    return new RpcError(Status.internal, 'the server ended the call without a status')
  }
  const code = Number(text)
  return new RpcError(isStatusCode(code) ? code : Status.unknown, details)
}

/** The error for a stream that the peer reset with `code` instead of ending it. */
export function errorOfReset(code: number): RpcError {
  const name = resetNames[code] ?? String(code)
  const details = `stream terminated by RST_STREAM with error code: ${name}`
  return new RpcError(resetStatus[code] ?? Status.internal, details, {
    unprocessed: code === constants.NGHTTP2_REFUSED_STREAM,
  })
}

const resetNames: Readonly<Record<number, string>> = {
  [constants.NGHTTP2_NO_ERROR]: 'NO_ERROR',
  [constants.NGHTTP2_PROTOCOL_ERROR]: 'PROTOCOL_ERROR',
  [constants.NGHTTP2_INTERNAL_ERROR]: 'INTERNAL_ERROR',
  [constants.NGHTTP2_FLOW_CONTROL_ERROR]: 'FLOW_CONTROL_ERROR',
  [constants.NGHTTP2_STREAM_CLOSED]: 'STREAM_CLOSED',
  [constants.NGHTTP2_FRAME_SIZE_ERROR]: 'FRAME_SIZE_ERROR',
  [constants.NGHTTP2_REFUSED_STREAM]: 'REFUSED_STREAM',
  [constants.NGHTTP2_CANCEL]: 'CANCEL',
  [constants.NGHTTP2_COMPRESSION_ERROR]: 'COMPRESSION_ERROR',
  [constants.NGHTTP2_ENHANCE_YOUR_CALM]: 'ENHANCE_YOUR_CALM',
  [constants.NGHTTP2_INADEQUATE_SECURITY]: 'INADEQUATE_SECURITY',
}

/** Those that are not Internal. */
const resetStatus: Readonly<Record<number, StatusCode>> = {
  [constants.NGHTTP2_REFUSED_STREAM]: Status.unavailable,
  [constants.NGHTTP2_CANCEL]: Status.canceled,
  [constants.NGHTTP2_ENHANCE_YOUR_CALM]: Status.resourceExhausted,
  [constants.NGHTTP2_INADEQUATE_SECURITY]: Status.permissionDenied,
}
