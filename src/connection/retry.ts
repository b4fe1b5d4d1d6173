// retry.ts: which failed calls are sent again, and after how long. A read may be repeated whenever
// the server was unavailable; a write only when it is certain that no handler saw it, so that
// nothing is ever done twice. Source: etcd's Go client, whose limits are kept.
import { etcdErrorCode } from '../api/rpc-errors.js'
import { RpcError, Status } from '../grpc/status.js'
import type { Clock } from '../platform/clock.js'
import type { Random } from '../platform/random.js'
import { ContextError } from './errors.js'

/** Attempts of one call, the first included. With the pauses: 2.5 s for one endpoint. */
const attemptsMax = 100

/** Between attempts, give or take a tenth, so that clients do not come back in step. */
const pauseMs = 25

export interface RetryParts {
  clock: Clock
  random: Random
  endpointCount: number
  /** The endpoint in use answered, but cannot serve: the next attempt goes elsewhere. */
  switchAddress(): void
}

export interface RetryOptions {
  /** Whether the call may reach a server twice. */
  isRepeatable: boolean
  deadline?: number | undefined
  /**
   * Aborted once nobody waits any more. Asked for after a failure only: it may be put together of
   * several, and those that live long remember what they were put into.
   */
  signal?(): AbortSignal
  /** Called after a failure; true: the reason is gone (a new token), the call may be repeated. */
  repair?(error: unknown): Promise<boolean>
}

export async function withRetry<T>(
  call: () => Promise<T>,
  parts: RetryParts,
  options: RetryOptions,
): Promise<T> {
  // With several endpoints most of a round goes without pause: another one may answer at once.
  const round = Math.floor(parts.endpointCount / 2) + 1
  for (let attempt = 1; ; attempt++) {
    try {
      return await call()
    } catch (error) {
      const signal = options.signal?.()
      if (attempt >= attemptsMax || signal?.aborted) throw error
      if (!(await options.repair?.(error))) {
        if (!mayRepeat(error, options.isRepeatable, parts.endpointCount)) throw error
        if (isServersWord(error)) parts.switchAddress()
      }
      if (attempt % round !== 0) continue
      await pause(parts, jittered(pauseMs, parts.random), { deadline: options.deadline, signal })
    }
  }
}

function mayRepeat(error: unknown, isRepeatable: boolean, endpointCount: number): boolean {
  if (!(error instanceof RpcError)) return false
  // Not every call that nobody saw has a chance: a request over the size limit stays over it.
  if (error.unprocessed && error.code === Status.unavailable) return true
  // A learner refuses before it does anything; a voter among the other endpoints may serve.
  if (etcdErrorCode(error.details) === 'notSupportedForLearner') return endpointCount > 1
  return isRepeatable && error.code === Status.unavailable
}

/** Whether a server said so itself, not the transport on the way to it. */
function isServersWord(error: unknown): boolean {
  return error instanceof RpcError && etcdErrorCode(error.details) !== undefined
}

export function jittered(ms: number, random: Random): number {
  const tenths = 1000
  return ms * (0.9 + (0.2 * random.below(tenths + 1)) / tenths)
}

/** Timers hold 31 bits of milliseconds; who waits for longer is woken early. */
const waitMsMax = 2 ** 30

/** Waits, at most until the deadline. Throws a ContextError when the signal is aborted. */
export function pause(
  { clock }: { clock: Clock },
  ms: number,
  { deadline, signal }: { deadline?: number | undefined; signal?: AbortSignal | undefined } = {},
): Promise<void> {
  const left = deadline === undefined ? ms : Math.min(ms, deadline - clock.now())
  return new Promise((resolve, reject) => {
    const abort = () => {
      timer.cancel()
      reject(new ContextError('canceled'))
    }
    const timer = clock.after(Math.min(Math.max(left, 0), waitMsMax), () => {
      signal?.removeEventListener('abort', abort)
      resolve()
    })
    // Somebody waits for what comes after, and there may be no connection to keep us alive.
    timer.hold?.()
    if (signal?.aborted) abort()
    else signal?.addEventListener('abort', abort, { once: true })
  })
}
