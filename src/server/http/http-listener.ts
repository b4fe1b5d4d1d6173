// http-listener.ts: a port that serves plain HTTP and nothing else: one of
// --listen-client-http-urls or of --listen-metrics-urls.
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import type { Socket } from 'node:net'
import type { TLSSocket } from 'node:tls'
import { serverTlsOptions } from '../../grpc/address.js'
import { openPort } from '../../grpc/port.js'
import { type OnUpgrade, orAgain, type ServerTls } from '../../grpc/server.js'
import { rejection, rejectionReason, rememberAddress } from '../../grpc/tls-rejection.js'
import type { Log } from '../../platform/log.js'
import type { ListenAddress } from '../config.js'

export interface HttpListener {
  /** The one taken; 0 for a unix socket. */
  readonly port: number
  /** Breaks every connection; clients may come again at once. */
  cut(): void
  /** Neither the port nor a connection keeps the process alive from now on. */
  unref(): void
  close(): Promise<void>
}

export interface HttpService {
  log: Log
  onRequest(request: IncomingMessage, response: ServerResponse): void
  /** Whether it took the connection over. */
  onUpgrade?: OnUpgrade
}

/** `tls` is there for URLs of https and unixs. */
export async function listenHttp(
  at: ListenAddress['at'],
  tls: ServerTls | undefined,
  { log, onRequest, onUpgrade }: HttpService,
): Promise<HttpListener> {
  const server =
    tls === undefined ? createServer(onRequest) : createTlsServer(serverTlsOptions(tls), onRequest)
  if (onUpgrade !== undefined) {
    const arrival = tls === undefined ? 'connection' : 'secureConnection'
    server.on(
      'upgrade',
      orAgain(onUpgrade, (socket) => void server.emit(arrival, socket)),
    )
  }
  server.on('tlsClientError', (error: Error, socket: TLSSocket) => {
    log.warn('rejected connection', rejection(socket, rejectionReason(error, socket)))
  })
  const sockets = socketsOf(server)
  const port = await openPort(server, at)
  const cut = () => {
    for (const socket of sockets) socket.destroy()
  }
  return {
    port,
    cut,
    unref() {
      server.unref()
      for (const socket of sockets) socket.unref()
      server.on('connection', (socket: Socket) => socket.unref())
    },
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        cut()
      }),
  }
}

/** Those that are open; Node's own list forgets what was upgraded. */
function socketsOf(server: Server): ReadonlySet<Socket> {
  const sockets = new Set<Socket>()
  server.on('connection', (socket: Socket) => {
    sockets.add(socket)
    rememberAddress(socket)
    socket.once('close', () => sockets.delete(socket))
  })
  return sockets
}
