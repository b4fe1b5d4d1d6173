// leadership.ts: who leads, and what the time of the last election says about requests that were
// not answered. A client that is told why may do better than to repeat at once.
import { EtcdError } from '../api/rpc-errors.js'
import type { Clock } from '../platform/clock.js'
import type { Membership } from './membership/membership.js'
import type { PeerTransport } from './peer/transport.js'

export interface LeadershipParts {
  memberId: bigint
  membership: Pick<Membership, 'list'>
  transport: Pick<PeerTransport, 'activeSince'> | undefined
  clock: Clock
  electionTimeoutMs: number
  requestTimeoutMs: number
}

export class Leadership {
  readonly #parts: LeadershipParts
  #leader = 0n
  #electedMs = Number.NEGATIVE_INFINITY

  constructor(parts: LeadershipParts) {
    this.#parts = parts
  }

  onLeader(leader: bigint): void {
    this.#leader = leader
    if (leader !== 0n) this.#electedMs = this.#parts.clock.now()
  }

  /** Why a request with this deadline was not answered in time. */
  timeoutReason(deadlineMs: number): EtcdError {
    const { electionTimeoutMs, requestTimeoutMs, memberId } = this.#parts
    const startedMs = deadlineMs - requestTimeoutMs
    const lostMs = this.#electedMs - 2 * electionTimeoutMs
    if (lostMs < startedMs && startedMs < this.#electedMs) {
      return new EtcdError('timeoutDueToLeaderFail')
    }
    if (this.#leader === 0n) return new EtcdError('timeout')
    const isConnected =
      this.#leader === memberId
        ? this.#hasQuorumSince(startedMs)
        : this.#isConnectedSince(this.#leader, startedMs)
    return new EtcdError(isConnected ? 'timeout' : 'timeoutDueToConnectionLost')
  }

  #isConnectedSince(id: bigint, sinceMs: number): boolean {
    const { transport, memberId } = this.#parts
    if (id === memberId) return true
    const active = transport?.activeSince(id)
    return active !== undefined && active < sinceMs
  }

  #hasQuorumSince(sinceMs: number): boolean {
    const members = this.#parts.membership.list()
    const connected = members.filter(({ id }) => this.#isConnectedSince(id, sinceMs)).length
    return connected >= Math.floor(members.length / 2) + 1
  }
}
