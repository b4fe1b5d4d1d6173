// dial-error.ts: why an address could not be reached, in words for a person. The most common
// mistakes (nothing listens there, TLS where there is none, none where there is) look alike in
// what the libraries throw, so each gets its own sentence; the original stays as the cause.
import { type Address, addressText } from './address.js'
import { ConnectionFault } from './h2/faults.js'

export function dialError(address: Address, error: unknown, usesTls: boolean): Error {
  return new Error(`${addressText(address)}: ${reason(error, usesTls)}`, { cause: error })
}

function reason(error: unknown, usesTls: boolean): string {
  if (!(error instanceof Error)) {
    return usesTls ? 'closed the connection at once' : `closed the connection at once${needsTls}`
  }
  const code = 'code' in error ? String(error.code) : ''
  const known = reasons[code]
  if (known !== undefined) return known
  if (code === 'ECONNRESET' || code === 'EPIPE') {
    return usesTls ? 'connection reset' : `connection reset${needsTls}`
  }
  if (error instanceof ConnectionFault) {
    return usesTls ? 'does not speak HTTP/2' : `does not speak HTTP/2${needsTls}`
  }
  if (code === 'EPROTO' || code.startsWith('ERR_SSL_')) return `TLS failed: ${sslReason(error)}`
  return error.message === '' ? code || 'unknown error' : error.message
}

const needsTls = ' (does it expect TLS?)'

const reasons: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'connection refused',
  ENOENT: 'no such socket',
  ENOTFOUND: 'no such host',
  EAI_AGAIN: 'the name cannot be resolved now',
  ETIMEDOUT: 'connection timed out',
  EHOSTUNREACH: 'no route to host',
  ENETUNREACH: 'network is unreachable',
  EACCES: 'permission denied',
  ERR_SSL_WRONG_VERSION_NUMBER: 'does not speak TLS',
  ERR_SSL_PACKET_LENGTH_TOO_LONG: 'does not speak TLS',
  ERR_SSL_TLSV1_ALERT_NO_APPLICATION_PROTOCOL: 'does not speak HTTP/2 over TLS',
  ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED: 'asks for a client certificate',
}

/** OpenSSL's own words stand between colons in the message of the error. */
function sslReason(error: Error): string {
  if ('reason' in error && typeof error.reason === 'string') return error.reason
  return error.message.split(':')[5] ?? error.message
}
