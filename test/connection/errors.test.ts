// What a failed call is called.
import { expect, test } from 'vitest'
import { EtcdError } from '../../src/api/rpc-errors.js'
import { callError, isTokenRefused } from '../../src/connection/errors.js'
import { RpcError, Status } from '../../src/grpc/status.js'

const unreachable = new Error('connect ECONNREFUSED 127.0.0.1:1')
const idle = { deadlineOver: false, aborted: false, lastConnectError: undefined }

test('a text that etcd names is its error, whatever code it came with', () => {
  const sent = new RpcError(Status.unknown, 'etcdserver: permission denied')
  const error = callError(sent, idle)
  expect(error).toBeInstanceOf(EtcdError)
  expect(error).toMatchObject({ message: 'etcdserver: permission denied', cause: sent })
})

test.each([
  'etcdserver: permission not given',
  'etcdserver: request timed out, waiting for the applied index took too long',
  'something else',
])('%s stays in the long form', (details) => {
  const sent = new RpcError(Status.unavailable, details)
  expect(callError(sent, idle)).toBe(sent)
  expect(sent.message).toBe(`rpc error: code = Unavailable desc = ${details}`)
})

test('our own deadline has the words of Go, and the reason with them', () => {
  const sent = new RpcError(Status.deadlineExceeded, 'over')
  const end = { ...idle, deadlineOver: true, lastConnectError: unreachable }
  const error = callError(sent, end)
  expect(error).toMatchObject({ message: 'context deadline exceeded', cause: unreachable })
})

test("a server's deadline is not ours", () => {
  const sent = new RpcError(Status.deadlineExceeded, 'over')
  expect(callError(sent, idle)).toBe(sent)
})

test('an aborted call is called cancelled', () => {
  const error = callError(new RpcError(Status.canceled, 'x'), { ...idle, aborted: true })
  expect(error).toMatchObject({ message: 'context canceled', code: 'canceled' })
})

test('an error of our own passes as it is', () => {
  const error = new TypeError('a mistake')
  expect(callError(error, idle)).toBe(error)
})

test.each([
  ['etcdserver: invalid auth token', true],
  ['etcdserver: revision of auth store is old', true],
  ['etcdserver: user name is empty', true],
  ['etcdserver: permission denied', false],
  ['anything', false],
])('%s: a new token may help: %j', (details, expected) => {
  expect(isTokenRefused(new RpcError(Status.unknown, details))).toBe(expected)
})
