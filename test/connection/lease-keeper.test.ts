// Keeping a lease alive, on a clock that the test moves and a server that answers by a script.
import { expect, test } from 'vitest'
import { LeaseKeepAliveRequest, LeaseKeepAliveResponse } from '../../src/api/gen/rpc.js'
import type { ServerStream } from '../../src/grpc/server.js'
import type { ManualClock } from '../support/manual-clock.js'
import { connected, defaults, failure, onManualClock } from './connecting.js'
import { gone, startFakeServer, status } from './fake-server.js'

type Script = (stream: ServerStream, renewals: AsyncIterator<Buffer>) => Promise<void>

/** One script for each stream that comes; IDs asked for, in order. */
async function startLeaseServer(...scripts: readonly Script[]) {
  const asked: string[] = []
  let turn = 0
  const server = await startFakeServer({
    streams: {
      'Lease/LeaseKeepAlive': async (stream) => {
        const requests = async function* () {
          for await (const bytes of stream) {
            asked.push(LeaseKeepAliveRequest.decode(bytes).ID)
            yield bytes
          }
        }
        await scripts[turn++]?.(stream, requests())
      },
    },
  })
  return Object.assign(server, { asked })
}

const answer = (TTL: string): Uint8Array =>
  LeaseKeepAliveResponse.encode(LeaseKeepAliveResponse.fromPartial({ ID: '5', TTL })).finish()

/** Answers every request with the TTL. */
const alive =
  (ttl: string): Script =>
  async (stream, renewals) => {
    for (let next = await renewals.next(); !next.done; next = await renewals.next()) {
      await stream.write(answer(ttl))
    }
  }

const lost = status('unavailable', 'connection lost')

test('a request goes out every third of the TTL', async () => {
  await using server = await startLeaseServer(alive('60'))
  const { connection, clock } = await onManualClock(server.endpoint)
  await using _closing = connection
  let renewals = 0
  const times: number[] = []
  for await (const { TTL } of connection.keepAlive('5')) {
    expect(TTL).toBe('60')
    times.push(clock.now())
    if (++renewals === 3) break
    // The next request waits for the clock.
    queueMicrotask(async () => {
      await waitsFor(clock, 20_000)
      clock.advance(19_999)
      expect(server.asked).toHaveLength(renewals)
      clock.advance(1)
    })
  }
  expect(times).toEqual([0, 20_000, 40_000])
  expect(server.asked).toEqual(['5', '5', '5'])
})

/** Resolves when somebody waits for that long. */
async function waitsFor(clock: ManualClock, ms: number): Promise<void> {
  while (!clock.pending().includes(ms)) await new Promise(setImmediate)
}

test('a lease that is gone ends the renewals', async () => {
  await using server = await startLeaseServer(alive('0'))
  await using connection = await connected(server.endpoint)
  for await (const _answer of connection.keepAlive('5')) throw new Error('there is no lease')
})

test('a broken stream is replaced and the lease lives on', async () => {
  const answerOnce: Script = async (stream, renewals) => {
    await renewals.next()
    await stream.write(answer('60'))
    throw lost
  }
  await using server = await startLeaseServer(answerOnce, alive('60'))
  const { connection, clock } = await onManualClock(server.endpoint)
  await using _closing = connection
  let renewals = 0
  for await (const _answer of connection.keepAlive('5')) {
    if (++renewals === 2) break
    queueMicrotask(async () => {
      await waitsFor(clock, 20_000)
      clock.advance(20_000)
      await waitsFor(clock, 500)
      clock.advance(500)
    })
  }
  expect(server.asked).toEqual(['5', '5'])
})

test('without an answer for a whole TTL the lease counts as lost', async () => {
  const answerOnce: Script = async (stream, renewals) => {
    await renewals.next()
    await stream.write(answer('60'))
    await gone(stream)
  }
  await using server = await startLeaseServer(answerOnce)
  const { connection, clock } = await onManualClock(server.endpoint)
  await using _closing = connection
  let renewals = 0
  for await (const _answer of connection.keepAlive('5')) {
    renewals++
    queueMicrotask(async () => {
      await waitsFor(clock, 60_000)
      clock.advance(59_999)
      clock.advance(1)
    })
  }
  expect({ renewals, now: clock.now() }).toEqual({ renewals: 1, now: 60_000 })
})

test('a server that never answers is given the dial timeout and a second', async () => {
  await using server = await startLeaseServer(gone)
  const { connection, clock } = await onManualClock(server.endpoint)
  await using _closing = connection
  const over = (async () => {
    for await (const _answer of connection.keepAlive('5')) throw new Error('no answer was sent')
  })()
  await waitsFor(clock, defaults.dialTimeoutMs + 1000)
  clock.advance(defaults.dialTimeoutMs + 1000)
  await over
})

test('a cluster without leader ends the renewals', async () => {
  const noLeader = status('unavailable', 'etcdserver: no leader')
  await using server = await startLeaseServer(() => Promise.reject(noLeader))
  await using connection = await connected(server.endpoint)
  for await (const _answer of connection.keepAlive('5')) throw new Error('no answer was sent')
  expect(server.calls[0]?.metadata.hasleader).toBe('true')
})

test('once is one request and one answer', async () => {
  await using server = await startLeaseServer(alive('60'))
  await using connection = await connected(server.endpoint)
  const answers: string[] = []
  for await (const { TTL } of connection.keepAlive('5', { once: true })) answers.push(TTL)
  expect(answers).toEqual(['60'])
  expect(server.asked).toEqual(['5'])
})

test('once says when there is no lease', async () => {
  await using server = await startLeaseServer(alive('0'))
  await using connection = await connected(server.endpoint)
  const once = async () => {
    for await (const _answer of connection.keepAlive('5', { once: true })) break
  }
  expect((await failure(once())).message).toBe('etcdserver: requested lease not found')
})

test('an abort ends the renewals without a word', async () => {
  await using server = await startLeaseServer(alive('60'))
  await using connection = await connected(server.endpoint)
  const controller = new AbortController()
  let renewals = 0
  for await (const _answer of connection.keepAlive('5', { signal: controller.signal })) {
    renewals++
    controller.abort()
  }
  expect(renewals).toBe(1)
})
