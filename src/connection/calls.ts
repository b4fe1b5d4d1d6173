// calls.ts: how a connection sends one call: what travels beside it, how often it is tried, when
// its time is over and what its failure is called. Everything above deals in paths and bytes.
import { setMaxListeners } from 'node:events'
import { apiVersion } from '../api/version.js'
import { type Channel, type ClientStream, closingError } from '../grpc/channel.js'
import type { Clock } from '../platform/clock.js'
import type { Random } from '../platform/random.js'
import type { CallOptions } from './clients.js'
import { ContextError, callError, isTokenRefused } from './errors.js'
import { withRetry } from './retry.js'
import type { User } from './token.js'

export interface CallParts {
  /** undefined: no endpoint is one that can be dialled; `problems` says why. */
  channel: Channel | undefined
  problems: readonly string[]
  endpointCount: number
  clock: Clock
  random: Random
  /** Ends every call. */
  signal: AbortSignal | undefined
  /** A ready-made token; there is then no user. */
  token: string | undefined
  user: User | undefined
  /** Bounds one authentication; 0: no bound. */
  dialTimeoutMs: number
}

/** read: sent again freely. repeatable: sent again when the server was unavailable. once: never. */
export type Repetition = 'read' | 'repeatable' | 'once'

export interface StreamOptions {
  deadlineMs?: number | undefined
  signal?: AbortSignal | undefined
  /** The server ends the stream when the cluster has no leader. */
  needsLeader?: boolean
}

export interface Calls {
  unary(
    path: string,
    request: Uint8Array,
    repetition: Repetition,
    options?: CallOptions,
  ): Promise<Buffer>
  /** A stream's errors are as the transport throws them: who resumes it must tell them apart. */
  stream(path: string, options?: StreamOptions): ClientStream
  /** Gets a token for the user; nothing without one. */
  login(): Promise<void>
  /** After a failure: true if it was about the token and there is a new one now. */
  renewToken(error: unknown): Promise<boolean>
  /** The server in use cannot serve; later calls go to another, if there is one. */
  switchAddress(): void
  /** The error to show for one that the transport threw. */
  named(error: unknown, options?: CallOptions): unknown
  /** Aborted with the caller's own signal, and when the connection ends: for loops and pauses. */
  signal(own?: AbortSignal): AbortSignal
  /** Ends every call, and all that goes on between calls. */
  close(): void
  readonly clock: Clock
  readonly random: Random
}

export function newCalls(parts: CallParts): Calls {
  return new Caller(parts)
}

class Caller implements Calls {
  readonly clock: Clock
  readonly random: Random
  readonly #parts: CallParts
  #token: string | undefined
  #pendingLogin: Promise<void> | undefined
  readonly #ending = new AbortController()

  constructor(parts: CallParts) {
    this.clock = parts.clock
    this.random = parts.random
    this.#parts = parts
    this.#token = parts.token
    setMaxListeners(0, this.#ending.signal) // as many as there are watches and pauses
    parts.signal?.addEventListener('abort', this.#follow)
    if (parts.signal?.aborted) this.#follow()
  }

  readonly #follow = (): void => this.#ending.abort(this.#parts.signal?.reason)

  close(): void {
    this.#parts.signal?.removeEventListener('abort', this.#follow)
    this.#ending.abort(closingError({ unprocessed: false }))
  }

  signal(own?: AbortSignal): AbortSignal {
    const { signal } = this.#ending
    return own === undefined ? signal : AbortSignal.any([own, signal])
  }

  /**
   * For the transport, where a closed channel ends its calls by itself: a signal that thousands of
   * calls listen to would be slow, for each looks through all the listeners, and one that each is
   * put together with would remember them all.
   */
  #transportSignal(own: AbortSignal | undefined): { signal?: AbortSignal } {
    const { signal } = this.#parts
    if (own !== undefined && signal !== undefined) return { signal: AbortSignal.any([own, signal]) }
    const one = own ?? signal
    return one === undefined ? {} : { signal: one }
  }

  async unary(
    path: string,
    request: Uint8Array,
    repetition: Repetition,
    options: CallOptions = {},
  ): Promise<Buffer> {
    const { endpointCount } = this.#parts
    const deadline = this.#deadline(options.deadlineMs)
    const sent = this.#transportSignal(options.signal)
    const signal = () => this.signal(options.signal)
    const call = () =>
      this.#channel().unary(path, request, {
        metadata: this.#metadata(options.metadata),
        idempotent: repetition === 'read',
        ...sent,
        ...this.#timeLeft(deadline),
      })
    const isRepeatable = repetition !== 'once'
    const { clock, random, switchAddress, renewToken: repair } = this
    try {
      return await withRetry(
        call,
        { clock, random, endpointCount, switchAddress },
        { isRepeatable, deadline, signal, repair },
      )
    } catch (error) {
      throw this.named(error, options)
    }
  }

  stream(path: string, { signal, deadlineMs, needsLeader }: StreamOptions = {}): ClientStream {
    return this.#channel().stream(path, {
      metadata: this.#metadata(needsLeader ? { hasleader: 'true' } : undefined),
      ...this.#transportSignal(signal),
      ...this.#timeLeft(this.#deadline(deadlineMs)),
    })
  }

  async login(): Promise<void> {
    const { user, dialTimeoutMs } = this.#parts
    if (user === undefined) return
    const { authenticate } = await import('./token.js')
    const deadline = dialTimeoutMs > 0 ? this.#deadline(dialTimeoutMs) : undefined
    const call = {
      metadata: { 'client-api-version': apiVersion },
      ...this.#transportSignal(undefined),
    }
    try {
      this.#token = await authenticate(user, (path, request) =>
        this.#channel().unary(path, request, { ...call, ...this.#timeLeft(deadline) }),
      )
    } catch (error) {
      throw this.named(error, { deadlineMs: dialTimeoutMs })
    }
  }

  readonly renewToken = async (error: unknown): Promise<boolean> => {
    if (this.#parts.user === undefined || !isTokenRefused(error)) return false
    // Calls that fail together wait for one new token together.
    this.#pendingLogin ??= this.login().finally(() => {
      this.#pendingLogin = undefined
    })
    await this.#pendingLogin
    return true
  }

  readonly switchAddress = (): void => {
    if (this.#parts.endpointCount > 1) this.#parts.channel?.switchAddress()
  }

  named(error: unknown, { deadlineMs, signal }: CallOptions = {}): unknown {
    return callError(error, {
      deadlineOver: deadlineMs !== undefined,
      aborted: signal?.aborted === true || this.#parts.signal?.aborted === true,
      lastConnectError: this.#parts.channel?.lastConnectError,
    })
  }

  #channel(): Channel {
    const { channel, problems } = this.#parts
    if (channel !== undefined) return channel
    throw new ContextError('deadlineExceeded', { cause: new Error(problems.join('; ')) })
  }

  #metadata(more?: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
    const token = this.#token === undefined ? {} : { token: this.#token }
    return { 'client-api-version': apiVersion, ...token, ...more }
  }

  #deadline(ms: number | undefined): number | undefined {
    return ms === undefined ? undefined : this.clock.now() + ms
  }

  #timeLeft(deadline: number | undefined): { deadlineMs?: number } {
    if (deadline === undefined) return {}
    const deadlineMs = deadline - this.clock.now()
    if (deadlineMs > 0) return { deadlineMs }
    throw new ContextError('deadlineExceeded', { cause: this.#parts.channel?.lastConnectError })
  }
}
