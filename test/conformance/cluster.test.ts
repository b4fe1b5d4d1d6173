// Clusters of the bundled server, each member a process: members that come, go and die, leaders
// that change, data that rots. What clients notice of it: cluster-failover.test.ts.
import { readFile, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { afterEach, describe, expect, test } from 'vitest'
import {
  type ClusterMember,
  eventually,
  leaderOf,
  type ProcessCluster,
  sameHash,
  startProcessCluster,
  withMember,
} from '../support/cluster.js'
import { idOf, join, moveLeader, promote, put, putMany, valueAt } from '../support/cluster-calls.js'
import { freePorts } from '../support/free-ports.js'

const flags = ['--unsafe-no-fsync', '--heartbeat-interval=50', '--election-timeout=500']
const three = ['tsctl', 'tsctl', 'tsctl'] as const
type Three = [ClusterMember, ClusterMember, ClusterMember]
const deadlineMs = 30_000

let cluster: ProcessCluster
afterEach(() => cluster?.[Symbol.asyncDispose]())

async function startThree(more: readonly string[] = []): Promise<Three> {
  cluster = await startProcessCluster({ programs: three, flags: [...flags, ...more] })
  return cluster.members as Three
}

const others = (member: ClusterMember) => cluster.members.filter((each) => each !== member)

describe('members', () => {
  test('come as learners, are promoted, move and go', async () => {
    const [first] = await startThree()
    await put(first, 'k', 'v')
    const fourth = await join(cluster, 'tsctl', { isLearner: true })
    await eventually('the learner knows the key', () => valueAt(fourth, 'k', 'stale'))
    await promote(cluster, fourth)
    expect(await valueAt(fourth, 'k')).toBe('v')
    await sameHash(cluster.members)

    const ID = await idOf(fourth)
    const [port] = await freePorts(1)
    const peerURLs = [`http://127.0.0.1:${port}`]
    const updated = await withMember(first, ({ cluster: service }) =>
      service.memberUpdate({ ID, peerURLs }),
    )
    expect(updated.members.find((member) => member.ID === ID)?.peerURLs).toEqual(peerURLs)
    await fourth.stop()
    await fourth.start([
      `--listen-peer-urls=${peerURLs}`,
      `--initial-advertise-peer-urls=${peerURLs}`,
    ])
    await put(first, 'k', 'to the new place')
    expect(await valueAt(fourth, 'k')).toBe('to the new place')

    await eventually('the cluster lets it go', () =>
      withMember(first, ({ cluster: service }) => service.memberRemove({ ID }, { deadlineMs })),
    )
    expect(await fourth.ended()).toBe(1)
    expect(fourth.log.at(-1)).toContain('permanently removed from the cluster')
    // Nor does it come back.
    await expect(fourth.start()).rejects.toThrow('permanently removed from the cluster')
    await put(first, 'k', 'without it')
  })

  test('that all are killed come back with everything', async () => {
    const [first, second] = await startThree(['--snapshot-count=100'])
    await putMany(first, 500, { bytes: 2_000 })
    const lease = await withMember(second, ({ lease }) => lease.leaseGrant({ TTL: '1000' }))
    const hash = await sameHash(cluster.members)
    await Promise.all(cluster.members.map((member) => member.stop('SIGKILL')))
    await Promise.all(cluster.members.map((member) => member.start()))
    expect(await sameHash(cluster.members)).toBe(hash)
    await put(second, 'k', 'after')
    expect(await valueAt(first, 'k')).toBe('after')
    const { leases } = await withMember(first, ({ lease }) => lease.leaseLeases())
    expect(leases).toEqual([{ ID: lease.ID }])
  })

  test('that were away for long catch up by a snapshot', async () => {
    const [first, , third] = await startThree(['--snapshot-catchup-entries=100'])
    await moveLeader(cluster, first)
    await third.stop('SIGKILL')
    await putMany(first, 1_000)
    await third.start()
    await sameHash(cluster.members)
    expect(third.log.some((line) => line.includes('applied snapshot'))).toBe(true)
    await third.stop('SIGKILL')
    await third.start()
    await sameHash(cluster.members)
  })

  test('a lost majority is given up by --force-new-cluster', async () => {
    const [first, second, third] = await startThree()
    await putMany(first, 100)
    const hash = await sameHash(cluster.members)
    await Promise.all([second, third].map((member) => member.stop('SIGKILL')))
    await first.stop()
    await first.start(['--force-new-cluster'])
    const { members } = await withMember(first, ({ cluster: service }) => service.memberList({}))
    expect(members.map(({ name }) => name)).toEqual([first.name])
    await put(first, 'k', 'alone')
    expect(await sameHash([first])).not.toBe(hash)
    expect(await valueAt(first, 'k99')).toBe('v'.repeat(20))
    await first.stop()
    await first.start([])
    expect(await valueAt(first, 'k')).toBe('alone')
  })
})

describe('leaders', () => {
  test('that die or hand over leave leases as they are', async () => {
    const [first] = await startThree()
    const { ID } = await withMember(first, ({ lease }) => lease.leaseGrant({ TTL: '600' }))
    const key = Buffer.from('leased')
    await withMember(first, ({ kv }) => kv.put({ key, lease: ID }))
    await moveLeader(cluster, first)
    await first.stop('SIGKILL')
    const rest = others(first)
    const leader = await leaderOf(rest)
    for (const member of rest) {
      const answer = await withMember(member, ({ lease }) =>
        lease.leaseTimeToLive({ ID, keys: true }, { deadlineMs }),
      )
      expect(answer.keys).toEqual([key])
      expect(Number(answer.TTL)).toBeGreaterThan(300)
    }
    const [follower] = rest.filter((member) => member !== leader) as [ClusterMember]
    await withMember(follower, async (connection) => {
      for await (const { TTL } of connection.keepAlive(ID, { once: true })) expect(TTL).toBe('600')
    })
  })

  test('that stop hand over first', async () => {
    await startThree()
    const leader = await leaderOf(cluster.members)
    const rest = others(leader)
    const stopped = leader.stop('SIGTERM')
    expect(await stopped).toBe(0)
    // Before its process ended another one had told it that it leads now.
    const [last] = leader.log.filter((line) => line.includes('"leader changed"')).slice(-1)
    const next = await leaderOf(rest)
    expect(last).toContain(BigInt(await idOf(next)).toString(16))
    await put(next, 'k', 'v')
  })
})

/** Replaces a value in the database of a member that is stopped. */
async function corrupt(member: ClusterMember, value: string): Promise<void> {
  const file = path.join(member.dataDir, 'member/snap/db')
  const bytes = await readFile(file)
  const at = bytes.indexOf(value)
  expect(at).toBeGreaterThan(0)
  bytes.write('X', at)
  await writeFile(file, bytes)
}

describe('data that differ', () => {
  test('keep a member from serving, or raise the alarm', async () => {
    const [first, second, third] = await startThree(['--experimental-corrupt-check-time=500ms'])
    await put(first, 'k', 'a value that will rot')
    await sameHash(cluster.members)
    await moveLeader(cluster, first)
    await third.stop()
    await corrupt(third, 'a value that will rot')
    await expect(third.start(['--experimental-initial-corrupt-check'])).rejects.toThrow(
      'found data inconsistency with peers',
    )
    await third.start([])
    const { alarms } = await eventually('the alarm', async () => {
      const answer = await withMember(second, ({ maintenance }) => maintenance.alarm({ action: 0 }))
      return answer.alarms.length > 0 ? answer : undefined
    })
    expect(alarms).toEqual([{ memberID: await idOf(third), alarm: 2 }])
    await expect(put(first, 'k', 'more')).rejects.toThrow('etcdserver: corrupt cluster')
  })
})
