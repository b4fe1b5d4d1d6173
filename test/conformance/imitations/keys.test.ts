// What client libraries depend on and imitations get wrong: keys, revisions and transactions. The
// numbers are those of the whole list of thirty; the other items are in the files beside this one.
import { beforeAll, expect, it } from 'vitest'
import * as rpc from '../../../src/api/gen/rpc.js'
import { versionDifferences } from '../../server/version-differences.js'
import {
  bytes,
  del,
  events,
  type Ground,
  get,
  onBoth,
  put,
  serverStream,
  Watching,
} from './ground.js'

const { EQUAL, GREATER, LESS, NOT_EQUAL } = rpc.Compare_CompareResult
const { VERSION, CREATE, MOD, VALUE, LEASE } = rpc.Compare_CompareTarget
const Order = rpc.RangeRequest_SortOrder
const Target = rpc.RangeRequest_SortTarget

onBoth({}, (ground) => {
  let client: Ground['client']
  let revisionAtStart: string | undefined
  beforeAll(async () => {
    client = ground().client
    const { header } = await client.call('Range', { key: bytes('nothing') })
    revisionAtStart = header?.revision
  })

  const write = async (key: string, value = 'v', more = {}) => {
    const answer = await client.call('Put', { key: bytes(key), value: bytes(value), ...more })
    return Number(answer.header?.revision)
  }
  const range = (key: string, end = '', more: rpc.DeepPartial<rpc.RangeRequest> = {}) =>
    client.call('Range', { key: bytes(key), range_end: bytes(end), ...more })
  const revision = async () => Number((await range('nothing')).header?.revision)
  const names = ({ kvs }: rpc.RangeResponse) => kvs.map(({ key }) => key.toString('latin1'))

  it('2: a fresh store is at revision 1 and the first write at 2; a life starts anew after a delete', async () => {
    expect(revisionAtStart).toBe('1')
    const first = await write('life')
    expect(first).toBe(2)
    await write('life')
    const of = async () => (await range('life')).kvs[0]
    expect(await of()).toMatchObject({ version: '2', create_revision: '2', mod_revision: '3' })
    await client.call('DeleteRange', { key: bytes('life') })
    expect(await of()).toBeUndefined()
    await write('life')
    expect(await of()).toMatchObject({ version: '1', create_revision: '5', mod_revision: '5' })
  })

  it('1: a header in every answer of KV, Lease, Auth and Status; no revision in Cluster; none in Defragment, MoveLeader and Snapshot', async () => {
    await write('header')
    const { ID } = await client.call('LeaseGrant', { TTL: '100' })
    const { header: status } = await client.call('Status', {})
    const { cluster_id = '0', member_id = '0', raft_term = '0' } = status ?? {}
    for (const id of [cluster_id, member_id, raft_term]) expect(BigInt(id)).toBeGreaterThan(0n)
    const whole = { cluster_id, member_id, raft_term, revision: String(await revision()) }
    const key = bytes('header none')
    const headers = {
      Range: await client.call('Range', { key }),
      DeleteRange: await client.call('DeleteRange', { key }),
      Txn: await client.call('Txn', {}),
      LeaseTimeToLive: await client.call('LeaseTimeToLive', { ID }),
      LeaseLeases: await client.call('LeaseLeases', {}),
      LeaseGrant: await client.call('LeaseGrant', { TTL: '100' }),
      LeaseRevoke: await client.call('LeaseRevoke', { ID }),
      Status: await client.call('Status', {}),
      Hash: await client.call('Hash', {}),
      HashKV: await client.call('HashKV', {}),
      UserAdd: await client.call('UserAdd', { name: 'u', password: 'p' }),
      UserList: await client.call('UserList', {}),
      RoleAdd: await client.call('RoleAdd', { name: 'r' }),
      RoleGet: await client.call('RoleGet', { role: 'r' }),
      UserDelete: await client.call('UserDelete', { name: 'u' }),
      AuthDisable: await client.call('AuthDisable', {}),
    }
    for (const [method, { header }] of Object.entries(headers)) {
      expect(header, method).toEqual(whole)
    }
    const alarms = await client.call('Alarm', {})
    expect(alarms.header !== undefined).toBe(ground().by(versionDifferences.alarmHeader))
    const members = await client.call('MemberList', {})
    expect(members.header).toEqual({ ...whole, revision: '0' })
    expect(await client.call('Defragment', {})).toEqual({ header: undefined })
    const targetID = member_id
    expect(await client.call('MoveLeader', { targetID })).toEqual({ header: undefined })
    for await (const piece of serverStream(ground(), '/etcdserverpb.Maintenance/Snapshot')) {
      expect(rpc.SnapshotResponse.decode(piece).header).toBeUndefined()
    }
  })

  it('3: the header of a range has the current revision, even for one of the past; a watch from the next has no gap', async () => {
    const past = await write('gap', 'old')
    await write('gap', 'new')
    const now = await revision()
    const { header, kvs } = await range('gap', '', { revision: String(past) })
    expect(kvs[0]?.value.toString()).toBe('old')
    expect(header?.revision).toBe(String(now))
    await write('gap', 'between')
    using watch = new Watching(ground())
    await watch.create({ key: bytes('gap'), start_revision: String(now + 1) })
    await write('gap', 'after')
    const seen: string[] = []
    while (!seen.includes('put gap=after')) seen.push(...events(await watch.next()))
    expect(seen).toEqual(['put gap=between', 'put gap=after'])
  })

  it('4: count ignores limit and filters, more comes with a limit only, and pages go on from the last key and NUL', async () => {
    for (const at of [1, 2, 3, 4, 5]) await write(`page${at}`)
    const last = await write('page6')
    const filtered = await range('page', 'pagf', { min_mod_revision: String(last) })
    expect([names(filtered), filtered.count, filtered.more]).toEqual([['page6'], '6', false])
    const limited = await range('page', 'pagf', { limit: '2', max_mod_revision: String(last - 1) })
    expect([names(limited), limited.count, limited.more]).toEqual([['page1', 'page2'], '6', true])
    const exact = await range('page', 'pagf', { limit: '6' })
    expect([exact.count, exact.more]).toEqual(['6', false])
    const counted = await range('page', 'pagf', { limit: '2', count_only: true })
    expect([names(counted), counted.count, counted.more]).toEqual([[], '6', false])
    const pages: string[][] = []
    let page = await range('page', 'pagf', { limit: '4' })
    const { revision: pinned = '' } = page.header ?? {}
    pages.push(names(page))
    await write('page55', 'too late for these pages')
    page = await range(`${pages[0]?.at(-1)}\0`, 'pagf', { limit: '4', revision: pinned })
    pages.push(names(page))
    expect(pages).toEqual([
      ['page1', 'page2', 'page3', 'page4'],
      ['page5', 'page6'],
    ])
    expect(page.more).toBe(false)
  })

  it('5: range_end of NUL, of the key itself and absent; order of unsigned bytes; keys of any bytes', async () => {
    const odd = ['\xf0', '\xf0\0', '\xf0\x7f', '\xf0\x80', '\xf0\xc3\x28', '\xf0\xff', '\xff\xff']
    for (const key of odd.toReversed()) await write(key)
    expect(names(await range('\xf0'))).toEqual(['\xf0'])
    expect(names(await range('\xf0', '\xf0'))).toEqual([])
    expect(names(await range('\xf0', '\xef'))).toEqual([])
    expect(names(await range('\xf0', '\0'))).toEqual(odd)
    expect(names(await range('\xf0', '\xf1'))).toEqual(odd.slice(0, -1))
    expect(names(await range('\xf0', '\xf0\0'))).toEqual(['\xf0'])
    expect(names(await range('\0', '\0')).slice(-odd.length)).toEqual(odd)
  })

  it('6: filters come before sort and limit, as locks and elections need: oldest of a prefix, newest up to a revision', async () => {
    const second = await write('queue/b')
    const third = await write('queue/a')
    await write('queue/c')
    await write('queue/b', 'again')
    const oldest = { sort_order: Order.ASCEND, sort_target: Target.CREATE, limit: '1' }
    expect(names(await range('queue/', 'queue0', oldest))).toEqual(['queue/b'])
    const before = { sort_order: Order.DESCEND, sort_target: Target.CREATE, limit: '1' }
    const max = (created: number) => ({ ...before, max_create_revision: String(created) })
    expect(names(await range('queue/', 'queue0', max(third)))).toEqual(['queue/a'])
    expect(names(await range('queue/', 'queue0', max(third - 1)))).toEqual(['queue/b'])
    expect(names(await range('queue/', 'queue0', max(second - 1)))).toEqual([])
  })

  it('7: an absent key compares as 0 by version, create, mod and lease; by value it never does', async () => {
    const holds = async (compare: rpc.DeepPartial<rpc.Compare>) => {
      const key = bytes('absent')
      return (await client.call('Txn', { compare: [{ key, ...compare }] })).succeeded
    }
    for (const target of [VERSION, CREATE, MOD, LEASE]) {
      expect(await holds({ target, result: EQUAL }), `${target} = 0`).toBe(true)
      expect(await holds({ target, result: LESS }), `${target} < 0`).toBe(false)
      expect(await holds({ target, result: NOT_EQUAL }), `${target} != 0`).toBe(false)
    }
    expect(await holds({ target: VERSION, result: LESS, version: '1' })).toBe(true)
    for (const result of [EQUAL, GREATER, LESS, NOT_EQUAL]) {
      expect(await holds({ target: VALUE, result, value: bytes('x') }), `${result}`).toBe(false)
      expect(await holds({ target: VALUE, result, value: bytes('') }), `${result}`).toBe(false)
    }
    const exists = [{ key: bytes('absent'), target: CREATE, result: EQUAL, create_revision: '0' }]
    const create = () => client.call('Txn', { compare: exists, success: [put('absent')] })
    expect((await create()).succeeded).toBe(true)
    expect((await create()).succeeded).toBe(false)
  })

  it('8: a transaction has one revision, keeps its order in events, reads its own writes, and is refused as a whole', async () => {
    using watch = new Watching(ground())
    const now = await write('tx0')
    const from = { start_revision: String(now + 1) }
    await watch.create({ key: bytes('tx'), range_end: bytes('ty'), ...from })
    const { header, responses } = await client.call('Txn', {
      success: [put('tx2', 'a'), get('tx2'), put('tx1', 'b'), del('tx0'), get('tx', 'ty')],
    })
    expect(header?.revision).toBe(String(now + 1))
    expect(responses[1]?.response_range?.kvs[0]?.value.toString()).toBe('a')
    expect(responses[4]?.response_range?.kvs.map(({ key }) => `${key}`)).toEqual(['tx1', 'tx2'])
    const seen = await watch.next()
    expect(events(seen)).toEqual(['put tx2=a', 'put tx1=b', 'delete tx0'])
    const at = seen.events.map(({ kv }) => kv?.mod_revision)
    expect(at).toEqual(Array(3).fill(String(now + 1)))
    const outcome = (...success: rpc.DeepPartial<rpc.RequestOp>[]) =>
      client.outcome('Txn', { success })
    const twice = 'InvalidArgument: etcdserver: duplicate key given in txn request'
    expect(await outcome(put('tx3'), put('tx3'))).toBe(twice)
    expect(await outcome(put('tx3'), del('tx', 'ty'))).toBe(twice)
    expect(await outcome(put('tx3'), { request_txn: { failure: [put('tx3')] } })).toBe(twice)
    const future = { request_range: { key: bytes('tx1'), revision: String(now + 100) } }
    expect(await outcome(put('tx3'), future)).toBe(
      'OutOfRange: etcdserver: mvcc: required revision is a future revision',
    )
    const unknownLease = { request_put: { key: bytes('tx4'), lease: '404' } }
    expect(await outcome(put('tx3'), unknownLease)).toBe(
      'NotFound: etcdserver: requested lease not found',
    )
    expect(names(await range('tx3', 'tx5'))).toEqual([])
    expect(await revision()).toBe(now + 1)
  })

  it('9: a put with lease 0 detaches; an unknown lease is not found; ignore_lease and ignore_value keep what is there', async () => {
    const { ID } = await client.call('LeaseGrant', { TTL: '1000' })
    const kv = async () => (await range('leased')).kvs[0]
    const attached = async () =>
      (await client.call('LeaseTimeToLive', { ID, keys: true })).keys.map(String)
    await write('leased', 'one', { lease: ID })
    await write('leased', 'two', { ignore_lease: true })
    expect(await kv()).toMatchObject({ lease: ID, value: bytes('two') })
    expect(await attached()).toEqual(['leased'])
    await write('leased', '', { ignore_value: true })
    expect(await kv()).toMatchObject({ lease: '0', value: bytes('two') })
    expect(await attached()).toEqual([])
    const outcome = (key: string, more: object) =>
      client.outcome('Put', { key: bytes(key), ...more })
    expect(await outcome('leased', { lease: '404' })).toBe(
      'NotFound: etcdserver: requested lease not found',
    )
    expect(await outcome('leased', { ignore_value: true, value: bytes('x') })).toBe(
      'InvalidArgument: etcdserver: value is provided',
    )
    expect(await outcome('leased', { ignore_lease: true, lease: ID })).toBe(
      'InvalidArgument: etcdserver: lease is provided',
    )
    const absent = 'InvalidArgument: etcdserver: key not found'
    expect(await outcome('no such', { ignore_value: true })).toBe(absent)
    expect(await outcome('no such', { ignore_lease: true })).toBe(absent)
  })

  it('26: large answers come whole, requests up to 2 MiB pass gRPC, and over 1.5 MiB are too large', async () => {
    const size = 1_400_000
    for (const at of [1, 2, 3, 4]) await write(`large${at}`, String(at).repeat(size))
    const { kvs } = await range('large', 'largf')
    expect(kvs.map(({ value }) => value.length)).toEqual([size, size, size, size])
    const outcome = (valueBytes: number) =>
      client.outcome('Put', { key: bytes('k'), value: Buffer.alloc(valueBytes) })
    expect(await outcome(1_600_000)).toBe('InvalidArgument: etcdserver: request is too large')
    const most = 2 ** 21
    expect(await outcome(most - 100)).toBe('InvalidArgument: etcdserver: request is too large')
    const { length } = rpc.PutRequest.encode(
      rpc.PutRequest.fromPartial({ key: bytes('k'), value: Buffer.alloc(most) }),
    ).finish()
    expect(await outcome(most)).toBe(
      `ResourceExhausted: grpc: received message larger than max (${length} vs. ${most})`,
    )
  })

  it('30: unknown fields are skipped, and enums out of range are handled', async () => {
    await write('newer', 'v')
    // Fields 1000 (a number), 1001 (a text) and 1002 (a double), as of a client of the future.
    const unknown = Buffer.from('c03e01ca3e0161d13e0000000000000000', 'hex')
    const call = (path: string, message: Uint8Array) =>
      ground().channel.unary(path, Buffer.concat([message, unknown]))
    const key = bytes('newer')
    const asked = rpc.RangeRequest.encode(rpc.RangeRequest.fromPartial({ key })).finish()
    const answer = rpc.RangeResponse.decode(await call('/etcdserverpb.KV/Range', asked))
    expect(answer.kvs[0]?.value.toString()).toBe('v')
    const given = { key, value: bytes('w') }
    const stored = rpc.PutRequest.encode(rpc.PutRequest.fromPartial(given)).finish()
    await call('/etcdserverpb.KV/Put', stored)
    expect((await range('newer')).kvs[0]?.value.toString()).toBe('w')
    const order = { sort_order: 7 as rpc.RangeRequest_SortOrder }
    const byOrder = ground().by(versionDifferences.unknownSortOrder)
    expect(await client.outcome('Range', { key, ...order })).toBe(byOrder)
    const target = {
      sort_order: Order.ASCEND,
      sort_target: 9 as rpc.RangeRequest_SortTarget,
    }
    const byTarget = ground().by(versionDifferences.unknownSortTarget)
    if (byTarget !== undefined)
      expect(await client.outcome('Range', { key, ...target })).toBe(byTarget)
  })
})
