// server-session.ts: one HTTP/2 connection of a client, seen from the server: who the client is,
// whether it is still there, and whether it minds its manners about pings. The rule is grpc-go's:
// a ping sooner than allowed is a strike, more than two strikes end the connection, and anything
// that the server sends in between wipes them out.
import type net from 'node:net'
import tls from 'node:tls'
import type { Clock } from '../platform/clock.js'
import type { Log } from '../platform/log.js'
import type { ConnectionFault } from './h2/faults.js'
import { errorCode } from './h2/frame-types.js'
import { ServerConnection } from './h2/server-connection.js'
import { unlimited } from './h2/settings.js'
import { putOnSocket } from './h2/socket.js'
import type { Stream } from './h2/stream.js'
import { KeepAlive } from './keepalive.js'
import { Outlet } from './outlet.js'

const strikesMax = 2

// Taken now: fake timers that a test puts in its place later are to stop the test's code alone.
const { setImmediate } = globalThis

/**
 * Bytes of answers that a client has asked for and not read yet. Above this its further large
 * answers are not made before it has read: each may be all there is, and would be kept in memory
 * for who never reads. Some of the largest fit, so that only such a client gets there.
 */
const unreadMaxBytes = 256 * 1024 * 1024

/** A larger answer counts as unread until it has left, a smaller one until its stream is closed. */
export const largeBytes = 64 * 1024

/** Calls that wait for that; more are refused. */
const waitingMax = 1_000

/** With nothing under way a ping is fine only this long after the last. */
const idlePingMs = 2 * 60 * 60 * 1000

/** The answer to a ping, some window updates, and what TLS adds; more than that is an answer. */
const controlBytesMax = 256

/** Per call: more than the largest request that is accepted in practice would need to fly. */
const streamWindowBytes = 1024 * 1024

/** For all calls of a connection together; each call has its own, smaller window. */
const sessionWindowBytes = 8 * 1024 * 1024

/** Of a request, as HTTP/2 counts: 32 bytes a field beside the text. node:http2 allows as much. */
const headerListBytesMax = 64 * 1024

export interface ServerKeepalive {
  /** Client pings closer together than this are bad manners; three are a reason to part. */
  readonly minTimeMs: number
  /** Whether a client without calls under way may ping. */
  readonly permitWithoutStream: boolean
  /** Silence after which the server probes; 0 is never. */
  readonly timeMs: number
  readonly timeoutMs: number
}

export interface Peer {
  readonly address: string
  readonly commonName?: string
}

export interface ServerSessionOptions {
  readonly clock: Clock
  readonly log: Log
  readonly keepalive: ServerKeepalive
  /** In the place of 256 MiB. */
  readonly unreadMaxBytes?: number
  /** Default: no limit. */
  readonly maxConcurrentStreams?: number
}

/** Who is told of what happens. */
export interface ServerSessionListener {
  onStream(stream: Stream, session: ServerSession): void
  onClose(session: ServerSession): void
}

interface WaitingAnswer {
  readonly bytes: number
  make(): void
}

export class ServerSession {
  readonly peer: Peer
  readonly socket: net.Socket
  readonly #connection: ServerConnection
  readonly #options: ServerSessionOptions
  readonly #keepAlive: KeepAlive
  #calls = 0
  #strikes = 0
  #unreadBytes = 0
  /** Of these the answers that never wait for room. */
  #smallUnreadBytes = 0
  readonly #waiting: WaitingAnswer[] = []
  readonly #outlet: Outlet
  #lastPing = Number.NEGATIVE_INFINITY
  readonly #bytesWritten: () => number
  #bytesAtPing = 0

