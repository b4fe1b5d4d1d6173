// server.ts: the server end. One port serves gRPC over HTTP/2 and, to whoever speaks HTTP/1.1,
// the callback `http1`; the first bytes of a connection (or ALPN under TLS) decide.
import {
  createServer as createHttpServer,
  type Server as HttpServer,
  type IncomingMessage,
  type ServerResponse,
} from 'node:http'
import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import type { Clock } from '../platform/clock.js'
import type { Log } from '../platform/log.js'
import { isGrpcType } from './content-type.js'
import { type OnUpgrade, orAgain } from './declined-upgrade.js'
import { foreignExchange } from './h2/foreign.js'
import type { Stream } from './h2/stream.js'
import { type ListenAt, Listener } from './listener.js'
import { IncomingCall } from './server-call.js'
import { type ServerKeepalive, ServerSession } from './server-session.js'
import { type StreamHandler, serveStream } from './server-stream.js'
import { serveUnary, type UnaryHandler } from './server-unary.js'
import { RpcError, Status } from './status.js'

// Taken now: fake timers that a test puts in its place later are to stop the test's code alone.
const { setImmediate } = globalThis

export type { ServerTls, TlsProtocol } from './address.js'
export { type OnUpgrade, orAgain } from './declined-upgrade.js'
export type { ListenAt } from './listener.js'
export { rpcErrorOf, type ServerCall } from './server-call.js'
export { type Peer, peerOf, type ServerKeepalive } from './server-session.js'
export type { ServerStream, StreamHandler } from './server-stream.js'
export type { UnaryHandler } from './server-unary.js'

export type Handler =
  | { readonly kind: 'unary'; readonly handle: UnaryHandler }
  | { readonly kind: 'stream'; readonly handle: StreamHandler }

export interface GrpcServerOptions {
  /** By full path: /package.Service/Method. */
  readonly handlers: ReadonlyMap<string, Handler>
  readonly http1?: (request: IncomingMessage, response: ServerResponse) => void
  /** Whether it took a connection of HTTP/1.1 over, to speak what its client asks for. */
  readonly upgrade?: OnUpgrade
  readonly receiveMaxBytes: number
  /** Per connection. Default: no limit. */
  readonly maxConcurrentStreams?: number
  readonly keepalive: ServerKeepalive
  /** How much of its answers a client may leave unread before its calls wait. Default: 256 MiB. */
  readonly unreadMaxBytes?: number
  readonly log: Log
  readonly clock: Clock
}

export interface OpenCounts {
  /** Of every kind, those that said nothing yet included. */
  readonly connections: number
  readonly http2Sessions: number
  /** Streams of HTTP/2, whether their request is here or not. */
  readonly calls: number
}

export interface GrpcServer {
  /** May be called several times. `port` is the one taken (0 for a unix socket). */
  listen(at: ListenAt): Promise<{ port: number }>
  /** What clients have open now. */
  readonly open: OpenCounts
  /** Neither the ports nor the connections keep the process alive from now on. */
  unref(): void
  /** Breaks every connection and goes on to listen. */
  cutConnections(): void
  /** Refuses new calls at once, lets those under way finish for `graceMs`, then cuts them. */
  close(graceMs: number): Promise<void>
}

export function newGrpcServer(options: GrpcServerOptions): GrpcServer {
  return new Server(options)
}

class Server implements GrpcServer {
  readonly #options: GrpcServerOptions
  readonly #services: ReadonlySet<string | undefined>
  /** Made for the first connection that speaks it. */
  #http1: HttpServer | undefined
  readonly #listeners = new Set<Listener>()
  readonly #sessions = new Set<ServerSession>()
  #isClosing = false

  constructor(options: GrpcServerOptions) {
    this.#options = options
    this.#services = new Set([...options.handlers.keys()].map((path) => splitPath(path).service))
  }

  async listen(at: ListenAt): Promise<{ port: number }> {
    const { clock, log } = this.#options
    const listener = new Listener(at, {
      clock,
      log,
      onHttp2: (socket) => this.#onHttp2(socket),
      onHttp1: (socket) => this.#onHttp1(socket),
    })
    const port = await listener.open(at)
    this.#listeners.add(listener)
    return { port }
  }

