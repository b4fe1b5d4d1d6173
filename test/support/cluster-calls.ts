// cluster-calls.ts: what tests do to a cluster of processes, over connections of their own.
import {
  type ClusterMember,
  eventually,
  leaderOf,
  type ProcessCluster,
  type Program,
  type Reachable,
  withMember,
} from './cluster.js'

/** Longer than a member itself waits for a leader: its answer is what is to be seen. */
const deadlineMs = 30_000

export const put = (member: Pick<Reachable, 'endpoint'>, key: string, value: string) =>
  withMember(member, ({ kv }) =>
    kv.put({ key: Buffer.from(key), value: Buffer.from(value) }, { deadlineMs }),
  )

export async function putMany(
  member: ClusterMember,
  count: number,
  { prefix = 'k', bytes = 20 } = {},
) {
  await withMember(member, async ({ kv }) => {
    const value = Buffer.alloc(bytes, 'v')
    for (let from = 0; from < count; from += 100) {
      const batch = Array.from({ length: Math.min(100, count - from) }, (_, at) => from + at)
      await Promise.all(
        batch.map((at) => kv.put({ key: Buffer.from(`${prefix}${at}`), value }, { deadlineMs })),
      )
    }
  })
}

/** A learner answers stale reads only. */
export async function valueAt(
  member: Pick<Reachable, 'endpoint'>,
  key: string,
  kind: 'newest' | 'stale' = 'newest',
): Promise<string | undefined> {
  const request = { key: Buffer.from(key), serializable: kind === 'stale' }
  const { kvs } = await withMember(member, ({ kv }) => kv.range(request, { deadlineMs }))
  return kvs[0]?.value.toString()
}

/** Tells the cluster of a new member and starts it. */
export async function join(
  cluster: ProcessCluster,
  program: Program,
  { isLearner = false, more = [] as readonly string[] } = {},
): Promise<ClusterMember> {
  const [first] = cluster.members
  const member = await cluster.newMember(program)
  await eventually('the cluster takes another member', () =>
    withMember(first as ClusterMember, ({ cluster: service }) =>
      service.memberAdd({ peerURLs: [member.peerUrl], isLearner }, { deadlineMs }),
    ),
  )
  const initial = `--initial-cluster=${cluster.initialCluster()}`
  await member.start([initial, '--initial-cluster-state=existing', ...more])
  return member
}

export async function idOf(member: Pick<Reachable, 'endpoint'>): Promise<string> {
  const { header } = await withMember(member, ({ maintenance }) => maintenance.status())
  return header?.member_id ?? ''
}

export async function moveLeader<M extends Reachable>(
  cluster: { readonly members: readonly M[] },
  to: M,
): Promise<void> {
  const targetID = await idOf(to)
  const leader = await leaderOf(cluster.members)
  if (leader === to) return
  await withMember(leader, ({ maintenance }) => maintenance.moveLeader({ targetID }))
  await eventually('it leads', async () => (await leaderOf(cluster.members)) === to || undefined)
}

export async function promote(cluster: ProcessCluster, member: ClusterMember): Promise<void> {
  const ID = await idOf(member)
  await eventually('the learner is promoted', () =>
    withMember(cluster.members[0] as ClusterMember, ({ cluster: service }) =>
      service.memberPromote({ ID }, { deadlineMs }),
    ),
  )
  // The others may know before the new voter itself does.
  await eventually('the promoted member knows', () =>
    withMember(member, async ({ maintenance }) => {
      const { isLearner } = await maintenance.status()
      return isLearner ? undefined : true
    }),
  )
}
