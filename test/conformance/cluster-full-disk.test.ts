// A full disk at one of three members: the others go on, it says what is wrong, nothing that was
// acknowledged is lost, and once there is room it goes on where it stopped. Once with processes,
// one of them on a small file system of its own (Linux, root), and once in this process, on files
// whose writes fail.
import { execFileSync } from 'node:child_process'
import { mkdirSync } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { describe, expect, test } from 'vitest'
import { systemClock } from '../../src/platform/clock.js'
import { systemFiles } from '../../src/platform/files.js'
import { lineLog } from '../../src/platform/log.js'
import { systemRandom } from '../../src/platform/random.js'
import { serverConfig } from '../../src/server/config.js'
import { startServer } from '../../src/server/server.js'
import {
  eventually,
  leaderOf,
  type Reachable,
  sameHash,
  startProcessCluster,
  withMember,
} from '../support/cluster.js'
import { moveLeader, put, valueAt } from '../support/cluster-calls.js'
import { fillingFiles } from '../support/filling-files.js'
import { freePorts } from '../support/free-ports.js'

interface Member extends Reachable {
  readonly log: readonly string[]
}

/** Three members; the disk of the first can be filled. */
interface Ground extends AsyncDisposable {
  readonly members: readonly [Member, Member, Member]
  fill(): Promise<void>
  free(): Promise<void>
}

async function inThisProcess(): Promise<Ground> {
  const dir = await mkdtemp(path.join(tmpdir(), 'full-disk-'))
  const ports = await freePorts(6)
  const disk = fillingFiles(systemFiles)
  const names = ['m1', 'm2', 'm3']
  const peerUrl = (at: number) => `http://127.0.0.1:${ports[3 + at]}`
  const logs: string[][] = [[], [], []]
  const servers = await Promise.all(
    names.map((name, at) => {
      const config = serverConfig({
        name,
        dataDir: path.join(dir, name),
        listenClientUrls: [`http://127.0.0.1:${ports[at]}`],
        listenPeerUrls: [peerUrl(at)],
        initialAdvertisePeerUrls: [peerUrl(at)],
        initialCluster: names.map((each, i) => `${each}=${peerUrl(i)}`).join(','),
        heartbeatIntervalMs: 50,
        electionTimeoutMs: 500,
      })
      const log = lineLog('warn', (line) => logs[at]?.push(line), systemClock.wall)
      const files = at === 0 ? disk : systemFiles
      return startServer(config, { files, clock: systemClock, random: systemRandom, log })
    }),
  )
  const members = names.map((_, at) => {
    return { endpoint: `127.0.0.1:${ports[at]}`, isRunning: true, log: logs[at] ?? [] }
  })
  const setFull = async (isFull: boolean) => {
    disk.isFull = isFull
  }
  return {
    members: members as unknown as [Member, Member, Member],
    fill: () => setFull(true),
    free: () => setFull(false),
    async [Symbol.asyncDispose]() {
      await setFull(false)
      await Promise.all(servers.map((server) => server.kill()))
      await rm(dir, { recursive: true, force: true })
    },
  }
}

async function withProcesses(): Promise<Ground> {
  const dir = await mkdtemp(path.join(tmpdir(), 'full-disk-'))
  const mount = path.join(dir, 'small')
  mkdirSync(mount)
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=4m', 'tmpfs', mount])
  const filler = path.join(mount, 'filler')
  const remove = async () => {
    execFileSync('umount', [mount])
    await rm(dir, { recursive: true, force: true })
  }
  try {
    const cluster = await startProcessCluster({
      programs: ['tsctl', 'tsctl', 'tsctl'],
      flags: ['--heartbeat-interval=50', '--election-timeout=500', '--log-level=warn'],
      dataDirOf: (name) => (name === 'm1' ? path.join(mount, 'm1') : undefined),
    })
    return {
      members: cluster.members as unknown as [Member, Member, Member],
      async fill() {
        // More than there is: the write takes what it gets, and fails.
        await writeFile(filler, Buffer.alloc(8 * 1024 * 1024)).catch(() => {})
      },
      free: () => rm(filler),
      async [Symbol.asyncDispose]() {
        await cluster[Symbol.asyncDispose]()
        await remove()
      },
    }
  } catch (error) {
    await remove()
    throw error
  }
}

