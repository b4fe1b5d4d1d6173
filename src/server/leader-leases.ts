// leader-leases.ts: what only the leader knows of a lease: its time. Other members ask the leader
// for their clients.
//
// A member may have been replaced without knowing it: it was suspended, cut off, or waits for its
// disk. What such a one promised of a lease would be worth nothing, so a leader first makes sure
// that it still leads and has applied what was committed, as for a read (etcd does so from 3.5 on).
// And nobody may lead for a moment, or a new leader may not keep the time yet: who asks for a
// client asks again until the time of a request is out.
import { EtcdError } from '../api/rpc-errors.js'
import type { LeaseCheckpoint, Lessor } from '../lease/lessor.js'
import type { Clock } from '../platform/clock.js'
import type { Membership } from './membership/membership.js'
import type { Node } from './node.js'
import { type AskOptions, leaseTimeToLive, renewLease } from './peer/client.js'
import type { LeaseTtl } from './peer/transport.js'

/** As etcd: between two questions to a leader. */
const askAgainMs = 50
/** Beyond an election timeout: who is silent for longer leads no more. */
const askMarginMs = 1_000

export interface LeaderLeasesParts {
  memberId: bigint
  lessor: Lessor
  /** Has the log say what a lease has left; undefined where that is not asked for. */
  writeCheckpoint: ((checkpoint: LeaseCheckpoint) => Promise<void>) | undefined
  membership: Pick<Membership, 'member'>
  node: Pick<Node, 'leader' | 'linearizable'>
  clock: Clock
  requestTimeoutMs: number
  electionTimeoutMs: number
  peerAsk: Partial<AskOptions>
}

export class LeaderLeases {
  readonly #parts: LeaderLeasesParts

  constructor(parts: LeaderLeasesParts) {
    this.#parts = parts
  }

  /**
   * The TTL that begins anew; undefined: no such lease, or nobody cares any more.
   * @throws EtcdError noLeader, timeout
   */
  renew(id: bigint, signal: AbortSignal): Promise<number | undefined> {
    const remote = (url: string) => renewLease(url, id, this.#askOptions())
    return this.#ask(signal, () => this.renewHere(id), remote)
  }

  /** Undefined: no such lease, or nobody cares any more. @throws EtcdError noLeader, timeout */
  timeToLive(id: bigint, keys: boolean, signal: AbortSignal): Promise<LeaseTtl | undefined> {
    const remote = (url: string) => leaseTimeToLive(url, id, keys, this.#askOptions())
    return this.#ask(signal, () => this.timeToLiveHere(id), remote)
  }

  /** What a leader says. @throws EtcdError notLeader, timeoutWaitAppliedIndex */
  async renewHere(id: bigint): Promise<number | undefined> {
    await this.#confirmLeading()
    const { lessor, writeCheckpoint } = this.#parts
    // In one turn with the renewal, or no other checkpoint could be proposed in between.
    const forgotten = writeCheckpoint === undefined ? undefined : lessor.takeBack(id)
    if (forgotten !== undefined) await writeCheckpoint?.(forgotten)
    return lessor.renew(id)
  }

  /** @throws EtcdError notLeader, timeoutWaitAppliedIndex */
  async timeToLiveHere(id: bigint): Promise<LeaseTtl | undefined> {
    await this.#confirmLeading()
    const { lessor } = this.#parts
    if (!lessor.isPrimary) throw new EtcdError('notLeader')
    return lessor.timeToLive(id)
  }

  #askOptions(): Partial<AskOptions> {
    const { peerAsk, electionTimeoutMs } = this.#parts
    return { ...peerAsk, timeoutMs: electionTimeoutMs + askMarginMs }
  }

  async #confirmLeading(): Promise<void> {
    const { node, memberId } = this.#parts
    if (node.leader !== memberId) throw new EtcdError('notLeader')
    try {
      await node.linearizable()
    } catch (error) {
      const isLate = error instanceof EtcdError && error.code === 'timeout'
      if (isLate) throw new EtcdError('timeoutWaitAppliedIndex', { cause: error })
      throw error
    }
    if (node.leader !== memberId) throw new EtcdError('notLeader')
  }

  /** `here` when this member leads, else `there` with a URL of the leader, until one answers. */
  async #ask<T>(
    signal: AbortSignal,
    here: () => Promise<T | undefined>,
    there: (url: string) => Promise<T | undefined>,
  ): Promise<T | undefined> {
    const { node, memberId, membership, clock, requestTimeoutMs } = this.#parts
    const untilMs = clock.now() + requestTimeoutMs
    let last = new EtcdError('noLeader')
    while (!signal.aborted) {
      const isLeader = node.leader === memberId
      const urls = isLeader ? [''] : (membership.member(node.leader)?.peerUrls ?? [])
      for (const url of urls) {
        try {
          return await (isLeader ? here() : there(url))
        } catch (error) {
          const isOurs = isLeader && !(error instanceof EtcdError) // asking again mends no fault
          if (isOurs || (error instanceof EtcdError && error.code === 'stopped')) throw error
          last = new EtcdError('timeout', { cause: error })
        }
      }
      if (clock.now() >= untilMs) throw last
      await new Promise<void>((resolve) => clock.after(askAgainMs, resolve).hold?.())
    }
    return undefined
  }
}
