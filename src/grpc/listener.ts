// listener.ts: accepts connections on one address and sorts them by what the client speaks. Under
// TLS the handshake (ALPN) decides; in plain text, and for TLS clients that negotiate nothing, the
// first bytes do. What speaks neither HTTP is logged and closed.
import net from 'node:net'
import tls from 'node:tls'
import type { Clock } from '../platform/clock.js'
import type { Log } from '../platform/log.js'
import { type ServerTls, serverTlsOptions } from './address.js'
import { type Protocol, protocolOf } from './first-bytes.js'
import { preface } from './h2/frame-splitter.js'
import { openPort } from './port.js'
import { rejection, rejectionReason, rememberAddress } from './tls-rejection.js'

/** A client that says nothing, or not enough, is not kept unsorted for longer than this. */
const silenceMs = 120_000

export type ListenAt =
  | { readonly host: string; readonly port: number; readonly tls?: ServerTls }
  | { readonly path: string; readonly tls?: ServerTls }

export interface ListenerOptions {
  readonly clock: Clock
  readonly log: Log
  onHttp2(socket: net.Socket): void
  onHttp1(socket: net.Socket): void
}

export class Listener {
  readonly #options: ListenerOptions
  readonly #server: net.Server
  readonly #sockets = new Set<net.Socket>()
  readonly #unsorted = new Set<net.Socket>()
  #whenEmpty: (() => void) | undefined
  #isUnref = false

  constructor(at: ListenAt, options: ListenerOptions) {
    this.#options = options
    this.#server = at.tls === undefined ? this.#plainServer() : this.#tlsServer(at.tls)
    this.#server.on('connection', (socket: net.Socket) => this.#track(socket))
  }

  /** The port taken; 0 for a unix socket. */
  async open(at: ListenAt): Promise<number> {
    const port = await openPort(this.#server, at)
    this.#server.on('error', (error) => this.#note('cannot accept a connection', error))
    return port
  }

  /** Takes no new connections; those that said nothing yet are closed. */
  stop(): void {
    this.#server.close()
    for (const socket of this.#unsorted) socket.destroy()
  }

  get openCount(): number {
    return this.#sockets.size
  }

  /** Neither the port nor a connection keeps the process alive from now on. */
  unref(): void {
    this.#isUnref = true
    this.#server.unref()
    for (const socket of this.#sockets) socket.unref()
  }

  /** Resolves when every connection is closed. */
  empty(): Promise<void> {
    if (this.#sockets.size === 0) return Promise.resolve()
    return new Promise((resolve) => {
      this.#whenEmpty = resolve
    })
  }

  cut(): void {
    for (const socket of this.#sockets) socket.destroy()
  }

  #plainServer(): net.Server {
    return net.createServer({ noDelay: true }, (socket) => this.#sort(socket))
  }

  #tlsServer(material: ServerTls): net.Server {
    const server = tls.createServer({
      ...serverTlsOptions(material),
      ALPNProtocols: ['h2', 'http/1.1'],
      noDelay: true,
    })
    server.on('secureConnection', (socket) => {
      if (socket.alpnProtocol === 'h2') this.#dispatch(socket, 'http2')
      else if (socket.alpnProtocol === 'http/1.1') this.#dispatch(socket, 'http1')
      else this.#sort(socket)
    })
    server.on('tlsClientError', (error, socket) => {
      this.#reject(socket, rejectionReason(error, socket))
      socket.destroy()
    })
    return server
  }

  #track(socket: net.Socket): void {
    this.#sockets.add(socket)
    rememberAddress(socket)
    if (this.#isUnref) socket.unref()
    socket.on('error', (error) => this.#note('connection failed', error))
    socket.once('close', () => {
      this.#sockets.delete(socket)
      if (this.#sockets.size === 0) this.#whenEmpty?.()
    })
  }

  /** Reads until it is known who is to have the connection, and hands it over unread. */
  #sort(socket: net.Socket): void {
    this.#unsorted.add(socket)
    socket.on('error', ignore)
    let held: Buffer = Buffer.alloc(0)
    const settle = (protocol?: Protocol) => {
      limit.cancel()
      this.#unsorted.delete(socket)
      socket.off('readable', read)
      socket.off('close', close)
      if (protocol === undefined) return
      socket.unshift(held)
      this.#dispatch(socket, protocol)
    }
    const judge = (isOver = false) => {
      const protocol = protocolOf(held)
      // Who begins to greet in HTTP/2 has no more time to say so than others.
      if (protocol !== undefined && (protocol !== 'http2' || held.length >= preface.length)) {
        settle(protocol)
      } else if (isOver) socket.destroy()
    }
    const limit = this.#options.clock.after(silenceMs, () => judge(true))
    const close = () => settle()
    const read = () => {
      const piece: Buffer | null = socket.read()
      if (piece === null) {
        if (socket.readableEnded || socket.readableLength === 0) endIfOver(socket)
        return
      }
      held = held.length === 0 ? Buffer.from(piece) : Buffer.concat([held, piece])
      judge()
    }
    socket.on('readable', read)
    socket.once('close', close)
  }

  #dispatch(socket: net.Socket, protocol: Protocol): void {
    if (protocol === 'http2') {
      this.#options.onHttp2(socket)
    } else if (protocol === 'http1') {
      this.#options.onHttp1(socket)
    } else {
      const what = protocol === 'tls' ? 'client speaks TLS to a plain port' : 'unknown protocol'
      this.#reject(socket, what)
      socket.destroy()
    }
  }

  #reject(socket: net.Socket, error: string): void {
    this.#options.log.warn('rejected connection', rejection(socket, error))
  }

  #note(msg: string, error: Error): void {
    this.#options.log.debug(msg, { error: error.message })
  }
}

/** A client that half-closed before it said what it speaks will not say more. */
function endIfOver(socket: net.Socket): void {
  if (socket.readableEnded) socket.destroy()
  else socket.once('end', () => socket.destroy())
}

function ignore(): void {}
