// Who may go, and what a cluster remembers of it. The members are those of the simulation: the real
// server, on a clock, disks and a network that do as they are told.
import { expect, test } from 'vitest'
import type { EtcdError } from '../../../src/api/rpc-errors.js'
import { Cluster } from '../../simulation/cluster.js'
import type { SimulatedMember } from '../../simulation/simulated-member.js'
import { VirtualTime } from '../../simulation/virtual-time.js'
import { seededRandom } from '../../support/fake-files.js'

/** As etcd: a connection counts after so long. */
const healthIntervalMs = 5_000

class Members implements Disposable {
  readonly time = new VirtualTime()
  readonly cluster: Cluster

  constructor(size: number) {
    this.cluster = new Cluster({
      ...{ time: this.time, random: seededRandom(1), size, note: () => {}, bend: () => {} },
      ...{ snapshotCatchupEntries: 50, preVote: true, snapshotCount: 10_000, segmentBytes: 64_000 },
      connectionAgeMs: 0,
      onFailure: (_, error) => {
        throw error
      },
    })
    this.cluster.start()
  }

  /** Undefined: removed; else the code of the refusal. */
  async remove(asked: SimulatedMember, id: bigint): Promise<string | undefined> {
    let outcome: { code?: string } | undefined
    serviceOf(asked)
      .reconfigurer.remove(id)
      .then(
        () => (outcome = {}),
        (error: EtcdError) => (outcome = error),
      )
    await this.until(() => outcome !== undefined)
    return outcome?.code
  }

  /** Whoever leads, and the others. */
  async roles(): Promise<{ leader: SimulatedMember; others: SimulatedMember[] }> {
    await this.until(() => this.cluster.leader() !== undefined)
    const leader = this.cluster.leader()
    if (leader === undefined) throw new Error('nobody leads')
    return { leader, others: this.cluster.members.filter((member) => member !== leader) }
  }

  async until(isDone: () => boolean): Promise<void> {
    await this.time.runUntil(this.time.now + 60_000, isDone)
    expect(isDone()).toBe(true)
  }

  async pass(ms: number): Promise<void> {
    await this.time.runUntil(this.time.now + ms)
  }

  [Symbol.dispose](): void {
    for (const member of this.cluster.members) member.crash()
  }
}

function serviceOf({ running, name }: SimulatedMember) {
  if (running === undefined) throw new Error(`${name} is down`)
  return running.service
}

const idOf = ({ id }: SimulatedMember): bigint => id ?? 0n

const sizeSeenBy = (member: SimulatedMember): number => serviceOf(member).membership.size

test('nobody who runs may go before the others have been connected for a while', async () => {
  using members = new Members(3)
  const { leader, others } = await members.roles()
  const [other, third] = others as [SimulatedMember, SimulatedMember]
  await members.until(() => idOf(third) !== 0n)
  // etcd 3.4.23, asked in the first 5 s: `etcdserver: unhealthy cluster` for both, and the member
  // that is down may go.
  expect(await members.remove(leader, idOf(other))).toBe('unhealthy')
  expect(await members.remove(leader, idOf(leader))).toBe('unhealthy')
  third.crash()
  expect(await members.remove(leader, idOf(third))).toBeUndefined()
  expect(members.time.now).toBeLessThan(healthIntervalMs)
})

test('who was connected long enough may go', async () => {
  using members = new Members(3)
  await members.pass(healthIntervalMs + 1_000)
  const { leader, others } = await members.roles()
  const [other] = others as [SimulatedMember, SimulatedMember]
  expect(await members.remove(leader, idOf(other))).toBeUndefined()
})

test('a removal that took effect outlives a power failure of all who are left', async () => {
  using members = new Members(4)
  await members.pass(healthIntervalMs + 1_000)
  const { leader, others } = await members.roles()
  expect(await members.remove(leader, idOf(leader))).toBeUndefined()
  await members.until(() => others.every((member) => sizeSeenBy(member) === 3))
  for (const member of others) member.crash()
  await members.until(() => leader.isGone)
  // Two of three decide; of four, as it was before, they could not.
  const [one, two] = others as [SimulatedMember, SimulatedMember, SimulatedMember]
  one.start()
  two.start()
  await members.until(() => members.cluster.leader() !== undefined)
  expect(sizeSeenBy(one)).toBe(3)
})
