// peer-tls.ts: how members prove themselves to each other: one certificate, shown both when a
// member is dialled and when it dials.
import type { ServerTls } from '../grpc/server.js'
import type { Files } from '../platform/files.js'
import { readPair } from './client-tls.js'
import type { ServerConfig } from './config.js'
import type { PeerTls } from './peer/peer-url.js'
import { tlsProtocol } from './tls-protocol.js'

export interface PeerIdentity {
  listen: ServerTls
  dial: PeerTls
}

/** Undefined: nothing was configured, so members meet on plain URLs. @throws ConfigError */
export async function peerIdentity(
  config: ServerConfig,
  files: Files,
): Promise<PeerIdentity | undefined> {
  const { peerCertFile: certFile, peerKeyFile: keyFile, peerTrustedCaFile: trustedCaFile } = config
  if (certFile === undefined && keyFile === undefined) return undefined
  const pair = await readPair({ certFile, keyFile, trustedCaFile }, files)
  const { cert, key, ca } = pair
  const listen = { ...pair, protocol: tlsProtocol(config) }
  return { listen, dial: { cert, key, ...(ca === undefined ? {} : { ca }) } }
}
