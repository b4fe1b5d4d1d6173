// channel.ts: the client end. A channel stands for one service behind several addresses: calls
// wait until one of them can be reached, and move to another when it goes away.
import type { Clock } from '../platform/clock.js'
import type { Random } from '../platform/random.js'
import type { Address, TlsOptions } from './address.js'
import type { Metadata } from './metadata.js'

export type { Address, TlsOptions } from './address.js'

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
  readonly clock?: Clock
  readonly random?: Random
  readonly userAgent?: string
}

export interface CallOptions {
  readonly metadata?: Metadata
  /** From now. Without it the call waits for ever. */
  readonly deadlineMs?: number
  readonly signal?: AbortSignal
  /**
   * True: the call may reach a handler twice without harm. It is then sent before the peer has
   * shown that it speaks HTTP/2, which saves a round trip on a new connection, and again if the
   * peer turns out not to.
   */
  readonly idempotent?: boolean
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

/** Iteration ends at status OK; any other status is thrown as an RpcError. */
export interface ClientStream extends AsyncIterable<Buffer> {
  /** Resolves when there is room for the next message. */
  write(message: Uint8Array): Promise<void>
  /** No more requests; answers may still come. */
  end(): void
  cancel(): void
}

export function openChannel(options: ChannelOptions): Channel {
  throw new Error(`not yet: ${options.addresses.length}`)
}
