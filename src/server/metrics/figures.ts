// figures.ts: what a member counts and times where it happens; member.ts shows it to
// Prometheus. Nothing is decided by these figures, and applying takes no other notice of the clock.
import type { Clock } from '../../platform/clock.js'
import { LateHeartbeats } from './late-heartbeats.js'
import { Counter, exponential, Histogram } from './registry.js'

/** As etcd: an apply above this is worth a warning. */
const slowApplyMs = 100

/** Steps in seconds that etcd has for what touches the disk. */
export const diskBuckets = exponential(0.001, 14)

export class Figures {
  readonly #clock: Clock
  #lapMs = 0
  /** By the name of the operation, each with those that succeeded and those that were refused. */
  readonly applies = new Map<string, { success: Histogram; failure: Histogram }>()
  readonly lateHeartbeats: LateHeartbeats
  readonly slowApplies = new Counter()
  readonly leasesGranted = new Counter()
  readonly leasesRevoked = new Counter()
  /** Of those that were revoked because their time was over, by this member as the leader. */
  readonly leasesExpired = new Counter()
  readonly leaseTtlSeconds = new Histogram(exponential(1, 24))
  readonly watchEvents = new Counter()
  /** The database was written anew and is on disk: what stands for a commit here. */
  readonly databaseSaves = new Histogram(diskBuckets)
  readonly snapFileSaves = new Histogram(diskBuckets)
  /** Databases that a leader sent. */
  readonly databasesReceived = new Histogram(exponential(0.1, 10))
  snapshotsBeingApplied = 0
  readonly compactedRecords = new Counter()
  readonly compactionMs = new Histogram(exponential(100, 14))
  readonly compactionSliceMs = new Histogram(exponential(1, 13))
  /** Since 1970; 0 before the first compaction of this process. */
  lastCompactionSeconds = 0

  constructor(clock: Clock, heartbeatIntervalMs: number) {
    this.#clock = clock
    this.lateHeartbeats = new LateHeartbeats(clock, heartbeatIntervalMs)
  }

  /** Entries are applied from now on; each applied() tells of the time since the last. */
  startApplying(): void {
    this.#lapMs = this.#clock.now()
  }

  applied(operation: string, isSuccess: boolean): void {
    const nowMs = this.#clock.now()
    const tookMs = nowMs - this.#lapMs
    this.#lapMs = nowMs
    if (tookMs > slowApplyMs) this.slowApplies.add()
    let both = this.applies.get(operation)
    if (both === undefined) {
      both = { success: new Histogram(applyBuckets), failure: new Histogram(applyBuckets) }
      this.applies.set(operation, both)
    }
    both[isSuccess ? 'success' : 'failure'].observe(tookMs / 1000)
  }

  leaseGranted(ttlSeconds: number): void {
    this.leasesGranted.add()
    this.leaseTtlSeconds.observe(ttlSeconds)
  }

  /** Seconds that `work` takes, whether it succeeds or not. */
  async timed<T>(histogram: Histogram, work: () => Promise<T>): Promise<T> {
    const startedMs = this.#clock.now()
    try {
      return await work()
    } finally {
      histogram.observe((this.#clock.now() - startedMs) / 1000)
    }
  }
}

const applyBuckets = exponential(0.0001, 20)
