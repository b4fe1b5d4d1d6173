// connection.ts: one HTTP/2 connection of a client. Its life:
//
//     dialing ──► open ──► ready ──► draining ──► closed
//                                 (or closed from anywhere)
//
// open: TCP, and TLS if there is any, stand. ready: the peer's SETTINGS arrived, so it speaks
// HTTP/2 for sure. draining: the peer said GOAWAY; calls under way may finish, new ones go
// elsewhere.
import net from 'node:net'
import tls from 'node:tls'
import type { Clock } from '../platform/clock.js'
import { type Address, addressText, type TlsOptions } from './address.js'
import { ClientConnection } from './h2/client-connection.js'
import type { HeaderField } from './h2/hpack-encoder.js'
import { putOnSocket } from './h2/socket.js'
import type { Stream } from './h2/stream.js'
import { KeepAlive } from './keepalive.js'
import type { Metadata } from './metadata.js'

/**
 * Per call. It is also the bound on what a slow reader makes this process hold, and what a large
 * answer may have on its way: at 1 ms round trip it allows 4 GB/s, at 40 ms still 100 MB/s.
 */
const streamWindowBytes = 4 * 1024 * 1024

/** For all calls of a connection together. */
const connectionWindowBytes = 16 * 1024 * 1024

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
  /** It has room for calls, after it had none. */
  onRoom(connection: Connection): void
  onDraining(connection: Connection): void
  /** The last thing that is told. `error` is what ended it, if anything but us. */
  onClosed(connection: Connection, error: unknown): void
}

export class Connection {
  readonly address: Address
  readonly name: string
  state: 'dialing' | 'open' | 'ready' | 'draining' | 'closed' = 'dialing'
  wasReady = false
  /** A call was started on it. */
  wasUsed = false
  /** What ended it or is about to. */
  reason: unknown
  readonly #options: ConnectionOptions
  readonly #watcher: ConnectionWatcher
  readonly #socket: net.Socket
  readonly #keepAlive: KeepAlive
  /** Of every request the first ones. */
  readonly #fields: readonly HeaderField[]
  /** From open on. */
  #http: ClientConnection | undefined

  constructor(options: ConnectionOptions, watcher: ConnectionWatcher) {
    this.#options = options
    this.#watcher = watcher
    this.address = options.address
    this.name = addressText(options.address)
    this.#fields = [
      [':method', 'POST'],
      [':scheme', options.tls === undefined ? 'http' : 'https'],
      [':authority', 'path' in options.address ? 'localhost' : this.name],
    ]
    const socket = dial(options.address, options.tls)
    this.#socket = socket
    this.#keepAlive = new KeepAlive({
      clock: options.clock,
      timeMs: options.keepaliveTimeMs,
      timeoutMs: options.keepaliveTimeoutMs,
      bytesRead: () => socket.bytesRead,
      ping: () => this.#http?.ping(),
      // A server that does not read has no streams left once their deadlines have passed, and lets
      // none begin.
      isWanted: () => this.#http !== undefined && (this.#http.streamCount > 0 || this.#http.isFull),
      onDead: () => this.close(new Error('keepalive ping failed to receive ACK within timeout')),
    })
    socket.setNoDelay(true)
    socket.once(options.tls === undefined ? 'connect' : 'secureConnect', () => this.#open())
    socket.on('error', (error) => {
      this.reason ??= error
    })
    // A server that says nothing more answers nothing more.
    socket.once('end', () => socket.destroy())
    socket.once('close', () => this.#closed())
  }

  /** There has to be room. Throws a TypeError for metadata that HTTP does not allow. */
  request({ path, timeout, metadata }: RequestHead): Stream {
    const fields: HeaderField[] = [
      ...this.#fields,
      [':path', path],
      ['content-type', 'application/grpc'],
      ['te', 'trailers'],
      ['user-agent', this.#options.userAgent],
    ]
    if (timeout !== undefined) fields.push(['grpc-timeout', timeout])
    if (metadata !== undefined) fields.push(...Object.entries(metadata))
    if (this.#http === undefined) throw new Error(`no connection to ${this.name} yet`)
    const stream = this.#http.open(fields)
    this.wasUsed = true
    this.#keepAlive.wake()
    return stream
  }

  /** Takes no new calls; closes when those under way are over. */
  drain(): void {
    this.#http?.drain()
  }

  /** A call may be started now. */
  get hasRoom(): boolean {
    return this.takesCalls && this.#http?.hasRoom === true
  }

  /** False when no call will be started any more, even before events say so. */
  get takesCalls(): boolean {
    return !this.#socket.destroyed && this.#http?.takesStreams !== false
  }

  close(reason?: unknown): void {
    this.reason ??= reason
    this.#socket.destroy()
  }

  #open(): void {
    this.#http = putOnSocket(this.#socket, (transport) => {
      return new ClientConnection(transport, {
        streamWindowBytes,
        connectionWindowBytes,
        onReady: () => this.#ready(),
        onRoom: () => this.#watcher.onRoom(this),
        onDraining: () => this.#drains(),
        onGoaway: (code, debug) => {
          const text = debug.length === 0 ? '' : `, ${debug.toString('latin1')}`
          this.reason ??= new Error(`the server said GOAWAY with code ${code}${text}`)
        },
        onFault: (fault) => {
          this.reason ??= fault
        },
      })
    })
    this.state = 'open'
    this.#watcher.onOpen(this)
  }

  #ready(): void {
    if (this.state !== 'open') return
    this.state = 'ready'
    this.wasReady = true
    this.#watcher.onReady(this)
  }

  #drains(): void {
    if (this.state === 'closed') return
    this.state = 'draining'
    this.#watcher.onDraining(this)
  }

  #closed(): void {
    this.state = 'closed'
    this.#keepAlive.stop()
    this.#watcher.onClosed(this, this.reason)
  }
}

function dial(address: Address, options: TlsOptions | undefined): net.Socket {
  const at = 'path' in address ? { path: address.path } : { host: address.host, port: address.port }
  if (options === undefined) return net.connect(at)
  const host = 'path' in address ? 'localhost' : address.host
  const name = options.serverName ?? host
  return tls.connect({
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
}
