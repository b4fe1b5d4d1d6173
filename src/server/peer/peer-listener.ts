// peer-listener.ts: accepts connections of other members: HTTP/1.1, plain or with TLS. Bodies that
// never end are the rule here, so node's limits on whole requests are off; what waits too long for
// bytes is ended by whoever reads or writes them.
import http from 'node:http'
import https from 'node:https'
import type { Socket } from 'node:net'
import { checkServerIdentity, type TLSSocket } from 'node:tls'
import { serverTlsOptions } from '../../grpc/address.js'
import { openPort } from '../../grpc/port.js'
import type { ListenAt } from '../../grpc/server.js'
import { rejection, rejectionReason, rememberAddress } from '../../grpc/tls-rejection.js'
import type { Log } from '../../platform/log.js'

/** Which certificates may come, of those that the authority has signed: those with this name. */
export interface AllowedClient {
  commonName?: string
  hostname?: string
}

export interface PeerListenerParts {
  log: Log
  allowed: AllowedClient | undefined
  /** Neither the port nor its connections keep the process alive. */
  isBackground: boolean
  serve: http.RequestListener
}

const settings = {
  noDelay: true,
  keepAlive: true,
  keepAliveInitialDelay: 30_000,
  /** Above the interval of the probes that keep a connection in use, which is 4 s. */
  keepAliveTimeout: 10_000,
  headersTimeout: 5_000,
  requestTimeout: 0,
}

export class PeerListener {
  readonly #server: http.Server | https.Server
  /** Those in a handshake included, which the server itself does not end. */
  readonly #sockets = new Set<Socket>()

  constructor(at: ListenAt, { log, allowed, isBackground, serve }: PeerListenerParts) {
    this.#server = at.tls
      ? https.createServer({ ...settings, ...serverTlsOptions(at.tls) }, serve)
      : http.createServer(settings, serve)
    this.#server.on('connection', (socket: Socket) => {
      this.#sockets.add(socket)
      rememberAddress(socket)
      if (isBackground) socket.unref()
      socket.once('close', () => this.#sockets.delete(socket))
    })
    if (isBackground) this.#server.unref()
    const note = (error: Error) => log.debug('peer connection failed', { error: error.message })
    this.#server.on('clientError', (error, socket) => {
      note(error)
      socket.destroy()
    })
    const reject = (error: string, socket: Socket) => {
      log.warn('rejected connection', rejection(socket, error))
      socket.destroy()
    }
    this.#server.on('tlsClientError', (error: Error, socket: TLSSocket) =>
      reject(rejectionReason(error, socket), socket),
    )
    // Before the server's own listener, which would begin to read requests.
    this.#server.prependListener('secureConnection', (socket: TLSSocket) => {
      const problem = allowed && stranger(socket, allowed)
      if (problem !== undefined) reject(problem, socket)
    })
  }

  /** The port taken; 0 for a unix socket. */
  open(at: ListenAt): Promise<number> {
    return openPort(this.#server, at)
  }

  /** Breaks every connection. */
  close(): Promise<void> {
    return new Promise((resolve) => {
      this.#server.close(() => resolve())
      for (const socket of this.#sockets) socket.destroy()
    })
  }
}

/** Why a client is none of those that may come. */
function stranger(socket: TLSSocket, { commonName, hostname }: AllowedClient): string | undefined {
  const certificate = socket.getPeerCertificate()
  // Without a certificate the object is empty, whatever its type says.
  if (certificate.subject === undefined) return 'the client shows no certificate'
  if (commonName !== undefined && certificate.subject.CN !== commonName) {
    return `the client's common name is ${certificate.subject.CN}, not ${commonName}`
  }
  if (hostname === undefined) return undefined
  return checkServerIdentity(hostname, certificate)?.message
}