function canMount(): boolean {
  if (process.platform !== 'linux' || process.getuid?.() !== 0) return false
  try {
    // In a name space of its own, so that nothing is left behind.
    execFileSync('unshare', ['-m', 'mount', '-t', 'tmpfs', 'tmpfs', '/mnt'], { stdio: 'ignore' })
    return true
  } catch {
    return false
  }
}

const grounds = [
  { what: 'in this process', start: inThisProcess, isPossible: true },
  { what: 'in processes, on a file system that is full', start: withProcesses },
]

/** Larger than the blocks of a file system: the rest of the last one would take small ones. */
const large = (text: string): string => text.padEnd(10_000, '.')

const impatientPut = (member: Member, key: string, value: string) =>
  withMember(member, ({ kv }) =>
    kv.put({ key: Buffer.from(key), value: Buffer.from(value) }, { deadlineMs: 1_000 }),
  )

const saysFull = ({ log }: Member): boolean =>
  log.some((line) => line.includes('no space left for the log; waiting for room'))

describe.each(grounds)('a full disk, $what', ({ start, isPossible = canMount() }) => {
  const title = isPossible ? '' : ' (skipped: only root may mount a small file system)'

  test.skipIf(!isPossible)(`of a follower${title}`, async () => {
    await using ground = await start()
    const [full, second, third] = ground.members
    await moveLeader(ground, second)
    await put(full, 'k', large('before'))
    await ground.fill()
    for (let i = 0; i < 5; i++) await put(third, 'k', large(`meanwhile ${i}`))
    expect(await valueAt(third, 'k')).toBe(large('meanwhile 4'))
    const refusal = await eventually('the refusal', () =>
      put(full, 'other', large('x')).then(
        () => undefined,
        (error: Error) => (/database space exceeded/.test(error.message) ? error : undefined),
      ),
    )
    expect(refusal.message).toBe('etcdserver: mvcc: database space exceeded')
    expect(saysFull(full)).toBe(true)
    expect(await leaderOf([second, third])).toBe(second)

    await ground.free()
    await eventually('it takes part again', () => put(full, 'k', 'after'))
    expect(await valueAt(full, 'k')).toBe('after')
    await sameHash(ground.members)
  })

  test.skipIf(!isPossible)(`of the leader${title}`, async () => {
    await using ground = await start()
    const [full, second, third] = ground.members
    await moveLeader(ground, full)
    await put(full, 'k', large('before'))
    await ground.fill()
    // Whether this one is done nobody can say: the others may have it.
    const unsure = impatientPut(full, 'unsure', large('x')).catch(() => {})
    const acknowledged: string[] = []
    for (let i = 0; i < 5; i++) {
      const value = large(`meanwhile ${i}`)
      // A follower may pass it on to the leader that cannot take it; as with etcd, it is lost then.
      const member = i % 2 === 0 ? second : third
      await eventually('a write', () => impatientPut(member, `k${i}`, value))
      acknowledged.push(value)
    }
    expect([second, third]).toContain(await leaderOf([second, third]))
    await expect(put(full, 'k', 'refused')).rejects.toThrow('database space exceeded')
    expect(saysFull(full)).toBe(true)

    await ground.free()
    await unsure
    await eventually('it takes part again', () => put(full, 'last', 'after'))
    await sameHash(ground.members)
    for (const member of ground.members) {
      expect(await valueAt(member, 'k')).toBe(large('before'))
      for (const [i, value] of acknowledged.entries()) {
        expect(await valueAt(member, `k${i}`)).toBe(value)
      }
    }
  })
})
