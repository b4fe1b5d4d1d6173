// address.ts: where a peer listens, and the TLS material to meet it with. A name for the peer in
// messages is HOST:PORT, [IPV6]:PORT or unix:PATH.
import type { TlsOptions as NodeTlsOptions, SecureVersion } from 'node:tls'

export type Address = { readonly host: string; readonly port: number } | { readonly path: string }

/** How a client proves itself and checks the server. PEM texts, not file names. */
export interface TlsOptions {
  readonly ca?: string | Buffer
  readonly cert?: string | Buffer
  readonly key?: string | Buffer
  /** Name to check the certificate against instead of the address's host. */
  readonly serverName?: string
  /** Accept any certificate. */
  readonly insecureSkipVerify?: boolean
}

/** How a server proves itself; with `requireClientCert` clients must, by a certificate of `ca`. */
export interface ServerTls {
  readonly cert: string | Buffer
  readonly key: string | Buffer
  readonly ca?: string | Buffer
  readonly requireClientCert?: boolean
  readonly protocol?: TlsProtocol
}

/** Limits of the handshake; without them TLS 1.2 and up, with Node's suites. */
export interface TlsProtocol {
  readonly minVersion?: SecureVersion
  readonly maxVersion?: SecureVersion
  /** OpenSSL's names, the best first, joined by colons. */
  readonly ciphers?: string
}

/** What Node's servers are told of it, whatever they speak. */
export function serverTlsOptions({
  cert,
  key,
  ca,
  requireClientCert,
  protocol,
}: ServerTls): NodeTlsOptions {
  return {
    cert,
    key,
    ...(ca === undefined ? {} : { ca, requestCert: true }),
    rejectUnauthorized: requireClientCert === true,
    minVersion: 'TLSv1.2',
    ...protocol,
  }
}

export function addressText(address: Address): string {
  if ('path' in address) return `unix:${address.path}`
  const host = address.host.includes(':') ? `[${address.host}]` : address.host
  return `${host}:${address.port}`
}
