// expiry.ts: ends leases whose time is over. Only the leader's clock counts, and even the leader
// only proposes: a lease is gone when its revocation comes out of the log.
import { LeaseRevokeRequest } from '../api/gen/rpc.js'
import type { AuthStore } from '../auth/store.js'
import type { Lessor } from '../lease/lessor.js'
import type { Clock, Timer } from '../platform/clock.js'
import type { Log } from '../platform/log.js'
import type { Figures } from './metrics/figures.js'
import { type Proposer, requestField } from './proposer.js'

/** As etcd: how often the leader looks, and how much it takes on at a time. */
const checkIntervalMs = 500
const leasesPerCheck = 500
const revocationsAtOnce = 16

export interface ExpiryParts {
  lessor: Lessor
  auth: AuthStore
  proposer: Pick<Proposer, 'propose'>
  clock: Clock
  log: Log
  figures: Pick<Figures, 'leasesExpired'>
}

export function revokeExpired(parts: ExpiryParts): Timer {
  const { lessor, auth, proposer, clock, log, figures } = parts
  /** Proposed and not yet gone, so that a slow log is not asked twice. */
  const pending = new Set<bigint>()
  const revoke = async (id: bigint) => {
    pending.add(id)
    try {
      // Not as one that was a leader: the next one has given the lease more time.
      const terms = { who: auth.rootIdentity, asLeader: true }
      await proposer.propose(requestField.leaseRevoke, revocation(id), terms)
      figures.leasesExpired.add()
    } catch (error) {
      log.warn('failed to revoke lease', { 'lease-id': id.toString(16), error: String(error) })
    } finally {
      pending.delete(id)
    }
  }
  return clock.every(checkIntervalMs, () => {
    const room = revocationsAtOnce - pending.size
    const due = lessor.expired(leasesPerCheck).filter((id) => !pending.has(id))
    const queue = due.values()
    for (let worker = 0; worker < room; worker++) void work(queue, revoke)
  })
}

/** Takes one id after the other from a queue shared with its fellows; revoke() never throws. */
async function work(queue: Iterator<bigint>, revoke: (id: bigint) => Promise<void>): Promise<void> {
  for (let next = queue.next(); !next.done; next = queue.next()) await revoke(next.value)
}

function revocation(id: bigint): Uint8Array {
  return LeaseRevokeRequest.encode({ ID: id.toString() }).finish()
}
