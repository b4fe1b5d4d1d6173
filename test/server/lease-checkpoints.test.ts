// What a long lease has left is written down where that is asked for, so that who leads next goes
// on from there: after a crash, and in a real etcd that takes over the log.
import { cp, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { LeaseCheckpointRequest } from '../../src/api/gen/raft_internal.js'
import type { Connection } from '../../src/connection/connect.js'
import { silentLog } from '../../src/platform/log.js'
import { checkpointLeases } from '../../src/server/lease-checkpoints.js'
import { startServer } from '../../src/server/library/library.js'
import { requestField } from '../../src/server/proposer.js'
import { connected } from '../connection/connecting.js'
import { newManualClock } from '../support/manual-clock.js'
import { describeWithEtcd, startRealEtcd } from '../support/real-etcd.js'

const lease = '4711'
const ttlSeconds = 3_600
/** What is left of longer ones is written down once in this time. */
const intervalSeconds = 300
/** The most that is left then; a new leader adds an election timeout. */
const leftSeconds = ttlSeconds - intervalSeconds + 1

const remaining = async ({ lease: of }: Connection): Promise<number> =>
  Number((await of.leaseTimeToLive({ ID: lease })).TTL)

describe('a lease of an hour, after six minutes and a crash', () => {
  let parent: string
  /** Where it is granted, and what is on the disk at the time of the crash: the log alone. */
  let dir: string
  let left: string
  beforeEach(async () => {
    parent = await mkdtemp(path.join(tmpdir(), 'lease-checkpoints-'))
    dir = path.join(parent, 'dir')
    left = path.join(parent, 'left')
  })
  afterEach(() => rm(parent, { recursive: true, force: true }))

  async function start(at: string, leaseCheckpoint: boolean) {
    const config = { leaseCheckpoint, maxClusterVersion: '3.4.0' }
    const server = await startServer({ storage: { dir: at }, config })
    const connection = await connected(server.endpoint)
    const end = async () => {
      await connection.close()
      await server.stop()
    }
    return { server, connection, [Symbol.asyncDispose]: end }
  }

  /** Grants it, lets six minutes pass, and does what is to be done before the crash. */
  async function pass(leaseCheckpoint: boolean, work?: (to: Connection) => Promise<unknown>) {
    await using started = await start(dir, leaseCheckpoint)
    const { server, connection } = started
    await connection.lease.leaseGrant({ ID: lease, TTL: String(ttlSeconds) })
    await server.clock.advance('6m')
    await work?.(connection)
    // Behind it in the log.
    await connection.kv.put({ key: Buffer.from('k') })
    await cp(dir, left, { recursive: true })
    // Of this process, which goes on.
    await rm(path.join(left, 'member/tsctl.lock'))
  }

  async function remainingAfterwards(): Promise<number> {
    await using started = await start(left, true)
    return await remaining(started.connection)
  }

  test('goes on from what was written down', async () => {
    await pass(true)
    const seconds = await remainingAfterwards()
    expect(seconds).toBeLessThanOrEqual(leftSeconds)
    expect(seconds).toBeGreaterThan(leftSeconds - 2 * intervalSeconds)
  })

  test('has all its time again where nothing is written down', async () => {
    await pass(false)
    expect(await remainingAfterwards()).toBeGreaterThan(leftSeconds)
  })

  test('has all its time again when it was renewed after that', async () => {
    await pass(true, async (connection) => {
      for await (const { TTL } of connection.keepAlive(lease, { once: true })) {
        expect(TTL).toBe(String(ttlSeconds))
      }
    })
    expect(await remainingAfterwards()).toBeGreaterThan(leftSeconds)
  })

  describeWithEtcd('in a real etcd', () => {
    test('goes on from what the log says', async () => {
      await using etcd = await startRealEtcd()
      await etcd.stop()
      await pass(true)
      const data = path.join(etcd.dir, 'data')
      await rm(data, { recursive: true })
      await cp(left, data, { recursive: true })
      await etcd.start()
      await using connection = await connected(etcd.endpoint)
      const seconds = await remaining(connection)
      expect(seconds).toBeLessThanOrEqual(leftSeconds)
      expect(seconds).toBeGreaterThan(leftSeconds - 2 * intervalSeconds)
    })
  })
})

test('what cannot be written down is due again', async () => {
  const clock = newManualClock()
  const due = [[{ id: 1n, remainingTtlSeconds: 3300 }], [{ id: 1n, remainingTtlSeconds: 3000 }]]
  const proposed: unknown[] = []
  const propose = (field: number, message: Uint8Array) => {
    proposed.push([field, LeaseCheckpointRequest.decode(message)])
    return Promise.reject(new Error('not now'))
  }
  const lessor = { dueCheckpoints: () => due.shift() ?? [] }
  checkpointLeases({ lessor, proposer: { propose }, clock, log: silentLog })
  clock.advance(500)
  await new Promise(setImmediate)
  clock.advance(500)
  const entry = (seconds: string) => [
    requestField.leaseCheckpoint,
    { checkpoints: [{ ID: '1', remaining_TTL: seconds }] },
  ]
  expect(proposed).toEqual([entry('3300'), entry('3000')])
})
