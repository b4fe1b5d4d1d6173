// The queue below locks and elections: its keys, its order, sessions that end, and what a client
// that was out of reach makes of it.
import { describe, expect, test } from 'vitest'
import { LeaseKeepAliveResponse } from '../../src/api/gen/rpc.js'
import type { Connection } from '../../src/connection/connect.js'
import { leaders } from '../../src/connection/election.js'
import { placeKey, queuePrefix, takePlace, untilFirst } from '../../src/connection/lease-queue.js'
import { newMutex } from '../../src/connection/mutex.js'
import { openSession, type Session } from '../../src/connection/session.js'
import { startCuttingProxy } from '../support/cutting-proxy.js'
import { startEmbedded } from '../support/embedded.js'
import { describeWithEtcd, startRealEtcd } from '../support/real-etcd.js'
import { connected } from './connecting.js'

const name = Buffer.from('queue')
const never = new AbortController().signal
const sessionOf = (leaseId: string): Session => ({ leaseId, lost: never, close: async () => {} })

test.each([
  ['1', 'queue/1'],
  ['255', 'queue/ff'],
  ['7587863065422285323', 'queue/694d81417acd4a0b'],
  ['-1', 'queue/-1'],
])('the key of lease %s is %s, as Go prints it', (leaseId, key) => {
  expect(placeKey(name, sessionOf(leaseId)).toString()).toBe(key)
})

test('a name of any bytes stays what it is', () => {
  expect(queuePrefix(Buffer.of(0xff, 0x00)).toString('hex')).toBe('ff002f')
})

/** A connection that grants lease 7 and renews it as often as there are answers. */
function keptConnection(answers: readonly string[], ending: () => Promise<void>) {
  const asked: unknown[] = []
  const connection = {
    lease: {
      leaseGrant: async (request: unknown) => {
        asked.push(request)
        return { ID: '7', TTL: '5' }
      },
    },
    async *keepAlive(_leaseId: string, { signal }: { signal: AbortSignal }) {
      for (const TTL of answers) yield LeaseKeepAliveResponse.fromPartial({ ID: '7', TTL })
      const closed = new Promise<void>((resolve) => {
        if (signal.aborted) resolve()
        else signal.addEventListener('abort', () => resolve())
      })
      await Promise.race([ending(), closed])
    },
  }
  // As much of a connection as a session uses.
  return { asked, connection: connection as unknown as Connection }
}

describe('a session', () => {
  const forever = (): Promise<void> => new Promise(() => {})

  test('grants the lease that it is asked for', async () => {
    const { asked, connection } = keptConnection(['5'], forever)
    const session = await openSession(connection, 5)
    expect(session.leaseId).toBe('7')
    expect(asked).toEqual([{ TTL: '5' }])
    await session.close()
  })

  test.each([
    ['ends', async () => {}],
    ['fails', () => Promise.reject(new Error('etcdserver: permission denied'))],
  ])('is lost when keeping it alive %s', async (_how, ending) => {
    const { connection } = keptConnection(['5', '5'], ending)
    const { lost } = await openSession(connection, 5)
    await new Promise<void>((resolve) => {
      if (lost.aborted) resolve()
      else lost.addEventListener('abort', () => resolve())
    })
  })

  test('is not lost by being closed', async () => {
    const { connection } = keptConnection(['5'], forever)
    const session = await openSession(connection, 5)
    await session.close()
    expect(session.lost.aborted).toBe(false)
  })
})

interface Served extends AsyncDisposable {
  readonly endpoint: string
  readonly port: number
}

function queueTests(serve: () => Promise<Served>): void {
  test('a session that asks twice keeps its place and its value', async () => {
    await using server = await serve()
    await using connection = await connected(server.endpoint)
    const session = await openSession(connection, 60)
    const take = (value: string) =>
      takePlace(connection, { name, session, value: Buffer.from(value) }, never)
    const [once, twice] = [await take('a'), await take('b')]
    expect(twice).toMatchObject({ key: once.key, revision: once.revision, isFirst: true })
    const { kvs } = await connection.kv.range({ key: once.key })
    expect(kvs[0]?.value.toString()).toBe('a')
    await session.close()
  })

  test('names that begin alike have nothing to do with each other', async () => {
    await using server = await serve()
    await using connection = await connected(server.endpoint)
    const sessions = [await openSession(connection, 60), await openSession(connection, 60)]
    const [one, other] = ['a', 'ab'].map((text, index) =>
      newMutex(connection, sessions[index] ?? sessionOf('0'), Buffer.from(text)),
    )
    await one?.lock(never)
    await other?.lock(never)
    for (const session of sessions) await session.close()
  })

  test('who waits is not thrown off by a compaction while out of reach', async () => {
    await using server = await serve()
    await using proxy = await startCuttingProxy({
      target: { host: '127.0.0.1', port: server.port },
    })
    await using near = await connected(server.endpoint)
    await using far = await connected(`127.0.0.1:${proxy.port}`)
    const session = await openSession(near, 60)
    const first = await takePlace(near, { name, session, value: Buffer.alloc(0) }, never)
    let isFirst = false
    const revision = first.revision + 1n
    const waiting = untilFirst(far, { name, revision }, never).then(() => {
      isFirst = true
    })
    const watched = leaders(far, name, never)
    expect((await watched.next()).value?.kvs[0]?.key).toEqual(first.key)
    proxy.refuse()
    for (let i = 0; i < 3; i++) await near.kv.put({ key: first.key, ignore_lease: true })
    const { header } = await near.kv.put({ key: first.key, value: name, ignore_lease: true })
    await near.kv.compact({ revision: header?.revision ?? '0', physical: true })
    proxy.resume()
    // The second answer shows that the connection is back and the lost history was noticed.
    for (let value = ''; value !== name.toString(); ) {
      value = (await watched.next()).value?.kvs[0]?.value.toString() ?? ''
    }
    expect(isFirst).toBe(false)
    await near.kv.deleteRange({ key: first.key })
    await waiting
    await watched.return()
    await session.close()
  })
}

describe('a queue on the bundled server', () =>
  queueTests(() => startEmbedded({ storage: 'memory' })))
describeWithEtcd('a queue on a real etcd', () => queueTests(() => startRealEtcd()))
