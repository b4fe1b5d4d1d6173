// Clusters in which members of etcd and ours sit side by side: the protocol between members, the
// files, and the determinism of the state, all at once. Afterwards all must have the same hash.
import { afterEach, expect, test } from 'vitest'
import {
  type ClusterMember,
  eventually,
  type ProcessCluster,
  sameHash,
  startProcessCluster,
  withMember,
} from '../support/cluster.js'
import { join, moveLeader, promote, put, putMany, valueAt } from '../support/cluster-calls.js'
import { describeWithEtcd } from '../support/real-etcd.js'

/** etcd 3.4 joins no cluster that has agreed on a newer version. */
const ownFlags = ['--max-cluster-version=3.4']
const flags = ['--unsafe-no-fsync', '--heartbeat-interval=50', '--election-timeout=500']

let cluster: ProcessCluster
afterEach(() => cluster?.[Symbol.asyncDispose]())

/** What a voter does, in the first rank and in the second. */
async function checkAtWork(member: ClusterMember): Promise<void> {
  const [first] = cluster.members
  await put(member, 'forwarded', 'by the new one')
  expect(await valueAt(first as ClusterMember, 'forwarded')).toBe('by the new one')
  await put(first as ClusterMember, 'replicated', 'to the new one')
  expect(await valueAt(member, 'replicated')).toBe('to the new one')
  await moveLeader(cluster, member)
  await put(first as ClusterMember, 'forwarded', 'to the new one')
  expect(await valueAt(member, 'forwarded')).toBe('to the new one')
  await putMany(member, 300, { prefix: 'led' })
  await sameHash(cluster.members)
}

const pairs = [
  { one: 'tsctl', others: 'etcd' },
  { one: 'etcd', others: 'tsctl' },
] as const

describeWithEtcd('a cluster of etcd and tsctl', () => {
  test.each(pairs)('$one among $others learns, votes, leads', async ({ one, others }) => {
    cluster = await startProcessCluster({ programs: [others, others], flags, ownFlags })
    const [first] = cluster.members as [ClusterMember]
    await putMany(first, 200)
    const member = await join(cluster, one, { isLearner: true })
    await eventually('the learner knows the last key', () => valueAt(member, 'k199', 'stale'))
    await promote(cluster, member)
    await checkAtWork(member)
  })

  test.each(pairs)('$one joins $others as a voter', async ({ one, others }) => {
    cluster = await startProcessCluster({ programs: [others, others], flags, ownFlags })
    const [first] = cluster.members as [ClusterMember]
    await putMany(first, 200)
    await checkAtWork(await join(cluster, one))
  })

  test.each(pairs)(
    '$one that is new to $others catches up by a snapshot',
    async ({ one, others }) => {
      const few = [...flags, '--snapshot-count=100']
      cluster = await startProcessCluster({ programs: [others], flags: few, ownFlags })
      const [first] = cluster.members as [ClusterMember]
      await putMany(first, 300, { bytes: 5_000 })
      const lease = await withMember(first, ({ lease }) => lease.leaseGrant({ TTL: '1000' }))
      await withMember(first, ({ kv }) => kv.put({ key: Buffer.from('leased'), lease: lease.ID }))
      const member = await join(cluster, one)
      await eventually(
        'it has taken a snapshot',
        async () => member.log.some((line) => /applied snapshot/.test(line)) || undefined,
      )
      await checkAtWork(member)
      const { leases } = await withMember(member, ({ lease }) => lease.leaseLeases())
      expect(leases).toEqual([{ ID: lease.ID }])
      await Promise.all(cluster.members.map((each) => each.stop('SIGKILL')))
      await Promise.all(cluster.members.map((each) => each.start()))
      await sameHash(cluster.members)
    },
  )

  test.each(pairs)(
    '$one that was away among $others catches up by the log, then by a snapshot',
    async ({ one, others }) => {
      const few = [...flags, '--snapshot-count=1000']
      const fewOwn = [...ownFlags, '--snapshot-catchup-entries=500']
      const programs = [others, others, one]
      cluster = await startProcessCluster({ programs, flags: few, ownFlags: fewOwn })
      const [first, , member] = cluster.members as [ClusterMember, ClusterMember, ClusterMember]
      await moveLeader(cluster, first)
      await member.stop('SIGKILL')
      await putMany(first, 300)
      await member.start()
      await sameHash(cluster.members)
      expect(member.log.filter((line) => /applied snapshot/.test(line))).toEqual([])
      await member.stop('SIGKILL')
      // etcd 3.4 keeps 5000 entries behind its last snapshot.
      await putMany(first, others === 'etcd' ? 7_500 : 1_500)
      await member.start()
      await sameHash(cluster.members)
      expect(member.log.some((line) => /applied snapshot/.test(line))).toBe(true)
      await checkAtWork(member)
    },
  )
})
