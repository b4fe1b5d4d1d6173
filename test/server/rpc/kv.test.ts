// The KV service over a socket: what ranges give and in which order of steps, what transactions
// see and change, and what their headers say.
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { DeepPartial, RangeRequest, TxnRequest } from '../../../src/api/gen/rpc.js'
import type { Connection } from '../../../src/connection/connect.js'
import { connected, type Disposable } from '../../connection/connecting.js'
import { type Embedded, startEmbedded } from '../../support/embedded.js'

let server: Embedded
let client: Disposable<Connection>
const bytes = (text: string): Buffer => Buffer.from(text, 'latin1')
const everything = { key: bytes('\0'), range_end: bytes('\0') }

beforeAll(async () => {
  server = await startEmbedded({ storage: 'memory' })
  client = await connected(server.endpoint)
})
afterAll(async () => {
  await client?.close()
  await server?.[Symbol.asyncDispose]()
})

describe('a range', () => {
  // Revisions 2 to 7: a=5, b=3, c=4, d=2 with an empty value, then b and a again.
  beforeAll(async () => {
    const pairs = ['a5', 'b3', 'c4', 'd', 'b3', 'a1']
    for (const pair of pairs) await put(pair.slice(0, 1), pair.slice(1))
  })
  const put = (key: string, value: string) =>
    client.kv.put({ key: bytes(key), value: bytes(value) })

  const cases: [string, DeepPartial<RangeRequest>, string, { more?: boolean; count?: string }][] = [
    ['comes in key order', {}, 'abcd', {}],
    ['ends before its end', { key: bytes('b'), range_end: bytes('d') }, 'bc', { count: '2' }],
    ['has no more than its limit', { limit: '2' }, 'ab', { more: true }],
    ['has no more when the limit is what there is', { limit: '4' }, 'abcd', {}],
    ['runs backwards', { sort_order: 2 }, 'dcba', {}],
    ['is sorted by value', { sort_order: 1, sort_target: 4 }, 'dabc', {}],
    ['is sorted by version', { sort_order: 1, sort_target: 1 }, 'cdab', {}],
    ['is sorted by creation', { sort_order: 2, sort_target: 2 }, 'dcba', {}],
    ['is sorted by change', { sort_order: 1, sort_target: 3 }, 'cdba', {}],
    [
      'is sorted before it is cut',
      { sort_order: 1, sort_target: 3, limit: '1' },
      'c',
      { more: true },
    ],
    // Without an order only the first of the keys are fetched, and these sorted.
    [
      'is cut before a target without order sorts',
      { sort_target: 3, limit: '1' },
      'b',
      { more: true },
    ],
    ['is filtered by change', { min_mod_revision: '5' }, 'abd', {}],
    ['is filtered by creation', { max_create_revision: '3' }, 'ab', {}],
    [
      'is filtered before it is cut',
      { min_mod_revision: '4', max_mod_revision: '5', limit: '1' },
      'c',
      { more: true },
    ],
    ['is of an old revision', { revision: '3' }, 'ab', { count: '2' }],
    [
      'is empty when its end comes first',
      { key: bytes('c'), range_end: bytes('a') },
      '',
      { count: '0' },
    ],
    ['only counts', { count_only: true, limit: '1', min_mod_revision: '99' }, '', {}],
  ]
  test.each(cases)('%s', async (_how, request, keys, { more = false, count = '4' }) => {
    const answer = await client.kv.range({ ...everything, ...request })
    expect(answer.kvs.map(({ key }) => key.toString()).join('')).toBe(keys)
    expect(answer).toMatchObject({ more, count, header: { revision: '7' } })
  })

  test('of keys only keeps the revisions and drops value and lease', async () => {
    const { kvs } = await client.kv.range({ key: bytes('a'), keys_only: true })
    expect(kvs).toEqual([
      {
        key: bytes('a'),
        create_revision: '2',
        mod_revision: '7',
        version: '2',
        value: Buffer.alloc(0),
        lease: '0',
      },
    ])
  })
})

