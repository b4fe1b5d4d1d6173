// prober.ts: asks a peer now and then whether it is alive, once over a connection that is kept and
// once over a new one. Nothing depends on the answers but lines in the log, for whoever looks for
// the reason of trouble; the first kind also keeps the connections for messages from idling out.
import type { Clock, Timer } from '../../platform/clock.js'
import type { Log } from '../../platform/log.js'
import { memberHex } from '../../storage/schema.js'
import { operationTimeoutMs } from './idle-limit.js'
import type { PeerTls, UrlPicker } from './peer-url.js'
import { exchange, type PeerAgents } from './post.js'
import type { PeerFigures } from './traffic.js'

/** As etcd. An idle connection is closed after 5 s. */
const probeIntervalMs = 4_000
/** Clocks further apart than this are worth a line. */
const clockDifferenceMs = 1_000

export interface ProberParts {
  peerId: bigint
  urls: UrlPicker
  tls: PeerTls | undefined
  agents: PeerAgents
  clock: Clock
  log: Log
  figures: Pick<PeerFigures, 'roundTripSeconds'>
}

export class Prober {
  readonly #parts: ProberParts
  readonly #timer: Timer
  readonly #abort = new AbortController()
  #isHealthy = true
  #isClockNear = true

  constructor(parts: ProberParts) {
    this.#parts = parts
    this.#timer = parts.clock.every(probeIntervalMs, () => {
      void this.#probe(parts.agents)
      void this.#probe(undefined)
    })
  }

  stop(): void {
    this.#timer.cancel()
    this.#abort.abort()
  }

  /** Never rejects. */
  async #probe(agents: PeerAgents | undefined): Promise<void> {
    const { urls, tls, clock, figures } = this.#parts
    const { signal } = this.#abort
    const startedMs = clock.now()
    try {
      const to = { url: urls.pick(), path: '/raft/probing', method: 'GET', tls, agents } as const
      const limits = { clock, idleMs: operationTimeoutMs, signal }
      const { body } = await exchange({ ...to, ...limits, headers: {}, body: Buffer.alloc(0) })
      figures.roundTripSeconds.observe((clock.now() - startedMs) / 1000)
      this.#onAnswer(body.toString())
    } catch (error) {
      if (!signal.aborted) this.#onHealth((error as Error).message)
    }
  }

  /** @throws when the peer does not say that it is well */
  #onAnswer(text: string): void {
    const { OK: isOk, Now: now } = JSON.parse(text) as { OK?: boolean; Now?: string }
    if (isOk !== true) throw new Error('the peer is not well')
    this.#onHealth(undefined)
    const differenceMs = Date.parse(now ?? '') - this.#parts.clock.wall()
    const isNear = !(Math.abs(differenceMs) > clockDifferenceMs)
    if (!isNear && this.#isClockNear) {
      this.#warn('prober found high clock drift', { 'clock-drift-ms': Math.round(differenceMs) })
    }
    this.#isClockNear = isNear
  }

  #onHealth(error: string | undefined): void {
    if (error !== undefined && this.#isHealthy)
      this.#warn('prober detected unhealthy peer', { error })
    this.#isHealthy = error === undefined
  }

  #warn(msg: string, fields: Record<string, string | number>): void {
    this.#parts.log.warn(msg, { 'remote-peer-id': memberHex(this.#parts.peerId), ...fields })
  }
}
