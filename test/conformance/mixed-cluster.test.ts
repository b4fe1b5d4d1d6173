// Clusters in which members of etcd and ours sit side by side: the protocol between members, the
// files, and the determinism of the state, all at once. Afterwards all must have the same hash.
import { afterEach, expect, test } from 'vitest'
import {
  type ClusterMember,
  eventually,
  leaderOf,
  type ProcessCluster,
  type Program,
  sameHash,
  startProcessCluster,
  withMember,
} from '../support/cluster.js'
import { describeWithEtcd } from '../support/real-etcd.js'

/** etcd 3.4 joins no cluster that has agreed on a newer version. */
const ownFlags = ['--max-cluster-version=3.4']
const flags = ['--unsafe-no-fsync', '--heartbeat-interval=50', '--election-timeout=500']
/** A test takes some elections and starts of processes. */
const timeout = 60_000

let cluster: ProcessCluster
afterEach(() => cluster?.[Symbol.asyncDispose]())

const put = (member: ClusterMember, key: string, value: string) =>
  withMember(member, ({ kv }) =>
    kv.put({ key: Buffer.from(key), value: Buffer.from(value) }, { deadlineMs: 5_000 }),
  )

async function putMany(member: ClusterMember, count: number, { prefix = 'k', bytes = 20 } = {}) {
  await withMember(member, async ({ kv }) => {
    const value = Buffer.alloc(bytes, 'v')
    for (let from = 0; from < count; from += 100) {
      const batch = Array.from({ length: Math.min(100, count - from) }, (_, at) => from + at)
      await Promise.all(
        batch.map((at) =>
          kv.put({ key: Buffer.from(`${prefix}${at}`), value }, { deadlineMs: 15_000 }),
        ),
      )
    }
  })
}

/** A learner answers stale reads only. */
async function valueAt(
  member: ClusterMember,
  key: string,
  kind: 'newest' | 'stale' = 'newest',
): Promise<string | undefined> {
  const request = { key: Buffer.from(key), serializable: kind === 'stale' }
  const { kvs } = await withMember(member, ({ kv }) => kv.range(request, { deadlineMs: 5_000 }))
  return kvs[0]?.value.toString()
}

/** Tells the cluster of a new member and starts it. */
async function join(program: Program, { isLearner = false, more = [] as readonly string[] } = {}) {
  const [first] = cluster.members
  const member = await cluster.newMember(program)
  await eventually('the cluster takes another member', () =>
    withMember(first as ClusterMember, ({ cluster: service }) =>
      service.memberAdd({ peerURLs: [member.peerUrl], isLearner }, { deadlineMs: 2_000 }),
    ),
  )
  const initial = `--initial-cluster=${cluster.initialCluster()}`
  await member.start([initial, '--initial-cluster-state=existing', ...more])
  return member
}

async function idOf(member: ClusterMember): Promise<string> {
  const { header } = await withMember(member, ({ maintenance }) => maintenance.status())
  return header?.member_id ?? ''
}

async function moveLeader(to: ClusterMember): Promise<void> {
  const targetID = await idOf(to)
  const leader = await leaderOf(cluster.members)
  if (leader === to) return
  await withMember(leader, ({ maintenance }) => maintenance.moveLeader({ targetID }))
  expect(await leaderOf(cluster.members)).toBe(to)
}

async function promote(member: ClusterMember): Promise<void> {
  const ID = await idOf(member)
  await eventually('the learner is promoted', () =>
    withMember(cluster.members[0] as ClusterMember, ({ cluster: service }) =>
      service.memberPromote({ ID }, { deadlineMs: 2_000 }),
    ),
  )
}

/** What a voter does, in the first rank and in the second. */
async function checkAtWork(member: ClusterMember): Promise<void> {
  const [first] = cluster.members
  await put(member, 'forwarded', 'by the new one')
  expect(await valueAt(first as ClusterMember, 'forwarded')).toBe('by the new one')
  await put(first as ClusterMember, 'replicated', 'to the new one')
  expect(await valueAt(member, 'replicated')).toBe('to the new one')
  await moveLeader(member)
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
  test.each(pairs)(
    '$one among $others learns, votes, leads',
    { timeout },
    async ({ one, others }) => {
      cluster = await startProcessCluster({ programs: [others, others], flags, ownFlags })
      const [first] = cluster.members as [ClusterMember]
      await putMany(first, 200)
      const member = await join(one, { isLearner: true })
      await eventually('the learner knows the last key', () => valueAt(member, 'k199', 'stale'))
      await promote(member)
      await checkAtWork(member)
    },
  )

  test.each(pairs)('$one joins $others as a voter', { timeout }, async ({ one, others }) => {
    cluster = await startProcessCluster({ programs: [others, others], flags, ownFlags })
    const [first] = cluster.members as [ClusterMember]
    await putMany(first, 200)
    await checkAtWork(await join(one))
  })

  test.each(pairs)(
    '$one that is new to $others catches up by a snapshot',
    { timeout },
    async ({ one, others }) => {
      const few = [...flags, '--snapshot-count=100']
      cluster = await startProcessCluster({ programs: [others], flags: few, ownFlags })
      const [first] = cluster.members as [ClusterMember]
      await putMany(first, 300, { bytes: 5_000 })
      const lease = await withMember(first, ({ lease }) => lease.leaseGrant({ TTL: '1000' }))
      await withMember(first, ({ kv }) => kv.put({ key: Buffer.from('leased'), lease: lease.ID }))
      const member = await join(one)
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
    { timeout },
    async ({ one, others }) => {
      const few = [...flags, '--snapshot-count=1000']
      const fewOwn = [...ownFlags, '--snapshot-catchup-entries=500']
      const programs = [others, others, one]
      cluster = await startProcessCluster({ programs, flags: few, ownFlags: fewOwn })
      const [first, , member] = cluster.members as [ClusterMember, ClusterMember, ClusterMember]
      await moveLeader(first)
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
