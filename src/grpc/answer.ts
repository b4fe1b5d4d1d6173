// answer.ts: reads from HTTP/2 how a call ended: from the first headers, which must be those of a
// gRPC answer; from the trailers, which carry the status; or from the reset that came instead.
import { isGrpcType } from './content-type.js'
import type { Headers } from './h2/field-section.js'
import { errorCode } from './h2/frame-types.js'
import { percentDecoded } from './percent.js'
import { isStatusCode, RpcError, Status, type StatusCode, statusOfHttp } from './status.js'

/** An answer that is not gRPC at all (a proxy's error page, a web server), or undefined. */
export function foreignAnswer(headers: Headers): RpcError | undefined {
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
export function errorOfTrailers(headers: Headers): RpcError | undefined {
  const text = headers['grpc-status']
  if (text === '0') return undefined
  const message = headers['grpc-message']
  const details = message === undefined ? '' : percentDecoded(message)
  if (text === undefined) {
    return new RpcError(Status.internal, 'the server ended the call without a status')
  }
  const code = /^\d+$/.test(text) ? Number(text) : Status.unknown
  if (code === Status.ok) return undefined // 00, say
  return new RpcError(isStatusCode(code) ? code : Status.unknown, details)
}

/**
 * The error for a stream that the peer reset with `code` instead of ending it. `isSilent`: without
 * a word of an answer. A call that was answered was processed, whatever the code says.
 */
export function errorOfReset(code: number, { isSilent }: { isSilent: boolean }): RpcError {
  const name = resetNames[code] ?? String(code)
  const details = `stream terminated by RST_STREAM with error code: ${name}`
  return new RpcError(resetStatus[code] ?? Status.internal, details, {
    unprocessed: isSilent && code === errorCode.refusedStream,
  })
}

const resetNames: Readonly<Record<number, string>> = {
  [errorCode.none]: 'NO_ERROR',
  [errorCode.protocol]: 'PROTOCOL_ERROR',
  [errorCode.internal]: 'INTERNAL_ERROR',
  [errorCode.flowControl]: 'FLOW_CONTROL_ERROR',
  [errorCode.streamClosed]: 'STREAM_CLOSED',
  [errorCode.frameSize]: 'FRAME_SIZE_ERROR',
  [errorCode.refusedStream]: 'REFUSED_STREAM',
  [errorCode.cancel]: 'CANCEL',
  [errorCode.compression]: 'COMPRESSION_ERROR',
  [errorCode.enhanceYourCalm]: 'ENHANCE_YOUR_CALM',
  [errorCode.inadequateSecurity]: 'INADEQUATE_SECURITY',
}

/** Those that are not Internal. */
const resetStatus: Readonly<Record<number, StatusCode>> = {
  [errorCode.refusedStream]: Status.unavailable,
  [errorCode.cancel]: Status.canceled,
  [errorCode.enhanceYourCalm]: Status.resourceExhausted,
  [errorCode.inadequateSecurity]: Status.permissionDenied,
}
