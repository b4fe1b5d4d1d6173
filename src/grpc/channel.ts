// channel.ts: the client end. A channel stands for one service behind several addresses: calls
// wait until one of them can be reached, and move to another when it goes away.
import type { Clock } from '../platform/clock.js'
import type { Random } from '../platform/random.js'
import type { Address, TlsOptions } from './address.js'
import type { CallOptions } from './call.js'
import { type ClientStream, OutgoingStream } from './client-stream.js'
import { Dialer } from './dialer.js'
import { unaryCall } from './unary-call.js'

export type { Address, TlsOptions } from './address.js'
export type { CallOptions } from './call.js'
export type { ClientStream } from './client-stream.js'
export { closingError } from './dialer.js'

export interface ChannelOptions {
  /** At least one. The first that answers is used; the others stand by. */
  readonly addresses: readonly Address[]
  /** Present: every address is met with TLS. */
  readonly tls?: TlsOptions
  readonly sendMaxBytes: number
  readonly receiveMaxBytes: number
  /** Silence after which a connection with calls under way is probed; 0 is never. */
  readonly keepaliveTimeMs: number
  /** How long the probe may stay unanswered before the connection is given up. */
  readonly keepaliveTimeoutMs: number
  readonly clock: Clock
  readonly random: Random
  readonly userAgent?: string
}

export interface Channel {
  /** One request, one answer. Waits for a connection until its deadline. */
  unary(path: string, request: Uint8Array, options?: CallOptions): Promise<Buffer>
  /** Any of the streaming kinds: write() and end() say when the requests are over. */
  stream(path: string, options?: CallOptions): ClientStream
  /** Why no address could be reached, for a person to read. */
  readonly lastConnectError: Error | undefined
  readonly everConnected: boolean
  /** Name of the address in use now. */
  readonly peer: string | undefined
  /** Later calls go to another address, if one answers; calls under way stay where they are. */
  switchAddress(): void
  /** Ends everything at once: calls under way fail as Canceled. */
  close(): Promise<void>
}

/** Starts to dial at once; calls need not wait for it. */
export function openChannel(options: ChannelOptions): Channel {
  const { addresses, tls, sendMaxBytes, receiveMaxBytes } = options
  const { keepaliveTimeMs, keepaliveTimeoutMs } = options
  if (addresses.length === 0) throw new TypeError('a channel needs at least one address')
  const { clock, random } = options
  const userAgent = options.userAgent ?? 'grpc-node-http2'
  const keepalive = { keepaliveTimeMs, keepaliveTimeoutMs }
  const dialer = new Dialer({ addresses, tls, userAgent, clock, random, ...keepalive })
  const parts = { sendMaxBytes, receiveMaxBytes, dialer, clock }
  return {
    unary: (path, request, call = {}) => unaryCall(parts, path, request, call),
    stream: (path, call = {}) => new OutgoingStream(parts, path, call),
    get lastConnectError() {
      return dialer.lastError
    },
    get everConnected() {
      return dialer.everConnected
    },
    get peer() {
      return dialer.current?.name
    },
    switchAddress: () => dialer.switchAddress(),
    close: () => dialer.close(),
  }
}
