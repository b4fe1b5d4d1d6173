// traffic.ts: what goes to and comes from each peer, counted where it passes. The names that the
// figures have for Prometheus are in metrics/peers.ts.
import { exponential, Histogram } from '../metrics/registry.js'

export class PeerFigures {
  /** Of messages, signs of life and snapshots, as they were handed to the connection. */
  sentBytes = 0
  receivedBytes = 0
  /** Messages that were dropped, or lost with a connection. */
  sentFailures = 0
  /** Connections of which nothing more could be understood. */
  receivedFailures = 0
  readonly roundTripSeconds = new Histogram(exponential(0.0001, 16))
  /** Messages go both ways. */
  isActive = false
  disconnections = 0
  readonly snapshotsSent = new SnapshotFigures()
  readonly snapshotsReceived = new SnapshotFigures()

  setActive(isActive: boolean): void {
    if (this.isActive && !isActive) this.disconnections++
    this.isActive = isActive
  }
}

export class SnapshotFigures {
  inflight = 0
  successes = 0
  failures = 0
  readonly seconds = new Histogram(exponential(0.1, 10))

  /** To be called when it is over. */
  begin(startedMs: number): (endedMs: number, isSuccess: boolean) => void {
    this.inflight++
    return (endedMs, isSuccess) => {
      this.inflight--
      if (!isSuccess) {
        this.failures++
        return
      }
      this.successes++
      this.seconds.observe((endedMs - startedMs) / 1000)
    }
  }
}

export class PeerTraffic {
  readonly #byId = new Map<bigint, PeerFigures>()

  of(id: bigint): PeerFigures {
    const found = this.#byId.get(id)
    if (found !== undefined) return found
    const figures = new PeerFigures()
    this.#byId.set(id, figures)
    return figures
  }

  all(): Iterable<readonly [bigint, PeerFigures]> {
    return this.#byId
  }
}
