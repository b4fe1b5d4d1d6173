// Single calls against a server that answers by a script.
import { once } from 'node:events'
import { type AddressInfo, createServer, type Socket } from 'node:net'
import { expect, test } from 'vitest'
import {
  AuthenticateResponse,
  LeaseGrantResponse,
  PutResponse,
  RangeRequest,
  RangeResponse,
} from '../../src/api/gen/rpc.js'
import { connected, failure, onManualClock, untilUnreachable } from './connecting.js'
import { inTurn, startFakeServer, status } from './fake-server.js'

const key = Buffer.from('k')
const empty = RangeResponse.encode(RangeResponse.fromPartial({ count: '7' })).finish()
const put = PutResponse.encode(PutResponse.fromPartial({})).finish()
const unavailable = status('unavailable', 'etcdserver: no leader')

const tokenAnswer = (token: string) =>
  AuthenticateResponse.encode(AuthenticateResponse.fromPartial({ token })).finish()

test('a call carries the API version and the metadata of its own', async () => {
  await using server = await startFakeServer({ unary: { 'KV/Range': inTurn(empty) } })
  await using connection = await connected(server.endpoint)
  expect((await connection.kv.range({ key }, { metadata: { own: 'mine' } })).count).toBe('7')
  expect(server.calls[0]?.metadata).toMatchObject({ 'client-api-version': '3.7', own: 'mine' })
})

test('a read survives a server that is unavailable for a moment', async () => {
  const handler = inTurn(unavailable, unavailable, empty)
  await using server = await startFakeServer({ unary: { 'KV/Range': handler } })
  await using connection = await connected(server.endpoint)
  expect((await connection.kv.range({ key })).count).toBe('7')
  expect(server.calls).toHaveLength(3)
})

test('a write that a handler saw is not sent again', async () => {
  await using server = await startFakeServer({ unary: { 'KV/Put': inTurn(unavailable, put) } })
  await using connection = await connected(server.endpoint)
  const error = await failure(connection.kv.put({ key }))
  expect(error.message).toBe('etcdserver: no leader')
  expect(server.calls).toHaveLength(1)
})

test('lease grant counts as a read, as it does for etcdctl', async () => {
  const granted = LeaseGrantResponse.encode(LeaseGrantResponse.fromPartial({ ID: '5' })).finish()
  const handler = inTurn(unavailable, granted)
  await using server = await startFakeServer({ unary: { 'Lease/LeaseGrant': handler } })
  await using connection = await connected(server.endpoint)
  expect((await connection.lease.leaseGrant({ TTL: '60' })).ID).toBe('5')
})

test('retries end with the deadline of the call', async () => {
  await using server = await startFakeServer({ unary: { 'KV/Range': inTurn(unavailable) } })
  const { connection, clock } = await onManualClock(server.endpoint)
  await using _closing = connection
  let isOver = false
  const failed = failure(connection.kv.range({ key }, { deadlineMs: 1_000 })).finally(() => {
    isOver = true
  })
  // The pauses are 25 ms, give or take a tenth.
  while (!isOver) {
    if (clock.pending().some((ms) => ms < 28)) clock.advance(28)
    await new Promise(setImmediate)
  }
  expect((await failed).message).toBe('context deadline exceeded')
  expect(server.calls.length).toBeGreaterThan(1)
  expect(server.calls.length).toBeLessThan(1_000 / 28 + 2)
})

test('a deadline of 0 is over before anything is sent', async () => {
  await using server = await startFakeServer({ unary: { 'KV/Range': inTurn(empty) } })
  await using connection = await connected(server.endpoint)
  const error = await failure(connection.kv.range({ key }, { deadlineMs: 0 }))
  expect(error.message).toBe('context deadline exceeded')
  expect(server.calls).toHaveLength(0)
})

test('a server that nobody can reach is a deadline, with the reason as its cause', async () => {
  const server = await startFakeServer({})
  await server[Symbol.asyncDispose]()
  const { connection, clock } = await onManualClock(server.endpoint)
  await using _closing = connection
  const failed = failure(connection.kv.range({ key }, { deadlineMs: 5_000 }))
  await untilUnreachable(clock)
  clock.advance(5_000)
  const error = await failed
  expect(error.message).toBe('context deadline exceeded')
  expect(String(error.cause)).toContain('connection refused')
})

test('endpoints that lead nowhere fail at once, in the words of the deadline', async () => {
  await using connection = await connected('localhost')
  const error = await failure(connection.kv.range({ key }))
  expect(error.message).toBe('context deadline exceeded')
  expect(String(error.cause)).toContain('endpoint "localhost" has no port')
})

