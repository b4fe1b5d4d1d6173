// leadership.ts: who leads, who should lead next, and what the time of the last election says about
// requests that were not answered. A client that is told why may do better than to repeat at once.
import { EtcdError } from '../api/rpc-errors.js'
import { RpcError, Status } from '../grpc/status.js'
import type { Clock } from '../platform/clock.js'
import type { ProgressView } from '../raft/raw-node.js'
import type { Membership } from './membership/membership.js'
import type { Node } from './node.js'
import type { PeerTransport } from './peer/transport.js'

/** A member among the others. */
export interface Group {
  memberId: bigint
  membership: Pick<Membership, 'list'>
  transport: Pick<PeerTransport, 'activeSince'> | undefined
}

export interface LeadershipParts extends Group {
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

/**
 * Who should lead next: the voter that has been connected longest. Just after a start, streams may
 * not stand yet though all answer: then the one that is known to hold most of the log.
 */
export function successor(
  { memberId, membership, transport }: Group,
  progress: ReadonlyMap<bigint, Pick<ProgressView, 'match' | 'state'>>,
): bigint | undefined {
  const voters = membership.list().filter(({ id, isLearner }) => id !== memberId && !isLearner)
  const since = (id: bigint) => transport?.activeSince(id)
  const connected = voters.filter(({ id }) => since(id) !== undefined)
  const [longest] = connected.sort((a, b) => (since(a.id) ?? 0) - (since(b.id) ?? 0))
  if (longest !== undefined) return longest.id
  const match = (id: bigint) => progress.get(id)?.match ?? 0
  const answering = voters.filter(({ id }) => progress.get(id)?.state === 'replicate')
  return answering.sort((a, b) => match(b.id) - match(a.id))[0]?.id
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
