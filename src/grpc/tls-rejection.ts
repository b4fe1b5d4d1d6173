// tls-rejection.ts: what the log says of a connection that is refused, in the words of etcd, by
// which people search: where it came from, which server it named, and why. Node tells the reason in
// OpenSSL's codes; a client whose certificate did not pass is hung up on, and only its socket still
// knows why.
import { Socket } from 'node:net'
import { TLSSocket } from 'node:tls'

/** Of the line 'rejected connection'. Only under TLS has the client named a server. */
export function rejection(socket: Socket, error: string): Record<string, string> {
  const isTls = socket instanceof TLSSocket
  const { remoteAddress = '', remotePort = '' } = isTls ? lowerSocket(socket) : socket
  return {
    'remote-addr': `${remoteAddress}:${remotePort}`,
    ...(isTls && { 'server-name': socket.servername || '' }),
    error,
  }
}

/** Has to be called while the connection lives, for its address to be known after its end. */
export function rememberAddress(socket: Socket): void {
  void socket.remoteAddress
}

/** Node has no other way to it: a TLS socket whose handshake failed has forgotten its peer. */
function lowerSocket(socket: TLSSocket): Socket {
  const lower: unknown = Reflect.get(socket, '_parent')
  return lower instanceof Socket ? lower : socket
}

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
