// startCluster(): a cluster inside a program, its leaders, its partitions, its dead.
import { execFile } from 'node:child_process'
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { promisify } from 'node:util'
import type { Etcd3 } from 'etcd3'
import { describe, expect, test, vi } from 'vitest'
import { openPort } from '../../../src/grpc/port.js'
import { type ClusterMember, type RunningCluster, startCluster } from '../../../src/index.js'
import { startClusterOn } from '../../../src/server/library/cluster.js'
import { freePorts, isPortTaken } from '../../../src/server/library/ports.js'
import type { Server } from '../../../src/server/server.js'
import { connected, failure } from '../../connection/connecting.js'

const key = Buffer.from('k')
/** Longer than a member itself waits. */
const deadlineMs = 30_000
/** Of who is to be told nothing. */
const impatientMs = 4_000

async function put(member: ClusterMember, value: string, patienceMs = deadlineMs): Promise<void> {
  await using connection = await connected(member.endpoint)
  await connection.kv.put({ key, value: Buffer.from(value) }, { deadlineMs: patienceMs })
}

async function get(
  member: ClusterMember,
  more = {},
  patienceMs = deadlineMs,
): Promise<string | undefined> {
  await using connection = await connected(member.endpoint)
  const { kvs } = await connection.kv.range({ key, ...more }, { deadlineMs: patienceMs })
  return kvs[0]?.value.toString()
}

async function grant(member: ClusterMember): Promise<string> {
  await using connection = await connected(member.endpoint)
  return (await connection.lease.leaseGrant({ TTL: '60' }, { deadlineMs })).ID
}

async function renew(
  member: ClusterMember,
  lease: string,
  patienceMs = deadlineMs,
): Promise<string> {
  await using connection = await connected(member.endpoint)
  const signal = AbortSignal.timeout(patienceMs)
  for await (const { TTL } of connection.keepAlive(lease, { once: true, signal })) return TTL
  throw new Error('deadline exceeded')
}

