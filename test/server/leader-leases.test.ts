// What a leader says of a lease is worth something only while it leads, which it may not know any
// more; and who asks for a client goes on asking while the leader changes. The other member answers
// over its real peer port.
import { describe, expect, test } from 'vitest'
import { EtcdError } from '../../src/api/rpc-errors.js'
import { Lessor } from '../../src/lease/lessor.js'
import { systemClock } from '../../src/platform/clock.js'
import { LeaderLeases } from '../../src/server/leader-leases.js'
import { newManualClock } from '../support/manual-clock.js'
import { type End, startEnd } from './peer/ends.js'

const self = 1n
const other = 2n
const lease = 7n
const ttlSeconds = 60

/** A member with one lease; `confirm` is what a round of the quorum finds out. */
function memberWith(parts: {
  leader: bigint
  confirm?: (node: { leader: bigint }) => void
  end?: Pick<End, 'url'>
  clock?: typeof systemClock
  isPrimary?: boolean
}) {
  const lessor = new Lessor({ clock: newManualClock(), minTtlSeconds: 1, deleteKeys: () => {} })
  lessor.grant(lease, ttlSeconds)
  if (parts.isPrimary ?? true) lessor.promote(0)
  const node = {
    leader: parts.leader,
    linearizable: async () => parts.confirm?.(node),
  }
  const peerUrls = parts.end === undefined ? [] : [parts.end.url]
  const record = { id: other, peerUrls, isLearner: false, name: 'm2', clientUrls: [] }
  const leases = new LeaderLeases({
    memberId: self,
    lessor,
    writeCheckpoint: undefined,
    membership: { member: (id) => (id === other ? record : undefined) },
    node,
    clock: parts.clock ?? systemClock,
    requestTimeoutMs: 5_000,
    electionTimeoutMs: 1_000,
    peerAsk: {},
  })
  return { leases, node, lessor }
}

const forEver = new AbortController().signal

describe('a leader', () => {
  test('renews once a majority has confirmed it', async () => {
    let rounds = 0
    const { leases } = memberWith({ leader: self, confirm: () => rounds++ })
    expect(await leases.renew(lease, forEver)).toBe(ttlSeconds)
    expect(await leases.timeToLive(lease, true, forEver)).toMatchObject({ ttlSeconds })
    expect(await leases.renew(8n, forEver)).toBeUndefined()
    expect(rounds).toBe(3)
  })

  test('that was replaced says nothing of its own; the new one is asked', async () => {
    await using end = await startEnd({
      id: other,
      handlers: { renewLease: async () => 33, leaseTimeToLive: async () => undefined },
    })
    const confirm = (node: { leader: bigint }) => {
      node.leader = other
    }
    const { leases } = memberWith({ leader: self, confirm, end })
    await expect(leases.renewHere(lease)).rejects.toEqual(new EtcdError('notLeader'))
    const { leases: more } = memberWith({ leader: self, confirm, end })
    expect(await more.renew(lease, forEver)).toBe(33)
    const { leases: again } = memberWith({ leader: self, confirm, end })
    expect(await again.timeToLive(lease, false, forEver)).toBeUndefined()
  })

  test('that cannot find out tells other members to ask again', async () => {
    const confirm = () => {
      throw new EtcdError('timeout')
    }
    const { leases } = memberWith({ leader: self, confirm })
    const late = expect.objectContaining({ code: 'timeoutWaitAppliedIndex' })
    await expect(leases.renewHere(lease)).rejects.toEqual(late)
    await expect(leases.timeToLiveHere(lease)).rejects.toEqual(late)
  })

  test('says at once what is a fault of its own', async () => {
    const fault = new TypeError('a fault')
    const confirm = () => {
      throw fault
    }
    const { leases } = memberWith({ leader: self, confirm, clock: newManualClock() })
    await expect(leases.renew(lease, forEver)).rejects.toBe(fault)
    await expect(leases.timeToLive(lease, true, forEver)).rejects.toBe(fault)
  })

  test('does not say how long a lease lives before it keeps the time', async () => {
    const { leases } = memberWith({ leader: self, isPrimary: false })
    await expect(leases.timeToLiveHere(lease)).rejects.toEqual(new EtcdError('notLeader'))
    await expect(leases.renewHere(lease)).rejects.toEqual(new EtcdError('notLeader'))
  })
})

describe('a follower', () => {
  test('asks again until the leader keeps the time', async () => {
    const answers = [new EtcdError('notLeader'), new EtcdError('timeoutWaitAppliedIndex')]
    await using end = await startEnd({
      id: other,
      handlers: {
        async renewLease() {
          const error = answers.shift()
          if (error !== undefined) throw error
          return ttlSeconds
        },
      },
    })
    const { leases } = memberWith({ leader: other, end })
    expect(await leases.renew(lease, forEver)).toBe(ttlSeconds)
    expect(answers).toEqual([])
  })

  test('waits for a leader as long as a request may take, or as its client does', async () => {
    const clock = newManualClock()
    const { leases } = memberWith({ leader: 0n, clock })
    const renewal = leases.renew(lease, forEver)
    const client = new AbortController()
    const forgotten = leases.renew(lease, client.signal)
    client.abort()
    for (let waited = 0; waited < 5_000; waited += 50) {
      await new Promise(setImmediate)
      clock.advance(50)
    }
    await expect(renewal).rejects.toEqual(new EtcdError('noLeader'))
    expect(await forgotten).toBeUndefined()
  })
})
