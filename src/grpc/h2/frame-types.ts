// frame-types.ts: the numbers of HTTP/2 (RFC 9113 §6, §7). Every frame has a head of nine bytes:
//
//     0          3      4       5              9
//     | length   | type | flags | R, stream id | payload ...
//
// The length is that of the payload; the bit R is ignored.

export const frameHeadBytes = 9

/** Payloads that each end takes without having said so. We never say that we take more. */
export const framePayloadMax = 16_384

export const frameType = {
  data: 0,
  headers: 1,
  priority: 2,
  reset: 3,
  settings: 4,
  pushPromise: 5,
  ping: 6,
  goaway: 7,
  windowUpdate: 8,
  continuation: 9,
} as const

export const flag = {
  ack: 1, // of SETTINGS and PING
  endStream: 1,
  endHeaders: 4,
  padded: 8,
  priority: 32,
} as const

export const errorCode = {
  none: 0,
  protocol: 1,
  internal: 2,
  flowControl: 3,
  streamClosed: 5,
  frameSize: 6,
  refusedStream: 7,
  cancel: 8,
  compression: 9,
  enhanceYourCalm: 11,
  inadequateSecurity: 12,
} as const

export type ErrorCode = (typeof errorCode)[keyof typeof errorCode]

/** A window may grow to this, and an id of a stream as well. */
export const largest31 = 2 ** 31 - 1

/** The window of a stream and of a connection before anybody said otherwise. */
export const defaultWindowBytes = 65_535