describe('a transaction', () => {
  const txn = (request: DeepPartial<TxnRequest>) => client.kv.txn(request)
  const range = (key: string) => ({ request_range: { key: bytes(key) } })
  const put = (key: string, value: string) => ({
    request_put: { key: bytes(key), value: bytes(value) },
  })

  test('makes one revision of all its changes, and reads its own writes', async () => {
    const before = Number((await client.kv.range(everything)).header?.revision)
    const { header, responses } = await txn({
      success: [range('t'), put('t', '1'), range('t'), put('u', '2')],
    })
    expect(header?.revision).toBe(String(before + 1))
    const [first, , third] = responses.map(({ response_range }) => response_range)
    expect(first).toMatchObject({ header: { revision: String(before) }, kvs: [] })
    expect(third).toMatchObject({
      header: { revision: String(before + 1) },
      kvs: [{ value: bytes('1'), mod_revision: String(before + 1) }],
    })
  })

  test('that changes nothing moves no revision', async () => {
    const { header } = await txn({ success: [range('t')], failure: [] })
    const again = await txn({ success: [{ request_delete_range: { key: bytes('nothing') } }] })
    expect(again.header?.revision).toBe(header?.revision)
  })

  const absent = { key: bytes('absent') }
  test.each([
    ['version 0', { target: 0, version: '0', result: 0 }, true],
    ['create revision 0', { target: 1, create_revision: '0', result: 0 }, true],
    ['mod revision below 1', { target: 2, mod_revision: '1', result: 2 }, true],
    ['lease 0', { target: 4, lease: '0', result: 0 }, true],
    ['an empty value', { target: 3, value: Buffer.alloc(0), result: 0 }, false],
    ['another value', { target: 3, value: bytes('x'), result: 3 }, false],
    ['an operand of another target', { target: 0, create_revision: '5', result: 0 }, true],
  ] as const)('takes an absent key for one with %s: %s', async (_what, compare, succeeded) => {
    expect((await txn({ compare: [{ ...absent, ...compare }] })).succeeded).toBe(succeeded)
  })

  test('compares each key of an interval', async () => {
    await txn({ success: [put('i1', 'x'), put('i2', 'y')] })
    const interval = { key: bytes('i'), range_end: bytes('j'), target: 3 as const }
    const isSame = { compare: [{ ...interval, value: bytes('x'), result: 0 as const }] }
    const isSmaller = { compare: [{ ...interval, value: bytes('z'), result: 2 as const }] }
    expect((await txn(isSame)).succeeded).toBe(false)
    expect((await txn(isSmaller)).succeeded).toBe(true)
  })

  test('evaluates nested compares against the state before it', async () => {
    const created = {
      key: bytes('n'),
      target: 1 as const,
      create_revision: '0',
      result: 0 as const,
    }
    const inner = { request_txn: { compare: [created], success: [put('n2', 'was absent')] } }
    const { responses } = await txn({ success: [put('n', '1'), inner] })
    expect(responses[1]?.response_txn).toMatchObject({
      succeeded: true,
      header: { revision: '0', member_id: '0' },
    })
  })
})

test('a put keeps value or lease when told to, and lets go of the lease when not', async () => {
  const key = bytes('kept')
  await client.lease.leaseGrant({ ID: '5', TTL: '100' })
  await client.kv.put({ key, value: bytes('v'), lease: '5' })
  const state = async () => (await client.kv.range({ key })).kvs[0]
  await client.kv.put({ key, ignore_value: true, lease: '5' })
  expect(await state()).toMatchObject({ value: bytes('v'), lease: '5', version: '2' })
  await client.kv.put({ key, value: bytes('w'), ignore_lease: true })
  expect(await state()).toMatchObject({ value: bytes('w'), lease: '5' })
  const { prev_kv } = await client.kv.put({ key, value: bytes('w'), prev_kv: true })
  expect(prev_kv).toMatchObject({ lease: '5', version: '3' })
  expect(await state()).toMatchObject({ lease: '0', version: '4' })
})
