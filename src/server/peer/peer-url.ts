// peer-url.ts: how to reach a URL of a member, and which of its URLs to take: the one that worked
// last, in the order given; after a failure the next one.
import type { RequestOptions } from 'node:https'
import type { TlsOptions } from '../../grpc/address.js'

/** How this member proves itself to others and checks them; for http URLs it means nothing. */
export type PeerTls = TlsOptions

export interface Target {
  isTls: boolean
  options: RequestOptions
}

/** @throws TypeError for what is no URL */
export function requestTarget(url: string, path: string, tls: PeerTls | undefined): Target {
  const { protocol, hostname, port } = new URL(url)
  const isTls = protocol === 'https:' || protocol === 'unixs:'
  const where = protocol.startsWith('unix')
    ? { socketPath: url.replace(/^unixs?:\/\//, '') }
    : { hostname: hostname.replace(/^\[|\]$/g, ''), port: port || (isTls ? 443 : 80) }
  return { isTls, options: { ...where, path, ...(isTls ? tlsOptions(tls ?? {}) : {}) } }
}

function tlsOptions({ ca, cert, key, serverName, insecureSkipVerify }: PeerTls): RequestOptions {
  return {
    ...(ca === undefined ? {} : { ca }),
    ...(cert === undefined ? {} : { cert }),
    ...(key === undefined ? {} : { key }),
    ...(serverName === undefined ? {} : { servername: serverName }),
    rejectUnauthorized: insecureSkipVerify !== true,
    minVersion: 'TLSv1.2',
  }
}

export class UrlPicker {
  #urls: readonly string[]
  #at = 0

  /** At least one. */
  constructor(urls: readonly string[]) {
    this.#urls = urls
  }

  get urls(): readonly string[] {
    return this.#urls
  }

  update(urls: readonly string[]): void {
    this.#urls = urls
    this.#at = 0
  }

  pick(): string {
    return this.#urls[this.#at] ?? ''
  }

  /** Several requests may fail at once at the same URL: only the first moves on. */
  failed(url: string): void {
    if (this.pick() === url) this.#at = (this.#at + 1) % this.#urls.length
  }
}
