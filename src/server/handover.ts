// handover.ts: how a leader gives its place to another member: because a client asks for it, or
// because it stops, so that the others need not wait for its silence.
import { EtcdError } from '../api/rpc-errors.js'
import { RpcError, Status } from '../grpc/status.js'
import type { Clock } from '../platform/clock.js'
import type { Log } from '../platform/log.js'
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

export interface HandoverParts extends Group {
  node: Node
  clock: Clock
  log: Log
  heartbeatIntervalMs: number
  /** How long a handover may take. */
  requestTimeoutMs: number
}

export class Handover {
  readonly #parts: HandoverParts

  constructor(parts: HandoverParts) {
    this.#parts = parts
  }

  /** @throws EtcdError notLeader, badLeaderTransferee; RpcError when it takes too long */
  async to(memberId: bigint): Promise<void> {
    const { node, membership } = this.#parts
    if (!node.isLeader) throw new EtcdError('notLeader')
    const target = membership.list().find(({ id }) => id === memberId)
    if (target?.isLearner !== false) throw new EtcdError('badLeaderTransferee')
    await this.#transfer(memberId)
  }

  /** Does what it can: one that leads nobody, or cannot, stops all the same. */
  async beforeStop(): Promise<void> {
    const { node, log } = this.#parts
    if (!node.isLeader || node.hasFailed) return
    const target = successor(this.#parts, node.status().progress)
    if (target === undefined) return
    try {
      await this.#transfer(target)
    } catch (error) {
      log.warn('leadership was not taken over', { error: String(error) })
    }
  }

  /** Asks raft to hand over and looks every heartbeat whether it has happened. */
  async #transfer(to: bigint): Promise<void> {
    const { node, clock, heartbeatIntervalMs, requestTimeoutMs } = this.#parts
    node.transferLeader(to)
    const untilMs = clock.now() + requestTimeoutMs
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
