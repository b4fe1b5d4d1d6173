// startCluster(): a cluster inside a program, its leaders, its partitions, its dead.
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import type { Etcd3 } from 'etcd3'
import { describe, expect, test } from 'vitest'
import { type ClusterMember, type RunningCluster, startCluster } from '../../src/index.js'
import { connected, failure } from '../connection/connecting.js'

const key = Buffer.from('k')
const deadlineMs = 4_000

async function put(member: ClusterMember, value: string): Promise<void> {
  await using connection = await connected(member.endpoint)
  await connection.kv.put({ key, value: Buffer.from(value) }, { deadlineMs })
}

async function get(member: ClusterMember, more = {}): Promise<string | undefined> {
  await using connection = await connected(member.endpoint)
  const { kvs } = await connection.kv.range({ key, ...more }, { deadlineMs })
  return kvs[0]?.value.toString()
}

const others = ({ members }: RunningCluster, ...without: ClusterMember[]) =>
  members.filter((member) => !without.includes(member)) as [ClusterMember, ClusterMember]

describe('a cluster of three', () => {
  test('serves a client that knows all of them', async () => {
    await using cluster = await startCluster()
    const client: Etcd3 = await cluster.client()
    await client.put('k').value('v')
    for (const member of cluster.members) expect(await get(member)).toBe('v')
    expect(cluster.env().ETCDCTL_ENDPOINTS).toBe(cluster.endpoints.join(','))
  })

  test('elects another leader, and takes the old one back', async () => {
    await using cluster = await startCluster({ size: 3 })
    const first = await cluster.leader()
    await put(first, 'before')
    await first.kill()
    expect(first.isRunning).toBe(false)
    const second = await cluster.leader()
    expect(second).not.toBe(first)
    await put(second, 'meanwhile')
    await first.start()
    expect(await get(first)).toBe('meanwhile')
    await cluster.moveLeader(first)
    expect(await cluster.leader()).toBe(first)
    await first.stop()
    await put(second, 'after')
    await first.start()
    expect(await get(first)).toBe('after')
  })

  test('goes on with its larger part, and heals', async () => {
    await using cluster = await startCluster()
    const old = await cluster.leader()
    await put(old, 'before')
    cluster.partition([old])
    const leader = await cluster.leader()
    expect(leader).not.toBe(old)
    const [other] = others(cluster, old, leader)
    await put(other, 'of the larger part')
    // The smaller part may say what it knew, but not that it is the newest.
    expect(await get(old, { serializable: true })).toBe('before')
    expect((await failure(put(old, 'lost'))).message).toMatch(/timed out|deadline|no leader/)
    expect((await failure(get(old))).message).toMatch(/timed out|deadline|no leader/)
    cluster.heal()
    await cluster.moveLeader(old)
    expect(await get(old)).toBe('of the larger part')
  })

  test('waits for a majority, and a start can be given up', async () => {
    await using cluster = await startCluster()
    await put(await cluster.leader(), 'kept')
    await Promise.all(cluster.members.map((member) => member.kill()))
    const [first, second] = cluster.members as [ClusterMember, ClusterMember]
    const alone = failure(first.start())
    await first.kill()
    expect((await alone).message).toBe('the start was given up')
    await Promise.all([first.start(), second.start()])
    expect(await get(second)).toBe('kept')
  })
})

test('data in a directory of the program stay there', async () => {
  const dir = await mkdtemp(path.join(tmpdir(), 'library-cluster-'))
  try {
    {
      await using cluster = await startCluster({ size: 1, dir })
      await put(await cluster.leader(), 'kept')
    }
    expect(await readdir(dir)).toEqual(['member-1'])
  } finally {
    await rm(dir, { recursive: true, force: true })
  }
})
