// What a request must satisfy, over the wire: each refusal with etcd's own code and text, and
// nothing changed by it.
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { DeepPartial, TxnRequest } from '../../../src/api/gen/rpc.js'
import { EtcdError, type EtcdErrorCode } from '../../../src/api/rpc-errors.js'
import type { Connection } from '../../../src/connection/connect.js'
import { RpcError } from '../../../src/grpc/status.js'
import { connected, type Disposable, failure } from '../../connection/connecting.js'
import { type Embedded, startEmbedded } from '../../support/embedded.js'

let server: Embedded
let client: Disposable<Connection>
const key = Buffer.from('key')
const value = Buffer.from('v')
const empty = Buffer.alloc(0)
/** Revision after the preparations; no refused request moves it. */
let revision: string

beforeAll(async () => {
  server = await startEmbedded({ storage: 'memory', config: { maxRequestBytes: 100_000 } })
  client = await connected(server.endpoint)
  for (const text of ['1', '2', '3', '4']) await client.kv.put({ key, value: Buffer.from(text) })
  await client.kv.compact({ revision: '3' })
  await client.lease.leaseGrant({ ID: '7', TTL: '1000' })
  revision = (await client.kv.range({ key })).header?.revision ?? ''
})
afterAll(async () => {
  await client?.close()
  await server?.[Symbol.asyncDispose]()
})

const refusals: [string, () => Promise<unknown>, EtcdErrorCode][] = [
  ['a range without a key', () => client.kv.range({}), 'emptyKey'],
  [
    'a range beyond what is there',
    () => client.kv.range({ key, revision: '100' }),
    'futureRevision',
  ],
  ['a range of what was compacted', () => client.kv.range({ key, revision: '2' }), 'compacted'],
  ['a range in no order', () => client.kv.range({ key, sort_order: 7 as 0 }), 'invalidSortOption'],
  [
    'a range by no target',
    () => client.kv.range({ key, sort_target: 9 as 0 }),
    'invalidSortOption',
  ],
  ['a put without a key', () => client.kv.put({ value }), 'emptyKey'],
  [
    'a put that ignores its value',
    () => client.kv.put({ key, value, ignore_value: true }),
    'valueProvided',
  ],
  [
    'a put that ignores its lease',
    () => client.kv.put({ key, lease: '7', ignore_lease: true }),
    'leaseProvided',
  ],
  [
    'a put that keeps the value of nothing',
    () => client.kv.put({ key: Buffer.from('none'), ignore_value: true }),
    'keyNotFound',
  ],
  ['a put with an unknown lease', () => client.kv.put({ key, lease: '8' }), 'leaseNotFound'],
  [
    'a put that is too large',
    () => client.kv.put({ key, value: Buffer.alloc(100_000) }),
    'requestTooLarge',
  ],
  ['a delete without a key', () => client.kv.deleteRange({}), 'emptyKey'],
  ['a second compaction', () => client.kv.compact({ revision: '3' }), 'compacted'],
  ['a compaction of the future', () => client.kv.compact({ revision: '99' }), 'futureRevision'],
  ['a lease id in use', () => client.lease.leaseGrant({ ID: '7', TTL: '9' }), 'leaseExists'],
  [
    'a lease for too long',
    () => client.lease.leaseGrant({ TTL: '9000000001' }),
    'leaseTtlTooLarge',
  ],
  ['the end of an unknown lease', () => client.lease.leaseRevoke({ ID: '8' }), 'leaseNotFound'],
  ['a hash of the future', () => client.maintenance.hashKV({ revision: '99' }), 'futureRevision'],
  ['a hash of what was compacted', () => client.maintenance.hashKV({ revision: '2' }), 'compacted'],
  [
    'a leader that is no member',
    () => client.maintenance.moveLeader({ targetID: '5' }),
    'badLeaderTransferee',
  ],
  ['a txn compare without a key', () => txn({ compare: [{ key: empty }] }), 'emptyKey'],
  ['a txn put without a key', () => txn({ success: [{ request_put: { value } }] }), 'emptyKey'],
  ['a txn operation that is none', () => txn({ failure: [{}] }), 'keyNotFound'],
]

const txn = (request: DeepPartial<TxnRequest>) => client.kv.txn(request)

test.each(refusals)('%s is refused', async (_what, send, code) => {
  const error = await failure(send())
  const expected = new EtcdError(code)
  expect(error.message).toBe(expected.message)
  const onWire = error.cause ?? error
  expect(onWire).toBeInstanceOf(RpcError)
  expect((onWire as RpcError).code).toBe(expected.status)
  expect((await client.kv.range({ key })).header?.revision).toBe(revision)
})

