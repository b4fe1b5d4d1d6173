// endpoints.ts: what an endpoint may look like, where it leads, and whether TLS is spoken there.
//
//   127.0.0.1:2379  [::1]:2379          TLS if a TLS setting is given
//   http://host:2379/ignored            never TLS
//   https://host:2379                   always TLS
//   unix:a/b  unix://a/b  unix:///a/b   a/b, a/b, /a/b; TLS if a TLS setting is given
//   unixs:…                             the same, always TLS
//
// The first endpoint decides about TLS for all. There is no default port. What cannot be dialled
// is no error here: the other endpoints may do, and etcdctl finds out at the first call too.
import type { Address } from '../grpc/channel.js'
import type { TlsSettings } from './connection.js'
import { ConnectionError } from './errors.js'

export interface Endpoints {
  readonly addresses: readonly Address[]
  readonly secure: boolean
  /** Why each of the other endpoints leads nowhere. */
  readonly problems: readonly string[]
}

/** Throws a ConnectionError when the list is empty. */
export function parseEndpoints(texts: readonly string[], tls: TlsSettings): Endpoints {
  const [first, ...others] = texts.map((text) => parseEndpoint(text.trim()))
  if (first === undefined) throw new ConnectionError('etcdclient: no available endpoints')
  const addresses: Address[] = []
  const problems: string[] = []
  for (const { target } of [first, ...others]) {
    if (typeof target === 'string') problems.push(target)
    else addresses.push(target)
  }
  return { addresses, problems, secure: first.secure ?? isTlsSet(tls) }
}

/** Whether endpoints that do not say are met with TLS. */
export function isTlsSet(tls: TlsSettings): boolean {
  const files = [tls.cert, tls.key, tls.cacert]
  return (
    files.some((file) => file !== undefined) ||
    tls.serverName !== undefined ||
    tls.insecureSkipVerify ||
    !tls.insecureTransport
  )
}

interface Parsed {
  /** A text says why there is no address. */
  target: Address | string
  /** undefined: the TLS settings decide. */
  secure: boolean | undefined
}

/** In any case of letters; the flag `i` would take a millisecond of every command to set up. */
const schemeAndRest = /^([Uu][Nn][Ii][Xx][Ss]?(?=:)|[A-Za-z][A-Za-z0-9+.-]*(?=:\/\/))?:?(.*)$/s

function parseEndpoint(text: string): Parsed {
  const [, scheme = '', rest = ''] = schemeAndRest.exec(text) ?? []
  switch (scheme.toLowerCase()) {
    case '':
      return { target: hostAndPort(text, text), secure: undefined }
    case 'http':
    case 'https':
      return { target: hostAndPort(authority(rest), text), secure: scheme.length === 5 }
    case 'unix':
    case 'unixs': {
      const path = rest.replace(/^\/\//, '')
      const target = path === '' ? `endpoint "${text}" names no socket` : { path }
      return { target, secure: scheme.length === 5 ? true : undefined }
    }
    default:
      return { target: `endpoint "${text}" has the unknown scheme ${scheme}`, secure: undefined }
  }
}

/** `//user@host:port/path?query` → `host:port`. */
function authority(rest: string): string {
  const [host = ''] = rest.replace(/^\/\//, '').split(/[/?#]/, 1)
  return host.slice(host.lastIndexOf('@') + 1)
}

function hostAndPort(text: string, endpoint: string): Address | string {
  const match = /^(?:\[([^\]]*)\]|([^:]*)):([0-9]+)$/.exec(text)
  if (match === null) {
    const hasPort = /:[^:\]]+$/.test(text)
    return `endpoint "${endpoint}" ${hasPort ? 'is no HOST:PORT' : 'has no port'}`
  }
  const port = Number(match[3])
  if (port > 65535) return `endpoint "${endpoint}" has the impossible port ${port}`
  // Go dials an empty host as the local machine.
  return { host: (match[1] ?? match[2]) || 'localhost', port }
}
