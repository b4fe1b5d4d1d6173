// connection.ts: one HTTP/2 session of a client. Its life:
//
//     dialing ──► open ──► ready ──► draining ──► closed
//                                 (or closed from anywhere)
//
// open: TCP, and TLS if there is any, stand. ready: the peer's SETTINGS arrived, so it speaks
// HTTP/2 for sure. draining: the peer said GOAWAY; calls under way may finish, new ones go
// elsewhere.
import {
  type ClientHttp2Session,
  type ClientHttp2Stream,
  connect,
  type OutgoingHttpHeaders,
} from 'node:http2'
import net from 'node:net'
import tls from 'node:tls'
import type { Clock } from '../platform/clock.js'
import { type Address, addressText, type TlsOptions } from './address.js'
import { KeepAlive } from './keepalive.js'
import type { Metadata } from './metadata.js'

/**
 * Per call. It is also the bound on what a slow reader makes this process hold, and what a large
 * answer may have on its way: at 1 ms round trip it allows 4 GB/s, at 40 ms still 100 MB/s.
 */
const streamWindowBytes = 4 * 1024 * 1024

/** For all calls of a connection together. */
const sessionWindowBytes = 16 * 1024 * 1024

/** Stream ids are odd, of 31 bits, and never used twice: a connection wears out. */
const requestsMax = 2 ** 30 - 1

export interface ConnectionOptions {
  readonly address: Address
  readonly tls: TlsOptions | undefined
  readonly userAgent: string
  readonly clock: Clock
  readonly keepaliveTimeMs: number
  readonly keepaliveTimeoutMs: number
}

export interface RequestHead {
  readonly path: string
  /** As grpc-timeout has it. */
  readonly timeout: string | undefined
  readonly metadata: Metadata | undefined
}

export interface ConnectionWatcher {
  onOpen(connection: Connection): void
  onReady(connection: Connection): void
  onDraining(connection: Connection): void
  /** The last thing that is told. `error` is what ended it, if anything but us. */
  onClosed(connection: Connection, error: unknown): void
}

export class Connection {
  readonly address: Address
  readonly name: string
  state: 'dialing' | 'open' | 'ready' | 'draining' | 'closed' = 'dialing'
  wasReady = false
  /** Set by GOAWAY: streams above this id were never looked at. */
  lastStreamId = Number.MAX_SAFE_INTEGER
  /** What ended it or is about to. */
  reason: unknown
  readonly #options: ConnectionOptions
  readonly #watcher: ConnectionWatcher
  readonly #session: ClientHttp2Session
  readonly #keepAlive: KeepAlive
  readonly #authority: string
  #calls = 0
  #requests = 0