const put = (name: string, more = {}) => ({
  request_put: { key: Buffer.from(name), value, ...more },
})
const del = (name: string, end?: string) => ({
  request_delete_range: {
    key: Buffer.from(name),
    ...(end === undefined ? {} : { range_end: Buffer.from(end) }),
  },
})
const nested = (request: DeepPartial<TxnRequest>) => ({ request_txn: request })
const compares = (count: number) =>
  Array.from({ length: count }, () => ({ key, target: 0 as const, version: '1' }))
const ranges = (count: number) => Array.from({ length: count }, () => ({ request_range: { key } }))

/** undefined: it is done. */
const txns: [string, DeepPartial<TxnRequest>, EtcdErrorCode | undefined][] = [
  [
    '128 of each',
    { compare: compares(128), success: ranges(128), failure: ranges(128) },
    undefined,
  ],
  ['129 compares', { compare: compares(129) }, 'tooManyOps'],
  ['129 operations that will not run', { failure: ranges(129) }, 'tooManyOps'],
  ['a nested one with what is left', { success: [nested({ success: ranges(127) })] }, undefined],
  ['a nested one with more', { success: [nested({ success: ranges(128) })] }, 'tooManyOps'],
  [
    'two nested ones that share nothing',
    { success: [nested({ success: ranges(126) }), nested({ success: ranges(126) })] },
    undefined,
  ],
  ['a key put twice', { success: [put('a'), put('a')] }, 'duplicateKey'],
  ['a key put in both branches', { success: [put('a')], failure: [put('a')] }, undefined],
  ['a key put and deleted', { success: [put('a'), del('a')] }, 'duplicateKey'],
  ['a key put inside a deleted range', { success: [del('a', 'c'), put('b')] }, 'duplicateKey'],
  ['a key put at the end of one', { success: [del('a', 'c'), put('c')] }, undefined],
  ['deletes that overlap', { success: [del('a', 'c'), del('b', 'd')] }, undefined],
  ['an open-ended delete', { success: [put('x'), del('a', '\0')] }, undefined],
  [
    'a nested put of the same key',
    { success: [put('a'), nested({ success: [put('a')] })] },
    'duplicateKey',
  ],
  [
    'both branches of a nested one',
    { success: [nested({ success: [put('a')], failure: [put('a')] })] },
    undefined,
  ],
  [
    'what one branch of a nested one deletes and the other puts',
    { success: [nested({ success: [del('a')], failure: [put('a')] })] },
    undefined,
  ],
  [
    'the same key in two nested ones',
    { success: [nested({ success: [put('a')] }), nested({ failure: [put('a')] })] },
    'duplicateKey',
  ],
  [
    'a nested put, deleted by a later one',
    { success: [nested({ success: [put('a')] }), nested({ success: [del('a')] })] },
    undefined,
  ],
  [
    'a nested put, deleted by an earlier one',
    { success: [nested({ success: [del('a')] }), nested({ success: [put('a')] })] },
    'duplicateKey',
  ],
  ['an unknown lease where it runs', { success: [put('a', { lease: '8' })] }, 'leaseNotFound'],
  ['an unknown lease where it does not run', { failure: [put('a', { lease: '8' })] }, undefined],
  [
    'a future range after a put',
    { success: [put('a'), { request_range: { key, revision: '9999' } }] },
    'futureRevision',
  ],
  [
    'the value of a key that only the transaction makes',
    { success: [put('new'), nested({ success: [put('new2', { ignore_lease: true })] })] },
    'keyNotFound',
  ],
]

describe('a transaction with', () => {
  test.each(txns)('%s', async (_what, request, code) => {
    const before = await client.kv.range({ key: Buffer.from([0]), range_end: Buffer.from([0]) })
    const result = await client.kv.txn(request).catch((error: Error) => error)
    if (code === undefined) {
      expect(result).not.toBeInstanceOf(Error)
      return
    }
    expect((result as Error).message).toBe(new EtcdError(code).message)
    // Not even what stands before the operation that cannot run was done.
    const after = await client.kv.range({ key: Buffer.from([0]), range_end: Buffer.from([0]) })
    expect(after).toEqual(before)
  })
})

test('a request over the limit of the transport is refused by it', async () => {
  const error = await failure(client.kv.put({ key, value: Buffer.alloc(1_000_000) }))
  expect(error).toBeInstanceOf(RpcError)
  expect(error.message).toMatch(
    /code = ResourceExhausted desc = grpc: received message larger than max \(1000\d+ vs. 624288\)/,
  )
})
