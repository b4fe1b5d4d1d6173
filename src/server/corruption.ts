// corruption.ts: finds out that members disagree although they should not be able to. Hashes of the
// same revision with the same compact revision must be equal; when they are not, nobody can say
// who is right, so the alarm stops all writes instead of letting the difference grow.
import type { Clock, Timer } from '../platform/clock.js'
import type { Log } from '../platform/log.js'
import { type MemberRecord, memberHex } from '../storage/schema.js'
import type { PeerHashKv } from './peer/transport.js'

export interface CorruptionParts {
  memberId: bigint
  log: Log
  members(): readonly MemberRecord[]
  /** 0: the newest. */
  hashKv(revision: number): PeerHashKv
  /** Undefined when the member does not answer or does not have that revision. */
  ask(member: MemberRecord, revision: number): Promise<PeerHashKv | undefined>
}

/** Members whose data differ from ours at our newest revision. */
export async function differing(parts: CorruptionParts): Promise<MemberRecord[]> {
  const { memberId, members, hashKv, ask, log } = parts
  const own = hashKv(0)
  const others = members().filter(({ id }) => id !== memberId)
  const found: MemberRecord[] = []
  for (const member of others) {
    const theirs = await ask(member, own.hashRevision)
    if (theirs === undefined || theirs.compactRevision !== own.compactRevision) continue
    if (theirs.hash === own.hash) continue
    found.push(member)
    log.error('found different hash values from remote peer', {
      'remote-peer-id': memberHex(member.id),
      revision: own.hashRevision,
      'local-hash': own.hash,
      'remote-hash': theirs.hash,
    })
  }
  return found
}

export interface PeriodicCheck extends CorruptionParts {
  clock: Clock
  intervalMs: number
  isLeader(): boolean
  /** Raises the alarm for a member. */
  alarm(id: bigint): Promise<unknown>
}

/** The leader looks every so often; a member that differs gets the alarm. */
export function checkPeriodically(parts: PeriodicCheck): Timer | undefined {
  const { clock, intervalMs, isLeader, alarm, log } = parts
  if (intervalMs <= 0) return undefined
  let isChecking = false
  const check = async () => {
    for (const { id } of await differing(parts)) await alarm(id)
  }
  return clock.every(intervalMs, () => {
    if (isChecking || !isLeader()) return
    isChecking = true
    check()
      .catch((error: Error) => log.warn('failed to check hashes', { error: error.message }))
      .finally(() => {
        isChecking = false
      })
  })
}
