// A real partition of three members, each on a machine of its own (a network namespace): the cable
// of the leader is pulled. It refuses, with the errors that etcd has for it; the others serve; and
// after healing all have the same data. The same is asked of three members of a real etcd.
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { describe, expect, test } from 'vitest'
import { TokenClient } from '../server/token-client.js'
import {
  type ClusterMember,
  eventually,
  leaderOf,
  type Program,
  sameHash,
  startProcessCluster,
  withMember,
} from '../support/cluster.js'
import { put, valueAt } from '../support/cluster-calls.js'
import { type Machines, startMachines, whyNoMachines } from '../support/network-namespaces.js'
import { isEtcdInstalled } from '../support/real-etcd.js'

const flags = ['--heartbeat-interval=50', '--election-timeout=500']
const reason = whyNoMachines()

async function startOn(machines: Machines, program: Program, dir: string) {
  return startProcessCluster({
    programs: [program, program, program],
    flags: [...flags, '--pre-vote'],
    placeOf: (at) => {
      // As etcd 3.4 wants it: a host and a port, which together are the name of the file.
      const socket = `${dir}/localhost:${at + 1}`
      return {
        endpoint: `unix://${socket}`,
        clientUrl: program === 'etcd' ? `unix://localhost:${at + 1}` : `unix://${socket}`,
        peerUrl: `http://${machines.address(at)}:2380`,
        within: ['env', '-C', dir, ...machines.within(at)],
      }
    },
  })
}

/**
 * As a program does that writes again until it succeeds. How long that takes is not asked here: in
 * ticks, ../raft/election-time.test.ts does.
 */
async function untilServed(member: ClusterMember): Promise<void> {
  await eventually('the larger part serves', () =>
    withMember(member, ({ kv }) =>
      kv.put({ key, value: Buffer.from('majority') }, { deadlineMs: 200 }),
    ),
  )
}

/** What a client hears that neither repeats anything nor has a deadline of its own. */
async function refusals(member: ClusterMember, methods: readonly Question[]): Promise<string[]> {
  await using client = new TokenClient(member.endpoint.replace('unix://', ''))
  return await Promise.all(methods.map((method) => client.outcome(method, { key })))
}

/** Without a leader etcd lets the deadline of its proposal show; ours says the same as ever. */
const refused: Record<Program, RegExp> = {
  tsctl: /^Unavailable: etcdserver: request timed out/,
  etcd: /^(Unavailable: etcdserver: request timed out|Unknown: context deadline exceeded)/,
}

type Question = 'Put' | 'Range'
const key = Buffer.from('k')

const title = reason === undefined ? 'a partition' : `a partition (skipped: ${reason})`
describe.skipIf(reason !== undefined).concurrent(title, () => {
  test.each<Program>(isEtcdInstalled ? ['tsctl', 'etcd'] : ['tsctl'])(
    'of members of %s',
    async (program) => {
      const dir = await mkdtemp(path.join(tmpdir(), 'partition-'))
      using machines = startMachines(3)
      try {
        await using cluster = await startOn(machines, program, dir)
        const leader = await leaderOf(cluster.members)
        await put(leader, 'k', 'before')
        const rest = cluster.members.filter((member) => member !== leader)
        machines.pull(cluster.members.indexOf(leader))
        const early = refusals(leader, ['Put', 'Range'])
        await untilServed(rest[0] as ClusterMember)
        expect(rest).toContain(await leaderOf(rest))
        for (const member of rest) expect(await valueAt(member, 'k')).toBe('majority')

        await eventually('it knows that it does not lead any more', () =>
          withMember(leader, async ({ maintenance }) =>
            (await maintenance.status()).leader === '0' ? true : undefined,
          ),
        )
        const late = refusals(leader, ['Put'])
        for (const outcome of [...(await early), ...(await late)]) {
          expect(outcome).toMatch(refused[program])
        }
        // What it knew it may still tell, to who asks for no more than that.
        expect(await valueAt(leader, 'k', 'stale')).toBe('before')

        machines.plug(cluster.members.indexOf(leader))
        await eventually('it takes part again', () => put(leader, 'other', 'healed'))
        expect(await valueAt(leader, 'k')).toBe('majority')
        await sameHash(cluster.members)
      } finally {
        await rm(dir, { recursive: true, force: true })
      }
    },
  )
})