/** Resolves when the member knows that nobody leads. */
async function untilLeaderless(member: ClusterMember): Promise<void> {
  await using connection = await connected(member.endpoint)
  for (;;) {
    const { leader } = await connection.maintenance.status({ deadlineMs })
    if (leader === '0') return
    await new Promise(setImmediate)
  }
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

  test('moves its leader though yet another is elected meanwhile', async () => {
    await using cluster = await startCluster()
    const leader = await cluster.leader()
    const [to, third] = others(cluster, leader)
    const { service } = (leader as ClusterMember & { server: Server }).server
    const { handOver } = service
    service.handOver = async () => {
      service.handOver = handOver
      await handOver(third.id ?? 0n)
    }
    await cluster.moveLeader(to)
    expect(await cluster.leader()).toBe(to)
  })

  test('goes on with its larger part, and heals', async () => {
    await using cluster = await startCluster()
    const old = await cluster.leader()
    await put(old, 'before')
    const lease = await grant(old)
    cluster.partition([old])
    // It does not know yet that it is alone.
    const renewal = failure(renew(old, lease, impatientMs))
    const leader = await cluster.leader()
    expect(leader).not.toBe(old)
    const [other] = others(cluster, old, leader)
    await put(other, 'of the larger part')
    // The smaller part may say what it knew, but not that it is the newest.
    expect(await get(old, { serializable: true })).toBe('before')
    const refusals = [put(old, 'lost', impatientMs), get(old, {}, impatientMs)].map(failure)
    for (const { message } of await Promise.all(refusals)) {
      expect(message).toMatch(/timed out|deadline|no leader/)
    }
    expect((await renewal).message).toBe('context canceled')
    expect(await renew(other, lease)).toBe('60')
    cluster.heal()
    await cluster.moveLeader(old)
    expect(await get(old)).toBe('of the larger part')
  })

  test('does not do later what a client was told not to expect', async () => {
    await using cluster = await startCluster()
    const [, second] = cluster.members as [ClusterMember, ClusterMember]
    await put(second, 'before')
    cluster.partition(...cluster.members.map((member) => [member]))
    for (const member of cluster.members) await untilLeaderless(member)
    // It waits for a leader at this member, longer than its client does.
    const { message } = await failure(put(second, 'too late', 300))
    expect(message).toMatch(/timed out|deadline|no leader/)
    cluster.heal()
    // Whatever waits at this member for a leader is proposed before this.
    await put(second, 'after')
    await using connection = await connected(second.endpoint)
    const { kvs } = await connection.kv.range({ key })
    expect(kvs.map(({ version }) => version)).toEqual(['2'])
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

describe('ports', () => {
  const host = '127.0.0.1'
  /** Calls the work while somebody else listens on this port. */
  async function whileTaken(port: number, work: () => Promise<void>): Promise<void> {
    const stranger = createServer((socket) => socket.destroy())
    await openPort(stranger, { host, port })
    try {
      await work()
    } finally {
      await new Promise((resolve) => stranger.close(resolve))
    }
  }

  test('are below those of clients, all different, and nobody else’s', async () => {
    const [last = 0] = await freePorts(1)
    await whileTaken(last + 1, async () => {
      const ports = await freePorts(20)
      expect(ports).not.toContain(last + 1)
      expect(new Set([last, ...ports]).size).toBe(21)
      expect(ports.filter((port) => port < 20_000 || port >= 32_768)).toEqual([])
    })
  })

  test.each([
    ['clients', 1],
    ['peers', 4],
  ])('for %s that are taken before a member listens are given up', async (_whose, at) => {
    const dir = await mkdtemp(path.join(tmpdir(), 'library-cluster-'))
    try {
      const offers = [await freePorts(6), await freePorts(6)]
      const [taken = []] = offers
      await whileTaken(taken[at] ?? 0, async () => {
        const portsOf = async () => offers.shift() ?? []
        await using cluster = await startClusterOn(portsOf, { dir })
        const leader = await cluster.leader()
        await put(leader, 'v')
        expect(await get(leader)).toBe('v')
        expect(offers).toEqual([])
      })
    } finally {
      await rm(dir, { recursive: true, force: true })
    }
  })

  test('that are always taken are an error, and no data are left', async () => {
    const dir = await mkdtemp(path.join(tmpdir(), 'library-cluster-'))
    try {
      const ports = await freePorts(6)
      await whileTaken(ports[0] ?? 0, async () => {
        const error = await failure(startClusterOn(async () => ports, { dir }))
        expect(isPortTaken(error)).toBe(true)
        expect(await readdir(dir)).toEqual([])
      })
    } finally {
      await rm(dir, { recursive: true, force: true })
    }
  })
})

test('a cluster in a directory of the program comes back with its data', async () => {
  const dir = await mkdtemp(path.join(tmpdir(), 'library-cluster-'))
  try {
    {
      await using cluster = await startCluster({ size: 3, dir })
      await put(await cluster.leader(), 'kept')
    }
    {
      await using cluster = await startCluster({ dir })
      expect(cluster.members.length).toBe(3)
      expect(await get(await cluster.leader())).toBe('kept')
    }
    expect(await failure(startCluster({ size: 1, dir }))).toEqual(
      new Error(`${dir} holds a cluster of 3 members, not of 1`),
    )
  } finally {
    await rm(dir, { recursive: true, force: true })
  }
})

test('a cluster is not stopped by fake timers', async () => {
  // Those that jest puts in place of the real ones by itself.
  vi.useFakeTimers({ toFake: ['setTimeout', 'setInterval', 'setImmediate', 'queueMicrotask'] })
  try {
    await using cluster = await startCluster()
    const [other] = others(cluster, await cluster.leader())
    await put(other, 'v')
    expect(await get(other)).toBe('v')
  } finally {
    vi.useRealTimers()
  }
})

test('a program that forgets its cluster ends, and not before what it waits for', async () => {
  const root = path.join(import.meta.dirname, '../../..')
  const program = `
    import { startCluster } from ${JSON.stringify(path.join(root, 'src/index.ts'))}
    const cluster = await startCluster()
    const [first, second, third] = cluster.members
    for (const member of [first, second, third]) await cluster.moveLeader(member)
    await third.stop()
    await third.start()
    cluster.partition([third])
    await cluster.leader()
    process.stdout.write('waited')`
  const args = ['--import', 'tsx', '--input-type=module', '--eval', program]
  // A program that does not end is killed, which rejects.
  const ran = promisify(execFile)(process.execPath, args, { cwd: root, timeout: 60_000 })
  const { stdout, stderr } = await ran
  expect(stdout).toBe('waited')
  expect(stderr).toMatch(/^the tsctl server on port \d+ was not stopped; started at /)
})
