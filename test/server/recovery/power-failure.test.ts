// The power goes at any moment while clients write: the disk forgets what was not synced, and
// keeps a random part of it. After the restart every write that was acknowledged is there, a
// write that was not may be, and the state is one that the history allows.
import { afterEach, describe, expect, test } from 'vitest'
import type { Connection } from '../../../src/connection/connect.js'
import { systemClock } from '../../../src/platform/clock.js'
import { silentLog } from '../../../src/platform/log.js'
import { systemRandom } from '../../../src/platform/random.js'
import { serverConfig } from '../../../src/server/config.js'
import { type Server, startServer } from '../../../src/server/server.js'
import { connected, failure } from '../../connection/connecting.js'
import { FakeFiles, seededRandom } from '../../support/fake-files.js'
import { isUnanswered } from './unanswered.js'

const writerCount = 6
const everything = { key: Buffer.from([0]), range_end: Buffer.from([0]) }

/** Counters of each writer: what was acknowledged, and what was last tried. */
interface Progress {
  acknowledged: number
  tried: number
}

const nameOf = (at: number): string => `writer ${at}`

const running: Server[] = []
afterEach(async () => {
  for (const server of running.splice(0)) await server.close().catch(() => {})
})

async function start(files: FakeFiles): Promise<{ server: Server; endpoint: string }> {
  const config = serverConfig({
    dataDir: '/data',
    listenClientUrls: ['http://127.0.0.1:0'],
    listenPeerUrls: [],
    snapshotCount: 10,
  })
  const server = await startServer(config, {
    files,
    clock: systemClock,
    random: systemRandom,
    log: silentLog,
  })
  running.push(server)
  return { server, endpoint: server.endpoints[0] ?? '' }
}

/** Puts 1, 2, 3, ... under its own key until the power is gone. */
async function write(
  { kv }: Connection,
  { name, progress, signal }: { name: string; progress: Progress; signal: AbortSignal },
): Promise<void> {
  try {
    for (;;) {
      progress.tried++
      const pair = { key: Buffer.from(name), value: Buffer.from(String(progress.tried)) }
      await kv.put(pair, { signal })
      progress.acknowledged = progress.tried
    }
  } catch (error) {
    if (!isUnanswered(error)) throw error
  }
}

describe('a power failure', () => {
  test.each(Array.from({ length: 20 }, (_, seed) => seed + 1))(
    'loses no acknowledged write (seed %i)',
    async (seed) => {
      const random = seededRandom(seed)
      const files = new FakeFiles({ random })
      const progress = Array.from({ length: writerCount }, () => ({ acknowledged: 0, tried: 0 }))
      for (let round = 0; round < 4; round++) {
        const { server, endpoint } = await start(files)
        await using connection = await connected(endpoint)
        await checkKept(connection, progress)
        files.powerFailsAfter(5 + random(60))
        const gone = new AbortController()
        const writers = progress.map((each, at) =>
          write(connection, { name: nameOf(at), progress: each, signal: gone.signal }),
        )
        await server.failed
        gone.abort()
        await Promise.all(writers)
        await server.close().catch(() => {})
        await restartAfterCrash(files)
      }
      const { endpoint } = await start(files)
      await using connection = await connected(endpoint)
      await checkKept(connection, progress)
      expect(progress.every(({ acknowledged }) => acknowledged > 0)).toBe(true)
    },
  )
})

describe('a power failure during the first start', () => {
  /** Changes of the disk that a first start makes; the last of these comes after it is over. */
  const steps = 30
  let started = 0

  test.each(Array.from({ length: steps }, (_, step) => step))('at step %i', async (step) => {
    const files = new FakeFiles({ random: seededRandom(step) })
    files.powerFailsAfter(step)
    const first = await start(files).catch(() => undefined)
    if (first !== undefined) started++
    await first?.server.kill().catch(() => {})
    await restartAfterCrash(files)
    const { endpoint } = await start(files)
    await using connection = await connected(endpoint)
    await connection.kv.put({ key: Buffer.from('k') })
    expect((await connection.cluster.memberList({})).members).toHaveLength(1)
  })

  test('some of the steps were within it, and some behind it', () => {
    expect(started).toBeGreaterThan(0)
    expect(started).toBeLessThan(steps)
  })
})

describe('a power failure during the last checkpoint', () => {
  const keyCount = 250
  /** Changes of the disk that a stop makes; the last of these comes after it is over. */
  const steps = 25
  let survived = 0

  test.each(Array.from({ length: steps }, (_, step) => step))('at step %i', async (step) => {
    const files = new FakeFiles({ random: seededRandom(step) })
    const { server, endpoint } = await start(files)
    await using connection = await connected(endpoint)
    const puts = Array.from({ length: keyCount }, (_, at) =>
      connection.kv.put({ key: Buffer.from(`key ${at}`), value: Buffer.alloc(20) }),
    )
    await Promise.all(puts)
    const before = await connection.maintenance.hashKV({})
    await connection.close()
    files.powerFailsAfter(step)
    await server.close().catch(() => {})
    if (files.hasPower) survived++
    await restartAfterCrash(files)
    const again = await start(files)
    await using after = await connected(again.endpoint)
    expect((await after.maintenance.hashKV({})).hash).toBe(before.hash)
    expect((await after.kv.range({ ...everything, count_only: true })).count).toBe(String(keyCount))
    await after.kv.put({ key: Buffer.from('one more') })
  })

  test('some of the steps were within it, and some behind it', () => {
    expect(survived).toBeGreaterThan(0)
    expect(survived).toBeLessThan(steps)
  })
})

test('who waits for a write when the disk fails is told at once', async () => {
  const files = new FakeFiles({ random: seededRandom(1) })
  const { server, endpoint } = await start(files)
  await using connection = await connected(endpoint)
  await connection.kv.put({ key: Buffer.from('k') })
  files.powerFailsAfter(0)
  const puts = Array.from({ length: 5 }, () => connection.kv.put({ key: Buffer.from('k') }))
  for (const end of await Promise.allSettled(puts)) {
    expect(end).toMatchObject({ reason: { message: 'etcdserver: server stopped' } })
  }
  expect((await server.failed).message).toContain('power')
  expect((await failure(connection.kv.range({ key: Buffer.from('k') }))).message).toBe(
    'etcdserver: server stopped',
  )
})

/** What was not synced is lost. */
async function restartAfterCrash(files: FakeFiles): Promise<void> {
  running.splice(0)
  files.crash()
  // In its name a process of the boot before held the lock; here it is the same process.
  await files.remove('/data/member/tsctl.lock')
}

/** Takes over what a write that was not acknowledged has nevertheless done. */
async function checkKept({ kv }: Connection, progress: Progress[]): Promise<void> {
  const { kvs } = await kv.range(everything)
  const values = new Map(kvs.map(({ key, value }) => [key.toString(), Number(value)]))
  const found = progress.map((_, at) => values.get(nameOf(at)) ?? 0)
  progress.forEach((each, at) => {
    const value = found[at] ?? 0
    expect(value).toBeGreaterThanOrEqual(each.acknowledged)
    expect(value).toBeLessThanOrEqual(each.tried)
    each.acknowledged = value
    each.tried = value
  })
}