  constructor(options: ConnectionOptions, watcher: ConnectionWatcher) {
    this.#options = options
    this.#watcher = watcher
    this.address = options.address
    this.name = addressText(options.address)
    this.#authority = 'path' in options.address ? 'localhost' : this.name
    const socket = dial(options.address, options.tls)
    this.#session = newSession(socket)
    this.#keepAlive = new KeepAlive({
      clock: options.clock,
      timeMs: options.keepaliveTimeMs,
      timeoutMs: options.keepaliveTimeoutMs,
      bytesRead: () => socket.bytesRead,
      ping: () => this.#session.ping(() => {}),
      isWanted: () => this.#calls > 0,
      onDead: () => this.close(new Error('keepalive ping failed to receive ACK within timeout')),
    })
    this.#follow()
    this.#followSocket(socket)
  }

  /** Throws if the session takes no more calls. The caller must end the request. */
  request({ path, timeout, metadata }: RequestHead): ClientHttp2Stream {
    const headers: OutgoingHttpHeaders = {
      ':method': 'POST',
      ':scheme': this.#options.tls === undefined ? 'http' : 'https',
      ':authority': this.#authority,
      ':path': path,
      'content-type': 'application/grpc',
      te: 'trailers',
      'user-agent': this.#options.userAgent,
    }
    if (timeout !== undefined) headers['grpc-timeout'] = timeout
    if (metadata !== undefined) Object.assign(headers, metadata)
    const stream = this.#session.request(headers)
    this.#calls++
    this.#requests++
    if (this.#requests === requestsMax) {
      this.state = 'draining'
      this.#watcher.onDraining(this)
    }
    this.#keepAlive.wake()
    return stream
  }

  /** A stream that request() gave is closed. */
  release(): void {
    this.#calls--
    if (this.state === 'draining' && this.#calls === 0) this.#session.close()
  }

  /** Takes no new calls; closes when those under way are over. */
  drain(): void {
    if (this.state === 'closed') return
    this.state = 'draining'
    if (this.#calls === 0) this.#session.close()
  }

  /** False once the session is closing, even before its events say so. */
  get takesCalls(): boolean {
    return !this.#session.destroyed && !this.#session.closed
  }

  /** The connection is gone, and every call on it. */
  get isLost(): boolean {
    return this.#session.destroyed
  }

  close(reason?: unknown): void {
    this.reason ??= reason
    this.#session.destroy()
  }

  #follow(): void {
    const watcher = this.#watcher
    const session = this.#session
    session.once('connect', () => {
      if (session.destroyed) return
      session.setLocalWindowSize(sessionWindowBytes)
      this.state = 'open'
      watcher.onOpen(this)
    })
    session.once('remoteSettings', () => {
      if (this.state !== 'open') return
      this.state = 'ready'
      this.wasReady = true
      watcher.onReady(this)
    })
    session.on('goaway', (code: number, lastStreamId: number, data?: Buffer) => {
      this.lastStreamId = Math.min(this.lastStreamId, lastStreamId)
      const text = data === undefined || data.length === 0 ? '' : `, ${data.toString('latin1')}`
      if (code !== 0) this.reason ??= new Error(`the server said GOAWAY with code ${code}${text}`)
      if (this.state === 'closed') return
      this.state = 'draining'
      watcher.onDraining(this)
    })
    session.on('error', (error) => {
      this.reason ??= error
    })
    session.once('close', () => this.#closed())
  }

  /**
   * A session takes a TLS alert that follows the handshake (no client certificate, in TLS 1.3) for
   * its end but never says so, and leaves the socket open. The socket knows.
   */
  #followSocket(socket: net.Socket): void {
    socket.on('error', (error) => {
      this.reason ??= error
      socket.destroy()
    })
    socket.once('close', () => {
      this.#session.destroy()
      this.#closed()
    })
  }

  #closed(): void {
    if (this.state === 'closed') return
    this.state = 'closed'
    this.#keepAlive.stop()
    this.#watcher.onClosed(this, this.reason)
  }
}

function newSession(socket: net.Socket): ClientHttp2Session {
  // The URL only satisfies connect(); the socket exists and every request names its authority.
  return connect('http://localhost', {
    createConnection: () => socket,
    settings: { enablePush: false, initialWindowSize: streamWindowBytes },
    // Until SETTINGS arrive; the default of 100 would hold calls back for no reason.
    peerMaxConcurrentStreams: 2 ** 31 - 1,
    // In MB. The windows above are the real bound; the default of 10 refuses large requests.
    maxSessionMemory: 4096,
  })
}

function dial(address: Address, options: TlsOptions | undefined): net.Socket {
  const at = 'path' in address ? { path: address.path } : { host: address.host, port: address.port }
  if (options === undefined) {
    const socket = net.connect(at)
    socket.setNoDelay(true)
    return socket
  }
  const host = 'path' in address ? 'localhost' : address.host
  const name = options.serverName ?? host
  const socket = tls.connect({
    ...at,
    ALPNProtocols: ['h2'],
    minVersion: 'TLSv1.2',
    rejectUnauthorized: options.insecureSkipVerify !== true,
    checkServerIdentity: (_host, certificate) => tls.checkServerIdentity(name, certificate),
    ...(net.isIP(name) === 0 ? { servername: name } : {}), // SNI knows no IP addresses
    ...(options.ca === undefined ? {} : { ca: options.ca }),
    ...(options.cert === undefined ? {} : { cert: options.cert }),
    ...(options.key === undefined ? {} : { key: options.key }),
  })
  socket.setNoDelay(true)
  return socket
}
