// faults.ts: what a client does that no connection survives (RFC 9113 §5.4.1), and the checks that
// several kinds of frames share.
import { type ErrorCode, errorCode, flag } from './frame-types.js'

/** The peer broke a rule in a way that ends the connection. */
export class ConnectionFault extends Error {
  readonly code: ErrorCode

  constructor(code: ErrorCode, message: string) {
    super(message)
    this.code = code
  }
}

export const protocolFault = (message: string) => new ConnectionFault(errorCode.protocol, message)

export const sizeFault = (what: string, bytes: number) =>
  new ConnectionFault(errorCode.frameSize, `${what} of ${bytes} bytes`)

export const windowFault = (whose: string) =>
  new ConnectionFault(errorCode.flowControl, `the window of ${whose}`)

export const flood = (what: string) =>
  new ConnectionFault(errorCode.enhanceYourCalm, `a flood of ${what}`)

/** Where the content of a frame is that may be padded: DATA or HEADERS (§6.1). */
export function withoutPadding(flags: number, bytes: Buffer, from: number, end: number) {
  if ((flags & flag.padded) === 0) return { from, end }
  if (from === end) throw sizeFault('a padded frame', 0)
  const last = end - (bytes[from] as number)
  if (last <= from) throw protocolFault('more padding than frame')
  return { from: from + 1, end: last }
}
