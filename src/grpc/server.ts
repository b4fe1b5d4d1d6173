// server.ts: the server end. One port serves gRPC over HTTP/2 and, to whoever speaks HTTP/1.1,
// the callback `http1`; the first bytes of a connection (or ALPN under TLS) decide.
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Clock } from '../platform/clock.js'
import type { Log } from '../platform/log.js'
import type { ServerTls } from './address.js'
import type { Metadata } from './metadata.js'

export type { ServerTls } from './address.js'

export interface ServerCall {
  readonly path: string
  readonly metadata: Metadata
  /** Aborted when the client cancelled, the deadline passed, the connection broke, the server stops. */
  readonly signal: AbortSignal
  readonly peer: { readonly address: string; readonly commonName?: string }
}

export type UnaryHandler = (request: Buffer, call: ServerCall) => Promise<Uint8Array> | Uint8Array

/** Iteration gives the client's messages and ends when the client has no more to say. */
export interface ServerStream extends ServerCall, AsyncIterable<Buffer> {
  /** Waits while the client is slow. */
  write(message: Uint8Array): Promise<void>
}

/**
 * Returning is status OK. Thrown errors with a numeric `status` (1 to 16) and a `message`, and
 * RpcErrors, are sent as that status; anything else is Unknown.
 */
export type StreamHandler = (stream: ServerStream) => Promise<void>

export type Handler =
  | { readonly kind: 'unary'; readonly handle: UnaryHandler }
  | { readonly kind: 'stream'; readonly handle: StreamHandler }

export interface ServerKeepalive {
  /** Client pings closer together than this are bad manners; three are a reason to part. */
  readonly minTimeMs: number
  /** Whether a client without calls under way may ping. */
  readonly permitWithoutStream: boolean
  /** Silence after which the server probes; 0 is never. */
  readonly timeMs: number
  readonly timeoutMs: number
}

export interface GrpcServerOptions {
  /** By full path: /package.Service/Method. */
  readonly handlers: ReadonlyMap<string, Handler>
  readonly http1?: (request: IncomingMessage, response: ServerResponse) => void
  readonly receiveMaxBytes: number
  /** Per connection. Default: no limit of its own (2^32 - 1). */
  readonly maxConcurrentStreams?: number
  readonly keepalive: ServerKeepalive
  readonly log: Log
  readonly clock: Clock
}

export type ListenAt =
  | { readonly host: string; readonly port: number; readonly tls?: ServerTls }
  | { readonly path: string; readonly tls?: ServerTls }

export interface GrpcServer {
  /** May be called several times. `port` is the one taken (0 for a unix socket). */
  listen(at: ListenAt): Promise<{ port: number }>
  /** Refuses new calls at once, lets those under way finish for `graceMs`, then cuts them. */
  close(graceMs: number): Promise<void>
}

export function newGrpcServer(options: GrpcServerOptions): GrpcServer {
  throw new Error(`not yet: ${options.handlers.size}`)
}
