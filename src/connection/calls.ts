// calls.ts: how a connection sends one call: what travels beside it, how often it is tried, when
// its time is over and what its failure is called. Everything above deals in paths and bytes.
import { apiVersion } from '../api/version.js'
import type { Channel, ClientStream } from '../grpc/channel.js'
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
  readonly clock: Clock
  readonly random: Random
}

export function newCalls(parts: CallParts): Calls {
  const { clock, random } = parts
  let token = parts.token
  let pendingLogin: Promise<void> | undefined

  const channel = (): Channel => {
    if (parts.channel !== undefined) return parts.channel
    throw new ContextError('deadlineExceeded', { cause: new Error(parts.problems.join('; ')) })
  }
  const metadata = (more?: Readonly<Record<string, string>>) => ({
    'client-api-version': apiVersion,
    ...(token !== undefined && { token }),
    ...more,
  })
  const eitherSignal = (own: AbortSignal | undefined): { signal?: AbortSignal } => {
    const { signal } = parts
    if (own !== undefined && signal !== undefined) return { signal: AbortSignal.any([own, signal]) }
    const one = own ?? signal
    return one === undefined ? {} : { signal: one }
  }
  const timeLeft = (deadline: number | undefined): { deadlineMs?: number } => {
    if (deadline === undefined) return {}
    const deadlineMs = deadline - clock.now()
    if (deadlineMs > 0) return { deadlineMs }
    throw new ContextError('deadlineExceeded', { cause: parts.channel?.lastConnectError })
  }

  const named = (error: unknown, { deadlineMs, signal }: CallOptions = {}) =>
    callError(error, {
      deadlineOver: deadlineMs !== undefined,
      aborted: signal?.aborted === true || parts.signal?.aborted === true,
      lastConnectError: parts.channel?.lastConnectError,
    })

  const login = async (): Promise<void> => {
    const { user, dialTimeoutMs } = parts
    if (user === undefined) return
    const { authenticate } = await import('./token.js')
    const deadline = dialTimeoutMs > 0 ? clock.now() + dialTimeoutMs : undefined
    const call = { metadata: { 'client-api-version': apiVersion }, ...eitherSignal(undefined) }
    try {
      token = await authenticate(user, (path, request) =>
        channel().unary(path, request, { ...call, ...timeLeft(deadline) }),
      )
    } catch (error) {
      throw named(error, { deadlineMs: dialTimeoutMs })
    }
  }

  const renewToken = async (error: unknown): Promise<boolean> => {
    if (parts.user === undefined || !isTokenRefused(error)) return false
    // Calls that fail together wait for one new token together.
    pendingLogin ??= login().finally(() => {
      pendingLogin = undefined
    })
    await pendingLogin
    return true
  }

  return {
    async unary(path, request, repetition, options = {}) {
      const { deadlineMs } = options
      const deadline = deadlineMs === undefined ? undefined : clock.now() + deadlineMs
      const signals = eitherSignal(options.signal)
      const call = () =>
        channel().unary(path, request, {
          metadata: metadata(options.metadata),
          idempotent: repetition === 'read',
          ...signals,
          ...timeLeft(deadline),
        })
      try {
        return await withRetry(
          call,
          { clock, random, endpointCount: parts.endpointCount, switchAddress },
          { isRepeatable: repetition !== 'once', deadline, ...signals, repair: renewToken },
        )
      } catch (error) {
        throw named(error, options)
      }
    },
    stream(path, { signal, deadlineMs, needsLeader } = {}) {
      return channel().stream(path, {
        metadata: metadata(needsLeader ? { hasleader: 'true' } : undefined),
        ...eitherSignal(signal),
        ...(deadlineMs !== undefined && timeLeft(clock.now() + deadlineMs)),
      })
    },
    login,
    renewToken,
    switchAddress,
    named,
    clock,
    random,
  }

  function switchAddress(): void {
    if (parts.endpointCount > 1) parts.channel?.switchAddress()
  }
}
