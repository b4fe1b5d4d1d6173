// tls-rejection.ts: why a TLS handshake failed, in the words of Go's server, by which people
// search logs of etcd. Node tells it in OpenSSL's codes; a client whose certificate did not pass is
// hung up on, and only its socket still knows why.
import type { TLSSocket } from 'node:tls'

export function rejectionReason(error: Error & { code?: string }, socket: TLSSocket): string {
  const { authorizationError } = socket
  const code = authorizationError ? String(authorizationError) : error.code
  return reasons[code ?? ''] ?? error.message
}

const noHandshake = 'tls: first record does not look like a TLS handshake'
const notVerified = 'tls: failed to verify client certificate: x509: certificate '
const unknownAuthority = `${notVerified}signed by unknown authority`
const notValidNow = `${notVerified}has expired or is not yet valid`

const reasons: Readonly<Record<string, string>> = {
  ERR_SSL_HTTP_REQUEST: noHandshake,
  ERR_SSL_WRONG_VERSION_NUMBER: noHandshake,
  ERR_SSL_PACKET_LENGTH_TOO_LONG: noHandshake,
  ERR_SSL_PEER_DID_NOT_RETURN_A_CERTIFICATE: "tls: client didn't provide a certificate",
  ERR_SSL_UNSUPPORTED_PROTOCOL: 'tls: client offered only unsupported versions',
  ECONNRESET: 'EOF',
  DEPTH_ZERO_SELF_SIGNED_CERT: unknownAuthority,
  SELF_SIGNED_CERT_IN_CHAIN: unknownAuthority,
  UNABLE_TO_GET_ISSUER_CERT: unknownAuthority,
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: unknownAuthority,
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: unknownAuthority,
  CERT_HAS_EXPIRED: notValidNow,
  CERT_NOT_YET_VALID: notValidNow,
}
