// What becomes of things under way when their connection is closed: all of them end, whether they
// wait for an answer, for a server to come back, or for the time of their next attempt.
import { expect, test, vi } from 'vitest'
import { LeaseKeepAliveResponse, RangeResponse, WatchResponse } from '../../src/api/gen/rpc.js'
import { type Connection, connect } from '../../src/connection/connect.js'
import { systemRandom } from '../../src/platform/random.js'
import { newManualClock } from '../support/manual-clock.js'
import { connected, defaults, failure } from './connecting.js'
import { gone, inTurn, startFakeServer, status } from './fake-server.js'

const key = Buffer.from('k')
const created = WatchResponse.encode(WatchResponse.fromPartial({ created: true })).finish()
const renewed = LeaseKeepAliveResponse.encode(
  LeaseKeepAliveResponse.fromPartial({ ID: '5', TTL: '60' }),
).finish()

/** A server that begins every stream and then says nothing more. */
function startQuietServer() {
  return startFakeServer({
    unary: { 'KV/Range': (_request, call) => gone(call).then(() => Buffer.alloc(0)) },
    streams: {
      'Watch/Watch': async (stream) => {
        await stream.write(created)
        await gone(stream)
      },
      'Lease/LeaseKeepAlive': async (stream) => {
        await stream.write(renewed)
        await gone(stream)
      },
      'Maintenance/Snapshot': gone,
      'KV/RangeStream': gone,
    },
  })
}

/** Begins one of each; the first answers of watch and renewals are here when it resolves. */
async function begun(connection: Connection) {
  const watch = connection.watch({ key })[Symbol.asyncIterator]()
  const renewals = connection.keepAlive('5')[Symbol.asyncIterator]()
  await Promise.all([watch.next(), renewals.next()])
  return {
    iterated: [watch.next(), renewals.next()],
    called: [
      failure(connection.kv.range({ key })),
      failure(connection.rangeRaw({ key })),
      failure(connection.rangeStream({ key })[Symbol.asyncIterator]().next()),
      failure(connection.snapshot()[Symbol.asyncIterator]().next()),
    ],
  }
}

const isOver = { done: true, value: undefined }
const closing = expect.stringContaining('client connection is closing')

test('what waits for an answer ends with the connection', async () => {
  await using server = await startQuietServer()
  await using connection = await connected(server.endpoint)
  const { iterated, called } = await begun(connection)
  await connection.close()
  expect(await Promise.all(iterated)).toEqual([isOver, isOver])
  for (const error of await Promise.all(called)) expect(error.message).toEqual(closing)
})

test('calls with signals of their own leave nothing with the connection', async () => {
  const answer = RangeResponse.encode(RangeResponse.fromPartial({})).finish()
  await using server = await startFakeServer({ unary: { 'KV/Range': inTurn(answer) } })
  await using connection = await connected(server.endpoint)
  const { signal } = new AbortController()
  await connection.kv.range({ key }, { signal })
  // What is put together is remembered for as long as the connection's own signal lives.
  const any = vi.spyOn(AbortSignal, 'any')
  await connection.kv.range({ key }, { signal })
  expect(any).not.toHaveBeenCalled()
  any.mockRestore()
})

test('what waits for a server to come back ends with the connection', async () => {
  const server = await startQuietServer()
  await using connection = await connected(server.endpoint)
  const { iterated, called } = await begun(connection)
  await server[Symbol.asyncDispose]()
  await connection.close()
  expect(await Promise.all(iterated)).toEqual([isOver, isOver])
  for (const error of await Promise.all(called)) expect(error.message).toEqual(closing)
})

test('what waits for its next attempt ends with the connection', async () => {
  const refused = status('unavailable', 'etcdserver: request timed out')
  const refuse = () => Promise.reject(refused)
  await using server = await startFakeServer({
    unary: { 'KV/Range': inTurn(refused) },
    streams: {
      'Watch/Watch': refuse,
      'Lease/LeaseKeepAlive': refuse,
      'Maintenance/Snapshot': refuse,
    },
  })
  // Time stands still, so nothing gets to a second attempt.
  const clock = newManualClock()
  const connection = await connect(
    { ...defaults, endpoints: [server.endpoint] },
    { clock, random: systemRandom },
  )
  const iterated = [
    connection.watch({ key })[Symbol.asyncIterator]().next(),
    connection.keepAlive('5')[Symbol.asyncIterator]().next(),
  ]
  const called = [
    failure(connection.kv.range({ key })),
    failure(connection.snapshot()[Symbol.asyncIterator]().next()),
    failure(connection.keepAlive('5', { once: true })[Symbol.asyncIterator]().next()),
  ]
  const isPause = (ms: number) => ms <= 28 || ms === 500
  while (clock.pending().filter(isPause).length < 5) await new Promise(setImmediate)
  await connection.close()
  expect(await Promise.all(iterated)).toEqual([isOver, isOver])
  for (const error of await Promise.all(called)) expect(error.message).toBe('context canceled')
  expect(clock.pending()).toEqual([])
})

test('many watches and calls without signals of their own are no reason for a warning', async () => {
  const warnings: string[] = []
  const note = ({ name }: Error) => void warnings.push(name)
  process.on('warning', note)
  await using server = await startQuietServer()
  await using connection = await connected(server.endpoint)
  const some = Array.from({ length: 12 }, () => begun(connection))
  await Promise.all(some)
  await connection.close()
  for (const { iterated, called } of await Promise.all(some)) {
    await Promise.all([...iterated, ...called])
  }
  process.off('warning', note)
  expect(warnings).toEqual([])
})

test('a closed connection begins nothing', async () => {
  const range = RangeResponse.encode(RangeResponse.fromPartial({})).finish()
  await using server = await startFakeServer({ unary: { 'KV/Range': inTurn(range) } })
  await using connection = await connected(server.endpoint)
  await connection.kv.range({ key })
  await connection.close()
  expect(await connection.watch({ key })[Symbol.asyncIterator]().next()).toEqual(isOver)
  expect(await connection.keepAlive('5')[Symbol.asyncIterator]().next()).toEqual(isOver)
  expect((await failure(connection.kv.range({ key }))).message).toEqual(closing)
  expect(server.calls).toHaveLength(1)
})

test('a signal for the whole connection ends a watch that nobody gave one', async () => {
  await using server = await startQuietServer()
  const controller = new AbortController()
  const parts = { clock: newManualClock(), random: systemRandom, signal: controller.signal }
  const connection = await connect({ ...defaults, endpoints: [server.endpoint] }, parts)
  const { iterated, called } = await begun(connection)
  controller.abort()
  expect(await Promise.all(iterated)).toEqual([isOver, isOver])
  for (const error of await Promise.all(called)) expect(error.message).toBe('context canceled')
  await connection.close()
})