test('an aborted call is cancelled', async () => {
  let reach = (): void => {}
  const reached = new Promise<void>((resolve) => {
    reach = resolve
  })
  await using server = await startFakeServer({
    unary: {
      'KV/Range': async () => {
        reach()
        return new Promise<never>(() => {})
      },
    },
  })
  await using connection = await connected(server.endpoint)
  const controller = new AbortController()
  const failed = failure(connection.kv.range({ key }, { signal: controller.signal }))
  await reached
  controller.abort()
  expect((await failed).message).toBe('context canceled')
})

test('a name with its password is exchanged for a token, which then travels along', async () => {
  await using server = await startFakeServer({
    unary: { 'Auth/Authenticate': inTurn(tokenAnswer('t.1')), 'KV/Range': inTurn(empty) },
  })
  const user = { name: 'root', password: 'secret' }
  await using connection = await connected(server.endpoint, { user })
  await connection.kv.range({ key })
  expect(server.calls.map((call) => [call.path, call.metadata.token])).toEqual([
    ['/etcdserverpb.Auth/Authenticate', undefined],
    ['/etcdserverpb.KV/Range', 't.1'],
  ])
})

test.each([
  ['unauthenticated', 'etcdserver: invalid auth token'],
  ['invalidArgument', 'etcdserver: revision of auth store is old'],
  ['invalidArgument', 'etcdserver: user name is empty'],
] as const)('%s %s: the token is renewed and even a write is sent again', async (code, text) => {
  await using server = await startFakeServer({
    unary: {
      'Auth/Authenticate': inTurn(tokenAnswer('old'), tokenAnswer('new')),
      'KV/Put': inTurn(status(code, text), put),
    },
  })
  const user = { name: 'root', password: 'secret' }
  await using connection = await connected(server.endpoint, { user })
  await connection.kv.put({ key })
  expect(server.calls.map((call) => call.metadata.token)).toEqual([
    undefined,
    'old',
    undefined,
    'new',
  ])
})

test('calls that fail together wait for one new token together', async () => {
  let valid = 'old'
  const checked = (_request: Buffer, { metadata }: { metadata: { token?: string } }) => {
    if (metadata.token !== valid) throw status('unauthenticated', 'etcdserver: invalid auth token')
    return empty
  }
  await using server = await startFakeServer({
    unary: {
      'Auth/Authenticate': inTurn(tokenAnswer('old'), tokenAnswer('new')),
      'KV/Range': checked,
    },
  })
  const user = { name: 'root', password: 'secret' }
  await using connection = await connected(server.endpoint, { user })
  valid = 'new'
  await Promise.all(Array.from({ length: 20 }, () => connection.kv.range({ key })))
  const logins = server.calls.filter(({ path }) => path.endsWith('Authenticate'))
  expect(logins).toHaveLength(2)
})

test('a cluster without authentication takes a user for nobody', async () => {
  const off = status('failedPrecondition', 'etcdserver: authentication is not enabled')
  await using server = await startFakeServer({
    unary: { 'Auth/Authenticate': inTurn(off), 'KV/Range': inTurn(empty) },
  })
  const user = { name: 'root', password: 'secret' }
  await using connection = await connected(server.endpoint, { user })
  await connection.kv.range({ key })
  expect(server.calls.at(-1)?.metadata.token).toBeUndefined()
})

test.each([
  [{ name: 'root', password: '' }, undefined],
  [{ name: 'root', password: 'secret' }, 'ready'],
])('%j with the token %j: nothing is asked of the server', async (user, token) => {
  await using server = await startFakeServer({ unary: { 'KV/Range': inTurn(empty) } })
  await using connection = await connected(server.endpoint, { user, token })
  await connection.kv.range({ key })
  expect(server.calls.map(({ metadata }) => metadata.token)).toEqual([token])
})

test('a wrong password is an error of the connection', async () => {
  const text = 'etcdserver: authentication failed, invalid user ID or password'
  const refused = status('invalidArgument', text)
  await using server = await startFakeServer({ unary: { 'Auth/Authenticate': inTurn(refused) } })
  const user = { name: 'root', password: 'wrong' }
  const error = await failure(connected(server.endpoint, { user }))
  expect(error).toMatchObject({ name: 'ConnectionError', exitCode: 2, message: text })
})

test('the dial timeout bounds the authentication', async () => {
  const server = await startFakeServer({})
  await server[Symbol.asyncDispose]()
  const user = { name: 'root', password: 'secret' }
  const error = await failure(connected(server.endpoint, { user, dialTimeoutMs: 100 }))
  expect(error).toMatchObject({ exitCode: 2, message: 'context deadline exceeded' })
})

