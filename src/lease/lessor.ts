// lessor.ts: leases, their time and their keys.
//
// Which leases exist, with which TTL, and which keys they hold is replicated: it changes only by
// entries of the log, alike on every member. Time is not: only the primary (the raft leader) counts
// down, renews and says what has expired; it then asks for a revocation through the log. On every
// other member a lease lives forever. A new primary starts all clocks anew, extended by an election
// timeout, so a change of leader makes leases longer and never shorter.
//
// A key belongs to at most one lease, that of its latest put.
import assert from 'node:assert'
import { EtcdError } from '../api/rpc-errors.js'
import type { Clock } from '../platform/clock.js'
import type { LeaseRecord } from '../storage/schema.js'
import { ExpiryHeap } from './expiry-heap.js'

/** Above this a TTL in nanoseconds would not fit an int64. */
const ttlSecondsMax = 9_000_000_000
/** Leases that one check reports, so that a burst of expiries does not flood the log. */
const expiredMax = 500
/** From this many leases on, a new primary spreads what would expire together... */
const spreadFrom = 1000
/** ...so that at most this many expire within a second: three quarters of what can be revoked. */
const spreadPerSecond = 750
/** What is left of a lease that does not count down: the nanoseconds of an int64, as etcd says. */
const foreverSeconds = 9_223_372_036
/** How often the remaining time of a long lease is worth an entry of the log. */
const checkpointIntervalMs = 5 * 60_000
/** Checkpoints that one entry carries. */
const checkpointsMax = 1000

export interface LessorOptions {
  clock: Pick<Clock, 'now'>
  minTtlSeconds: number
  /** Deletes these keys, which come in byte order, in one transaction. */
  deleteKeys: (keys: readonly Buffer[]) => unknown
  /** An expired lease that was not revoked by then is reported again. */
  expiredRetryMs?: number
}

export interface LeaseState {
  readonly id: bigint
  readonly ttlSeconds: number
  /** Rounded down; -1 when it is over and the revocation has not come yet. */
  readonly remainingSeconds: number
  readonly keys: Buffer[]
}

export interface LeaseCheckpoint {
  readonly id: bigint
  readonly remainingTtlSeconds: number
}

/** The shortest TTL: one and a half elections, since a leader that fails must not cost a lease. */
export function minTtlSeconds(times: {
  electionTimeoutMs: number
  heartbeatIntervalMs: number
}): number {
  const ticks = Math.floor(times.electionTimeoutMs / times.heartbeatIntervalMs)
  const minTicks = Math.floor((3 * ticks) / 2)
  return Math.ceil((minTicks * times.heartbeatIntervalMs) / 1000)
}

class Lease {
  readonly id: bigint
  readonly ttlSeconds: number
  /** What remained at the last checkpoint; 0: none, or renewed since. */
  remainingTtlSeconds: number
  /** A checkpoint is on its way through the log, or got lost there. */
  isCheckpointing = false
  /** On the lessor's clock; infinite unless this member is primary. */
  expiresMs = Number.POSITIVE_INFINITY
  /** As latin1 strings, which sort like bytes. */
  readonly keys = new Set<string>()
  /** Renewals that wait for the revocation of this expired lease. */
  readonly waiting: (() => void)[] = []

  constructor({ id, ttlSeconds, remainingTtlSeconds }: LeaseRecord) {
    this.id = id
    this.ttlSeconds = ttlSeconds
    this.remainingTtlSeconds = remainingTtlSeconds
  }

  get startSeconds(): number {
    return this.remainingTtlSeconds > 0 ? this.remainingTtlSeconds : this.ttlSeconds
  }

  settle(): void {
    for (const wake of this.waiting.splice(0)) wake()
  }
}

export class Lessor {
  readonly #options: LessorOptions
  readonly #byId = new Map<bigint, Lease>()
  readonly #byKey = new Map<string, Lease>()
  readonly #expiries = new ExpiryHeap()
  readonly #checkpoints = new ExpiryHeap()
  #primary = false

  constructor(options: LessorOptions) {
    this.#options = options
  }

  get isPrimary(): boolean {
    return this.#primary
  }

  get size(): number {
    return this.#byId.size
  }

  has(id: bigint): boolean {
    return this.#byId.has(id)
  }

  /** @throws EtcdError for a TTL that no grant would accept */
  checkTtl(ttlSeconds: number): void {
    if (ttlSeconds > ttlSecondsMax) throw new EtcdError('leaseTtlTooLarge')
  }

