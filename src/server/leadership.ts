// leadership.ts: who leads, who should lead next, and what the time of the last election says about
// requests that were not answered. A client that is told why may do better than to repeat at once.
import { EtcdError } from '../api/rpc-errors.js'
import { RpcError, Status } from '../grpc/status.js'
import type { Clock } from '../platform/clock.js'
import type { MemberRecord } from '../storage/schema.js'
import type { Membership } from './membership.js'
import type { Node } from './node.js'
import type { PeerTransport } from './peer/transport.js'

export interface LeadershipParts {
  memberId: bigint
  clock: Clock
  electionTimeoutMs: number
  requestTimeoutMs: number
  membership: Membership
  transport: PeerTransport | undefined
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

/** Who should lead next: the voter that has been connected longest. */
export function longestConnected(
  members: readonly MemberRecord[],
  own: bigint,
  transport: PeerTransport | undefined,
): bigint | undefined {
  let best: { id: bigint; since: number } | undefined
  for (const { id, isLearner } of members) {
    const since = id === own || isLearner ? undefined : transport?.activeSince(id)
    if (since !== undefined && (best === undefined || since < best.since)) best = { id, since }
  }
  return best?.id
}

export interface TransferOptions {
  clock: Clock
  heartbeatIntervalMs: number
  timeoutMs: number
}

/**
 * Asks raft to hand over and looks every heartbeat whether it has happened.
 * @throws RpcError when it takes too long
 */
export async function transferLeadership(
  node: Node,
  to: bigint,
  { clock, heartbeatIntervalMs, timeoutMs }: TransferOptions,
): Promise<void> {
  node.transferLeader(to)
  const untilMs = clock.now() + timeoutMs
  while (node.leader !== to) {
    // Raft gives up after an election timeout; waiting longer would change nothing.
    const isGivenUp = node.isLeader && node.status().leadTransferee === 0n
    if (isGivenUp || clock.now() >= untilMs) {
      const problem = 'etcdserver: request timed out, leader transfer took too long'
      throw new RpcError(Status.unknown, problem)
    }
    await new Promise<void>((resolve) => {
      clock.after(heartbeatIntervalMs, resolve)
    })
  }
}