  constructor(socket: net.Socket, options: ServerSessionOptions, listener: ServerSessionListener) {
    this.#options = options
    this.socket = socket
    // What waits in this process has not left yet.
    this.#bytesWritten = () => socket.bytesWritten - socket.writableLength
    this.peer = peerOf(socket)
    const own = {
      streamsMax: options.maxConcurrentStreams ?? unlimited,
      streamWindowBytes,
      connectionWindowBytes: sessionWindowBytes,
      headerListBytesMax,
      clock: options.clock,
      onStream: (stream: Stream) => listener.onStream(stream, this),
      onPing: () => this.#onPing(),
      onFault: (fault: ConnectionFault) => this.#onFault(fault),
    }
    this.#connection = putOnSocket(socket, (transport) => new ServerConnection(transport, own))
    socket.on('close', () => {
      this.#stopTimers()
      listener.onClose(this)
    })
    const ping = () => this.#connection.ping()
    this.#keepAlive = new KeepAlive({
      clock: options.clock,
      timeMs: options.keepalive.timeMs,
      timeoutMs: options.keepalive.timeoutMs,
      bytesRead: () => socket.bytesRead,
      ping,
      isWanted: () => !this.#connection.isOver,
      onDead: () => this.cut(),
    })
    this.#keepAlive.wake()
    this.#outlet = new Outlet({
      clock: options.clock,
      bytesRead: () => socket.bytesRead,
      bytesWritten: this.#bytesWritten,
      ping,
      onStuck: () => {
        options.log.debug('http2 session was stuck', { peer: this.peer.address })
        this.cut()
      },
    })
  }

  /** Streams that are open, whether their request is here or not. */
  get callCount(): number {
    return this.#calls
  }

  callBegins(): void {
    this.#calls++
  }

  callEnds(): void {
    this.#calls--
  }

  /**
   * Takes room for an answer: at once, or when the client has read enough of earlier ones, which
   * its `make` is called for. False: too many wait already.
   */
  reserve(answer: WaitingAnswer): boolean {
    if (this.#waiting.length >= waitingMax) return false
    this.#waiting.push(answer)
    this.#admit()
    return true
  }

  /** False: it waits no more, so it has its room. */
  withdraw(answer: WaitingAnswer): boolean {
    const at = this.#waiting.indexOf(answer)
    if (at >= 0) this.#waiting.splice(at, 1)
    return at >= 0
  }

  /** For an answer that is there already: it counts, and does not wait. */
  noteAnswer(bytes: number): void {
    this.#unreadBytes += bytes
    if (bytes < largeBytes) this.#smallUnreadBytes += bytes
  }

  /** It has asked for so much in small, and reads none of it, that it is to have no more. */
  get isOverdrawn(): boolean {
    return this.#smallUnreadBytes > this.#unreadMax
  }

  /** It has left, or never will. */
  release(bytes: number): void {
    this.#unreadBytes -= bytes
    if (bytes < largeBytes) this.#smallUnreadBytes -= bytes
    // Not in this turn: when a client goes, its calls end one after the other, and none of those
    // that still wait is to be made for it.
    if (this.#waiting.length > 0) setImmediate(() => this.#admit())
  }

  get #unreadMax(): number {
    return this.#options.unreadMaxBytes ?? unreadMaxBytes
  }

  /** In the order in which they came. One always fits, however large. */
  #admit(): void {
    const max = this.#unreadMax
    for (;;) {
      const next = this.#waiting[0]
      if (next === undefined) return
      if (this.#unreadBytes > 0 && this.#unreadBytes + next.bytes > max) return
      this.#waiting.shift()
      this.#unreadBytes += next.bytes
      next.make()
    }
  }

  /** Headers or data go out: the client had a reason to listen. */
  noteSent(): void {
    this.#strikes = 0
    this.#lastPing = Number.NEGATIVE_INFINITY
  }

  /** No new calls; closes when those under way are over. */
  drain(): void {
    this.#connection.drain()
  }

  cut(): void {
    this.#stopTimers()
    this.socket.destroy()
  }

  #stopTimers(): void {
    this.#keepAlive.stop()
    this.#outlet.stop()
  }

  #onPing(): void {
    if (this.#connection.isOver) return
    const { clock, keepalive } = this.#options
    const now = clock.now()
    const isIdle = this.#calls === 0 && !keepalive.permitWithoutStream
    const dueMs = isIdle ? idlePingMs : keepalive.minTimeMs
    // A large answer goes out long after it was handed over, and grpc-go measures with pings how
    // fast it comes: they are no strikes.
    const written = this.#bytesWritten()
    if (written - this.#bytesAtPing > controlBytesMax) this.noteSent()
    this.#bytesAtPing = written
    if (now - this.#lastPing < dueMs) this.#strikes++
    this.#lastPing = now
    if (this.#strikes <= strikesMax) return
    this.#options.log.warn('client pings too often', { peer: this.peer.address })
    this.#connection.fail(errorCode.enhanceYourCalm, 'too_many_pings')
  }

  #onFault({ message }: ConnectionFault): void {
    this.#options.log.debug('http2 session failed', { peer: this.peer.address, error: message })
  }
}

/** Who is at the other end; the common name is of a certificate that was checked. */
export function peerOf(socket: net.Socket): Peer {
  const { remoteAddress, remotePort } = socket
  const host = remoteAddress?.includes(':') ? `[${remoteAddress}]` : remoteAddress
  const address = host === undefined ? '@' : `${host}:${remotePort ?? 0}` // @: a unix socket
  if (!(socket instanceof tls.TLSSocket) || !socket.authorized) return { address }
  const commonName: unknown = socket.getPeerCertificate().subject?.CN
  return typeof commonName === 'string' ? { address, commonName } : { address }
}