test('limits that contradict each other are an error of the connection', async () => {
  const limits = { maxSendBytes: 20, maxReceiveBytes: 10 }
  expect(await failure(connected('127.0.0.1:1', limits))).toMatchObject({
    exitCode: 2,
    message: 'gRPC message recv limit (10 bytes) must be greater than send limit (20 bytes)',
  })
})

test('a request over the limit is refused before it is sent', async () => {
  await using server = await startFakeServer({ unary: { 'KV/Put': inTurn(put) } })
  await using connection = await connected(server.endpoint, { maxSendBytes: 10 })
  const error = await failure(connection.kv.put({ key, value: Buffer.alloc(100) }))
  expect(error.message).toBe(
    'rpc error: code = ResourceExhausted desc = trying to send message larger than max (105 vs. 10)',
  )
  expect(server.calls).toHaveLength(0)
})

test('names of enums are numbers on the wire, in the spelling of etcd3 and of etcd', async () => {
  let request: RangeRequest | undefined
  await using server = await startFakeServer({
    unary: {
      'KV/Range': (bytes) => {
        request = RangeRequest.decode(bytes)
        return empty
      },
    },
  })
  await using connection = await connected(server.endpoint)
  // As a user of etcd3 writes it; our own types take numbers only.
  const named = { key, sort_order: 'Descend', sort_target: 'MOD' } as unknown as { key: Buffer }
  await connection.kv.range(named)
  expect(request).toMatchObject({ sort_order: 2, sort_target: 3 })
})

test('an undecoded answer is the answer, byte for byte', async () => {
  await using server = await startFakeServer({ unary: { 'KV/Range': inTurn(empty) } })
  await using connection = await connected(server.endpoint)
  expect((await connection.rangeRaw({ key })).equals(empty)).toBe(true)
})

test.each([
  ['a member without leader', status('unavailable', 'etcdserver: no leader'), 'range'],
  ['a learner', status('unavailable', 'etcdserver: rpc not supported for learner'), 'put'],
] as const)('%s is left for another endpoint', async (_who, refusal, method) => {
  const refuses = inTurn(refusal)
  const handlers = { 'KV/Range': refuses, 'KV/Put': refuses }
  await using first = await startFakeServer({ unary: handlers })
  await using second = await startFakeServer({
    unary: { 'KV/Range': inTurn(empty), 'KV/Put': inTurn(put) },
  })
  await using connection = await connected([first.endpoint, second.endpoint])
  await connection.kv[method]({ key })
  await connection.kv[method]({ key })
  expect(first.calls.length).toBeLessThanOrEqual(1)
  expect(second.calls).toHaveLength(2)
})

test('a server that never says a word is a deadline', async () => {
  await using silent = await startSilentServer()
  await using connection = await connected(silent.endpoint)
  for (const method of ['range', 'put'] as const) {
    const error = await failure(connection.kv[method]({ key }, { deadlineMs: 100 }))
    expect(error.message).toBe('context deadline exceeded')
  }
  const user = { name: 'root', password: 'secret' }
  const refused = await failure(connected(silent.endpoint, { user, dialTimeoutMs: 100 }))
  expect(refused).toMatchObject({ exitCode: 2, message: 'context deadline exceeded' })
})

test('TLS to a server without TLS is a deadline, with the reason as its cause', async () => {
  await using server = await startFakeServer({ unary: { 'KV/Range': inTurn(empty) } })
  const { connection, clock } = await onManualClock(`https://${server.endpoint}`)
  await using _closing = connection
  const failed = failure(connection.kv.range({ key }, { deadlineMs: 5_000 }))
  await untilUnreachable(clock)
  clock.advance(5_000)
  const error = await failed
  expect(error.message).toBe('context deadline exceeded')
  expect(error.cause).toBeInstanceOf(Error)
  expect(server.calls).toHaveLength(0)
})

test('a connection that is closed ends the calls under way', async () => {
  await using silent = await startSilentServer()
  await using connection = await connected(silent.endpoint)
  const failed = failure(connection.kv.range({ key }))
  await connection.close()
  expect((await failed).message).toContain('client connection is closing')
})

/** Takes connections and leaves it at that. */
async function startSilentServer(): Promise<{ endpoint: string } & AsyncDisposable> {
  const sockets = new Set<Socket>()
  const server = createServer((socket) => void sockets.add(socket.on('error', () => {})))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    endpoint: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    async [Symbol.asyncDispose]() {
      server.close()
      for (const socket of sockets) socket.destroy()
      await once(server, 'close')
    },
  }
}
