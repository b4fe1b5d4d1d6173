// compactor.ts: what becomes of old revisions. A compaction takes effect when it is applied; the
// memory behind it comes back here, in slices, so that requests are served in between. And a
// leader that was told to compacts by itself, by age or by count.
import type { WatchableStore } from '../mvcc/watchable-store.js'
import type { Clock, Timer } from '../platform/clock.js'
import type { Log } from '../platform/log.js'
import type { ServerConfig } from './config.js'
import type { Figures } from './metrics/figures.js'

/** Rest between two slices of removal, about a millisecond of work each. */
const slicePauseMs = 2

/** What a removal takes, and how much goes. */
export type RemovalFigures = Pick<
  Figures,
  'compactedRecords' | 'compactionMs' | 'compactionSliceMs' | 'lastCompactionSeconds'
>

export class Remover {
  readonly #store: WatchableStore
  readonly #clock: Clock
  readonly #figures: RemovalFigures
  #running: Promise<void> | undefined

  constructor(store: WatchableStore, clock: Clock, figures: RemovalFigures) {
    this.#store = store
    this.#clock = clock
    this.#figures = figures
  }

  /** Resolves when everything that compactions so far have let go is gone. */
  remove(): Promise<void> {
    const before = this.#running ?? Promise.resolve()
    const running = before.then(() => this.#removeSlices())
    this.#running = running
    return running
  }

  async #removeSlices(): Promise<void> {
    const startedMs = this.#clock.now()
    const steps = this.#store.compactionSteps()
    while (!this.#removeSlice(steps)) {
      await new Promise<void>((resolve) => this.#clock.after(slicePauseMs, resolve))
    }
    this.#figures.compactionMs.observe(this.#clock.now() - startedMs)
    this.#figures.lastCompactionSeconds = this.#clock.wall() / 1000
  }

  /** True: that was the last one. Nothing is written meanwhile, so what is missing was removed. */
  #removeSlice(steps: Iterator<void, void>): boolean {
    const startedMs = this.#clock.now()
    const before = this.#store.recordCount
    const { done = false } = steps.next()
    this.#figures.compactedRecords.add(before - this.#store.recordCount)
    this.#figures.compactionSliceMs.observe(this.#clock.now() - startedMs)
    return done
  }
}

const hourMs = 60 * 60 * 1000
/** In revision mode: how often the leader looks. */
const revisionIntervalMs = 5 * 60 * 1000
/** Readings kept for each compaction of the periodic mode. */
const readingsPerInterval = 10

export interface AutoCompactorParts {
  clock: Clock
  log: Log
  revision(): number
  isLeader(): boolean
  compact(revision: number): Promise<unknown>
}

/** Compacts by the configured rule until cancelled; undefined when it is off. */
export function autoCompact(
  config: Pick<ServerConfig, 'autoCompactionMode' | 'autoCompactionRetention'>,
  parts: AutoCompactorParts,
): Timer | undefined {
  const { autoCompactionMode: mode, autoCompactionRetention: retention } = config
  if (retention <= 0) return undefined
  return mode === 'revision' ? byCount(retention, parts) : byAge(retention, parts)
}

function byCount(retained: number, parts: AutoCompactorParts): Timer {
  return parts.clock.every(revisionIntervalMs, () => run(parts, parts.revision() - retained))
}

/** Keeps what is younger than `retentionMs`, compacting at most once an hour. */
function byAge(retentionMs: number, parts: AutoCompactorParts): Timer {
  const intervalMs = Math.min(retentionMs, hourMs)
  const readingMs = intervalMs / readingsPerInterval
  const keptReadings = Math.ceil(retentionMs / readingMs)
  const readings: number[] = []
  let sinceCompaction = 0
  return parts.clock.every(readingMs, () => {
    readings.push(parts.revision())
    sinceCompaction++
    if (readings.length <= keptReadings) return
    const old = readings.shift() ?? 0
    if (sinceCompaction < readingsPerInterval) return
    sinceCompaction = 0
    run(parts, old)
  })
}

function run({ isLeader, compact, log }: AutoCompactorParts, revision: number): void {
  if (!isLeader() || revision <= 0) return
  compact(revision).then(
    () => log.info('completed auto compaction', { revision }),
    (error: Error) => log.warn('failed auto compaction', { revision, error: error.message }),
  )
}
