// tls-protocol.ts: the versions and cipher suites that a port with TLS agrees to, as etcd's flags
// name them. Suites of TLS 1.3 are not chosen, as in Go: all three are always there.
import { getCiphers } from 'node:tls'
import type { TlsProtocol } from '../grpc/server.js'
import { ConfigError, type ServerConfig } from './config.js'

type TlsSettings = Pick<ServerConfig, 'cipherSuites' | 'tlsMinVersion' | 'tlsMaxVersion'>

const versions = { 'TLS1.2': 'TLSv1.2', 'TLS1.3': 'TLSv1.3' } as const

/** @throws ConfigError with etcd's texts */
export function tlsProtocol(settings: TlsSettings): TlsProtocol {
  const { cipherSuites, tlsMinVersion: min, tlsMaxVersion: max } = settings
  if (max !== undefined && min > max) {
    throw new ConfigError(`min version (${min}) is greater than max version (${max})`)
  }
  if (min === 'TLS1.3' && cipherSuites.length > 0) {
    throw new ConfigError('cipher suites cannot be configured when only TLS1.3 is enabled')
  }
  return {
    minVersion: versions[min],
    ...(max === undefined ? {} : { maxVersion: versions[max] }),
    ...(cipherSuites.length === 0 ? {} : { ciphers: ciphers(cipherSuites) }),
  }
}

const suitesOfTls13 = [
  'TLS_AES_128_GCM_SHA256',
  'TLS_AES_256_GCM_SHA384',
  'TLS_CHACHA20_POLY1305_SHA256',
]

function ciphers(suites: readonly string[]): string {
  const chosen = suites.filter((suite) => !suitesOfTls13.includes(suite)).map(nameInOpenSsl)
  return [...suitesOfTls13, ...chosen].join(':')
}

/**
 * The names of the registry say what OpenSSL's say, with more words:
 *
 *     TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256    ECDHE-RSA-AES128-GCM-SHA256
 *     TLS_RSA_WITH_AES_256_CBC_SHA             AES256-SHA
 */
function nameInOpenSsl(suite: string): string {
  const [, exchange, cipher] = /^TLS_((?:ECDHE_)?(?:RSA|ECDSA))_WITH_(\w+)$/.exec(suite) ?? []
  const name = `${exchange === 'RSA' ? '' : `${exchange}-`}${cipher}`
    .replace('POLY1305_SHA256', 'POLY1305')
    .replace(/AES_(128|256)/, 'AES$1')
    .replace('_CBC', '')
    .replaceAll('_', '-')
  if (exchange === undefined || !getCiphers().includes(name.toLowerCase())) {
    throw new ConfigError(`unexpected TLS cipher suite "${suite}"`)
  }
  return name
}
