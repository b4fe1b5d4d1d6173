// lease-checkpoints.ts: has the log say how much time long leases have left, so that a new leader,
// or a member that comes back, goes on from there instead of giving them all of it again. As in
// etcd this is done only where it is asked for: it costs an entry of the log now and then.
import { LeaseCheckpointRequest } from '../api/gen/raft_internal.js'
import type { LeaseCheckpoint, Lessor } from '../lease/lessor.js'
import type { Clock, Timer } from '../platform/clock.js'
import type { Log } from '../platform/log.js'
import { type Proposer, requestField } from './proposer.js'

/** As etcd. */
const checkIntervalMs = 500

export interface LeaseCheckpointsParts {
  lessor: Pick<Lessor, 'dueCheckpoints'>
  proposer: Pick<Proposer, 'propose'>
  clock: Pick<Clock, 'every'>
  log: Log
}

/** Writes down what is due, again and again. */
export function checkpointLeases(parts: LeaseCheckpointsParts): Timer {
  let isUnderWay = false
  const writeDue = async () => {
    if (isUnderWay) return
    isUnderWay = true
    try {
      for (;;) {
        const due = parts.lessor.dueCheckpoints()
        if (due.length === 0) return
        await writeCheckpoints(parts, due)
      }
    } catch (error) {
      parts.log.warn('failed to checkpoint leases', { error: String(error) })
    } finally {
      isUnderWay = false
    }
  }
  return parts.clock.every(checkIntervalMs, () => void writeDue())
}

/** Resolves when they are applied here. @throws EtcdError as Proposer.propose() */
export async function writeCheckpoints(
  { proposer }: Pick<LeaseCheckpointsParts, 'proposer'>,
  checkpoints: readonly LeaseCheckpoint[],
): Promise<void> {
  const request = LeaseCheckpointRequest.encode({
    checkpoints: checkpoints.map(({ id, remainingTtlSeconds }) => ({
      ID: id.toString(),
      remaining_TTL: remainingTtlSeconds.toString(),
    })),
  })
  // Not as one that was a leader: the next one keeps its own time.
  await proposer.propose(requestField.leaseCheckpoint, request.finish(), { asLeader: true })
}