  /** Too short a TTL, also zero and below, becomes the shortest one. */
  grant(id: bigint, ttlSeconds: number): LeaseRecord {
    assert(id !== 0n, 'the caller chooses the id of a lease')
    this.checkTtl(ttlSeconds)
    if (this.#byId.has(id)) throw new EtcdError('leaseExists')
    return this.#add({ id, ttlSeconds, remainingTtlSeconds: 0 })
  }

  /** Deletes the keys of the lease and then the lease. */
  revoke(id: bigint): void {
    const lease = this.#existing(id)
    const keys = [...lease.keys].sort()
    if (keys.length > 0) this.#options.deleteKeys(keys.map((key) => Buffer.from(key, 'latin1')))
    for (const key of lease.keys) if (this.#byKey.get(key) === lease) this.#byKey.delete(key)
    this.#byId.delete(id)
    this.#expiries.delete(id)
    this.#checkpoints.delete(id)
    lease.settle()
  }

  /** The key now belongs to this lease alone (0: to none). False: there is no such lease. */
  attach(id: bigint, key: Buffer): boolean {
    const lease = this.#byId.get(id)
    if (lease === undefined && id !== 0n) return false
    const text = key.toString('latin1')
    const before = this.#byKey.get(text)
    if (before === lease) return true
    before?.keys.delete(text)
    if (lease === undefined) this.#byKey.delete(text)
    else {
      lease.keys.add(text)
      this.#byKey.set(text, lease)
    }
    return true
  }

  /**
   * Starts the lease's time anew and returns its TTL; undefined: there is no such lease. One that
   * has expired cannot be saved: the answer waits until its revocation is applied.
   * @throws EtcdError notLeader when this member is not primary, or stops being it meanwhile
   */
  async renew(id: bigint): Promise<number | undefined> {
    for (;;) {
      if (!this.#primary) throw new EtcdError('notLeader')
      const lease = this.#byId.get(id)
      if (lease === undefined) return undefined
      if (lease.expiresMs > this.#now()) {
        lease.remainingTtlSeconds = 0
        this.#start(lease, 0)
        return lease.ttlSeconds
      }
      await new Promise<void>((resolve) => lease.waiting.push(resolve))
    }
  }

  /**
   * What the log has to say before a renewal, so that no later primary goes on from what was left
   * before it; undefined: nothing. That includes a checkpoint that is still on its way, and holds
   * up the next one meanwhile. A lease that has expired keeps its own: it cannot be renewed, and
   * the next primary would give it all its time again.
   */
  takeBack(id: bigint): LeaseCheckpoint | undefined {
    const lease = this.#byId.get(id)
    if (lease === undefined || lease.expiresMs <= this.#now()) return undefined
    if (lease.remainingTtlSeconds === 0 && !lease.isCheckpointing) return undefined
    this.#scheduleCheckpoint(lease)
    return { id, remainingTtlSeconds: 0 }
  }

  /** Only a primary knows what remains; elsewhere it is as good as infinite. */
  timeToLive(id: bigint): LeaseState | undefined {
    const lease = this.#byId.get(id)
    if (lease === undefined) return undefined
    const { ttlSeconds, expiresMs, keys } = lease
    const seconds = Math.max(-1, Math.floor((expiresMs - this.#now()) / 1000))
    const remainingSeconds = Math.min(seconds, foreverSeconds)
    const bytes = [...keys].map((key) => Buffer.from(key, 'latin1'))
    return { id, ttlSeconds, remainingSeconds, keys: bytes }
  }

  /** Ids, those that expire first in front. */
  leases(): bigint[] {
    return this.#byExpiry().map(({ id }) => id)
  }

  /** For the lease bucket. */
  records(): LeaseRecord[] {
    return [...this.#byId.values()].map(({ id, ttlSeconds, remainingTtlSeconds }) => ({
      id,
      ttlSeconds,
      remainingTtlSeconds,
    }))
  }

  /** Puts what the lease bucket holds in the place of everything; keys are attached afterwards. */
  restore(records: Iterable<LeaseRecord>): void {
    for (const lease of this.#byId.values()) lease.settle()
    this.#byId.clear()
    this.#byKey.clear()
    this.#expiries.clear()
    this.#checkpoints.clear()
    for (const record of records) this.#add(record)
  }

  /** This member became leader and has applied all that former leaders committed. */
  promote(extendMs: number): void {
    this.#primary = true
    for (const lease of this.#byId.values()) this.#start(lease, extendMs)
    if (this.#byId.size >= spreadFrom) this.#spread()
  }

  demote(): void {
    this.#primary = false
    this.#expiries.clear()
    this.#checkpoints.clear()
    for (const lease of this.#byId.values()) {
      lease.expiresMs = Number.POSITIVE_INFINITY
      // What is in the log by now is applied before this member is primary again.
      lease.isCheckpointing = false
      lease.settle()
    }
  }

  /** Leases to be revoked now. Each is reported once, and again if it is still there later. */
  expired(limit = expiredMax): bigint[] {
    const { expiredRetryMs = 7000 } = this.#options
    const now = this.#now()
    const ids: bigint[] = []
    while (ids.length < limit) {
      const id = this.#expiries.due(now)
      if (id === undefined) break
      this.#expiries.set(id, now + expiredRetryMs)
      ids.push(id)
    }
    return ids
  }

  /** Long leases whose remaining time should go through the log now, and to checkpoint(). */
  dueCheckpoints(limit = checkpointsMax): LeaseCheckpoint[] {
    const now = this.#now()
    const due: LeaseCheckpoint[] = []
    while (due.length < limit) {
      const id = this.#checkpoints.due(now)
      if (id === undefined) break
      // Again, should the entry of the log not come.
      this.#checkpoints.set(id, now + checkpointIntervalMs)
      const lease = this.#byId.get(id)
      if (lease === undefined || lease.expiresMs <= now) continue
      const remainingTtlSeconds = Math.ceil((lease.expiresMs - now) / 1000)
      if (remainingTtlSeconds >= lease.ttlSeconds) continue
      lease.isCheckpointing = true
      due.push({ id, remainingTtlSeconds })
    }
    return due
  }

  /** What a later primary goes on from, in place of the full TTL; 0 takes it back. */
  checkpoint({ id, remainingTtlSeconds }: LeaseCheckpoint): void {
    const lease = this.#existing(id)
    lease.remainingTtlSeconds = remainingTtlSeconds
    lease.isCheckpointing = false
    if (this.#primary) this.#scheduleCheckpoint(lease)
  }

  #now(): number {
    return this.#options.clock.now()
  }

  #existing(id: bigint): Lease {
    const lease = this.#byId.get(id)
    if (lease === undefined) throw new EtcdError('leaseNotFound')
    return lease
  }

  #add({ id, ttlSeconds, remainingTtlSeconds }: LeaseRecord): LeaseRecord {
    const ttl = Math.max(ttlSeconds, this.#options.minTtlSeconds)
    const lease = new Lease({ id, ttlSeconds: ttl, remainingTtlSeconds })
    this.#byId.set(id, lease)
    if (this.#primary) this.#start(lease, 0)
    return { id, ttlSeconds: ttl, remainingTtlSeconds }
  }

  #start(lease: Lease, extendMs: number): void {
    this.#expireAt(lease, this.#now() + extendMs + lease.startSeconds * 1000)
    this.#scheduleCheckpoint(lease)
  }

  #expireAt(lease: Lease, expiresMs: number): void {
    lease.expiresMs = expiresMs
    this.#expiries.set(lease.id, expiresMs)
  }

  #scheduleCheckpoint(lease: Lease): void {
    if (lease.startSeconds * 1000 <= checkpointIntervalMs) this.#checkpoints.delete(lease.id)
    else this.#checkpoints.set(lease.id, this.#now() + checkpointIntervalMs)
  }

  #byExpiry(): Lease[] {
    return [...this.#byId.values()].sort((a, b) => byNumber(a.expiresMs, b.expiresMs))
  }

  /** In order of expiry, each lease ends a second or more after the `spreadPerSecond`th before. */
  #spread(): void {
    const leases = this.#byExpiry()
    for (const [i, lease] of leases.entries()) {
      const earlier = leases[i - spreadPerSecond]
      if (earlier === undefined) continue
      this.#expireAt(lease, Math.max(lease.expiresMs, earlier.expiresMs + 1000))
    }
  }
}

/** Not a difference: leases that never expire are equal, yet infinity minus itself is no zero. */
const byNumber = (a: number, b: number): number => (a < b ? -1 : a > b ? 1 : 0)