  get open(): OpenCounts {
    const sessions = [...this.#sessions]
    return {
      connections: [...this.#listeners].reduce((sum, { openCount }) => sum + openCount, 0),
      http2Sessions: sessions.length,
      calls: sessions.reduce((sum, { callCount }) => sum + callCount, 0),
    }
  }

  unref(): void {
    for (const listener of this.#listeners) listener.unref()
  }

  cutConnections(): void {
    for (const listener of this.#listeners) listener.cut()
  }

  async close(graceMs: number): Promise<void> {
    const listeners = [...this.#listeners]
    for (const listener of listeners) listener.stop()
    this.#isClosing = true
    this.#http1?.close()
    for (const session of this.#sessions) session.drain()
    const cut = () => {
      for (const session of this.#sessions) session.cut()
      for (const listener of listeners) listener.cut()
    }
    const timer = graceMs > 0 ? this.#options.clock.after(graceMs, cut) : undefined
    timer?.hold?.()
    if (timer === undefined) cut()
    await Promise.all(listeners.map((listener) => listener.empty()))
    timer?.cancel()
    this.#listeners.clear()
  }

  #onHttp1(socket: Socket): void {
    const { http1 } = this.#options
    if (http1 === undefined) {
      socket.destroy()
      return
    }
    this.#http1 ??= this.#newHttp1(http1)
    this.#http1.emit('connection', socket)
  }

  #newHttp1(serve: NonNullable<GrpcServerOptions['http1']>): HttpServer {
    const server = createHttpServer((request, response) => {
      // Kept-alive connections fall idle after their answer and must not hold up close().
      response.once('close', () => {
        if (this.#isClosing) setImmediate(() => server.closeIdleConnections())
      })
      serve(request, response)
    })
    const { upgrade } = this.#options
    if (upgrade !== undefined) {
      const again = (socket: Duplex) => void server.emit('connection', socket)
      server.on('upgrade', orAgain(upgrade, again))
    }
    // It never listens itself, but only this starts its watch over idle and slow connections.
    server.emit('listening')
    return server
  }

  #onHttp2(socket: Socket): void {
    const session = new ServerSession(socket, this.#options, {
      onStream: (stream, session) => this.#onStream(stream, session),
      onClose: (session) => this.#sessions.delete(session),
    })
    this.#sessions.add(session)
  }

  #onStream(stream: Stream, session: ServerSession): void {
    const { headers } = stream
    if (!isGrpcType(headers['content-type'] ?? '') || headers[':method'] !== 'POST') {
      this.#onForeign(stream, session)
      return
    }
    const call = new IncomingCall(stream, session, this.#options)
    const handler = this.#options.handlers.get(call.path)
    const { receiveMaxBytes } = this.#options
    if (call.isOver) stream.resume()
    else if (!isReadable(call)) call.end(undecodable(call))
    else if (handler === undefined) call.end(this.#unknown(call.path))
    else if (handler.kind === 'unary') serveUnary(call, handler.handle, receiveMaxBytes)
    else serveStream(call, handler.handle, receiveMaxBytes)
  }

  #unknown(path: string): RpcError {
    const { service, method } = splitPath(path)
    if (service === undefined) {
      return new RpcError(Status.unimplemented, `malformed method name: "${path}"`)
    }
    const details = this.#services.has(service)
      ? `unknown method ${method} for service ${service}`
      : `unknown service ${service}`
    return new RpcError(Status.unimplemented, details)
  }

  /** Plain HTTP over HTTP/2: a curl that negotiated h2 under TLS wants /health as well. */
  #onForeign(stream: Stream, session: ServerSession): void {
    const { http1, clock } = this.#options
    if (http1 === undefined) {
      stream.respond([[':status', '415']])
      stream.end(undefined)
      return
    }
    const { request, response } = foreignExchange(stream, session.socket, clock.wall())
    // They have what our handlers use of their HTTP/1.1 namesakes, not their types.
    http1(request as unknown as IncomingMessage, response as unknown as ServerResponse)
  }
}

/** /package.Service/Method, taken apart. */
function splitPath(path: string): { service: string | undefined; method: string } {
  const slash = path.lastIndexOf('/')
  if (!path.startsWith('/') || slash < 1) return { service: undefined, method: '' }
  return { service: path.slice(1, slash), method: path.slice(slash + 1) }
}

/** As grpc-go: an unknown encoding ends a call even if no message of it is compressed. */
const isReadable = ({ encoding }: IncomingCall): boolean =>
  encoding === undefined || encoding === 'identity'

function undecodable({ encoding }: IncomingCall): RpcError {
  const details = `grpc: Decompressor is not installed for grpc-encoding "${encoding}"`
  return new RpcError(Status.unimplemented, details)
}
