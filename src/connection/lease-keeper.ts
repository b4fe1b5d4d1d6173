// lease-keeper.ts: keeps one lease alive: a request at once, then one every third of the TTL, over
// as many streams as it takes. The lease counts as lost when an answer has no TTL left, or when
// no answer came for a whole TTL: the server has then let it expire, whatever the reason.
//
//     request  answer TTL 60        20 s later      20 s later: connection gone, tried again
//     |--------|--------------------|---------------|----------- … 60 s after the last answer: lost
import { LeaseKeepAliveRequest, LeaseKeepAliveResponse } from '../api/gen/rpc.js'
import { EtcdError, etcdErrorCode } from '../api/rpc-errors.js'
import { RpcError, Status } from '../grpc/status.js'
import type { Timer } from '../platform/clock.js'
import type { Calls } from './calls.js'
import { pause } from './retry.js'

const keepAlivePath = '/etcdserverpb.Lease/LeaseKeepAlive'

/** Between streams that break. */
const pauseMs = 500

/**
 * The longest time a timer holds, 24 days. A lease that lives longer is renewed at least every 12
 * days, so that this is never what ends it.
 */
const lifetimeMsMax = 2 ** 31 - 1

/** The first answer is waited for this long when --dial-timeout sets no bound. */
const firstAnswerMsDefault = 5000

export interface KeeperOptions {
  signal?: AbortSignal | undefined
  /** Part of the time that the first answer may take; 0: the default is all of it. */
  dialTimeoutMs: number
}

/** Yields every renewal; ends when the lease is lost or the signal is aborted. */
export async function* keptAlive(
  calls: Calls,
  leaseId: string,
  { signal, dialTimeoutMs }: KeeperOptions,
): AsyncGenerator<LeaseKeepAliveResponse, void, undefined> {
  const { clock } = calls
  const firstAnswerMs = dialTimeoutMs > 0 ? dialTimeoutMs + 1000 : firstAnswerMsDefault
  const lifetime = new Lifetime(calls, firstAnswerMs, calls.signal(signal))
  try {
    while (!lifetime.signal.aborted) {
      try {
        for await (const answer of renewals(calls, leaseId, lifetime.signal)) {
          if (Number(answer.TTL) <= 0) return
          lifetime.extend(Number(answer.TTL) * 1000)
          yield answer
        }
      } catch (error) {
        if (lifetime.signal.aborted) return
        // Anything but a cluster without leader may pass before the lease does.
        if (!(error instanceof RpcError)) throw error
        if (etcdErrorCode(error.details) === 'noLeader') return
        await calls.renewToken(error)
      }
      await pause({ clock }, pauseMs, { signal: lifetime.signal }).catch(() => {})
    }
  } finally {
    lifetime.end()
  }
}

/** One renewal. Throws EtcdError leaseNotFound when there is no such lease. */
export async function renewedOnce(
  calls: Calls,
  leaseId: string,
  signal: AbortSignal | undefined,
): Promise<LeaseKeepAliveResponse> {
  for (;;) {
    try {
      for await (const answer of renewals(calls, leaseId, signal)) {
        if (Number(answer.TTL) <= 0) throw new EtcdError('leaseNotFound')
        return answer
      }
    } catch (error) {
      if (!(error instanceof RpcError)) throw error
      const isPassing = error.code === Status.unavailable || error.code === Status.internal
      if (!isPassing && !(await calls.renewToken(error))) throw calls.named(error, { signal })
    }
    await pause(calls, pauseMs, { signal: calls.signal(signal) })
  }
}

/** The answers of one stream, a request before each. */
async function* renewals(
  calls: Calls,
  leaseId: string,
  signal: AbortSignal | undefined,
): AsyncGenerator<LeaseKeepAliveResponse, void, undefined> {
  const stream = calls.stream(keepAlivePath, { signal, needsLeader: true })
  // One for all pauses: signals that are put together are remembered for as long as their sources.
  const ended = calls.signal(signal)
  const request = LeaseKeepAliveRequest.encode({ ID: leaseId }).finish()
  // Not awaited: it resolves when there is room, and a failure shows in the iteration.
  const ask = () => void stream.write(request).catch(() => {})
  try {
    ask()
    for await (const bytes of stream) {
      const answer = LeaseKeepAliveResponse.decode(bytes)
      const askedAgainAt = calls.clock.now() + (Number(answer.TTL) * 1000) / 3
      yield answer
      // A slow consumer costs nothing: what it took is part of the wait.
      await pause(calls, askedAgainAt - calls.clock.now(), { signal: ended })
      ask()
    }
  } finally {
    stream.cancel()
  }
}

/** A signal that is aborted when the lease must have expired, or with the caller's. */
class Lifetime {
  readonly #calls: Calls
  readonly #over = new AbortController()
  readonly #own: AbortSignal
  #timer: Timer

  constructor(calls: Calls, firstMs: number, own: AbortSignal) {
    this.#calls = calls
    this.#own = own
    this.#timer = calls.clock.after(firstMs, this.#abort)
    own.addEventListener('abort', this.#abort)
    if (own.aborted) this.#abort()
  }

  get signal(): AbortSignal {
    return this.#over.signal
  }

  extend(ms: number): void {
    this.#timer.cancel()
    this.#timer = this.#calls.clock.after(Math.min(ms, lifetimeMsMax), this.#abort)
  }

  end(): void {
    this.#timer.cancel()
    this.#own.removeEventListener('abort', this.#abort)
    this.#abort()
  }

  readonly #abort = (): void => this.#over.abort()
}
