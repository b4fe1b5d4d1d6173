// What a member says of itself and of its cluster, its alarms, and what a full store still allows.
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { RangeRequest, RangeStreamResponse, type StatusResponse } from '../../../src/api/gen/rpc.js'
import type { Connection } from '../../../src/connection/connect.js'
import type { Channel } from '../../../src/grpc/channel.js'
import { connected, type Disposable, failure } from '../../connection/connecting.js'
import { type Embedded, startEmbedded } from '../../support/embedded.js'
import { openPlainChannel } from '../../support/open-plain-channel.js'

let server: Embedded
let client: Disposable<Connection>
let channel: Channel

const memberID = '10276657743932975437'
const bytes = (text: string): Buffer => Buffer.from(text)

beforeAll(async () => {
  server = await startEmbedded({ config: { quotaBackendBytes: 400_000 } })
  client = await connected(server.endpoint)
  channel = openPlainChannel(server.port)
})
afterAll(async () => {
  await channel?.close()
  await client?.close()
  await server?.[Symbol.asyncDispose]()
})

test('status tells of a lone leader of version 3.7', async () => {
  const status = await client.maintenance.status()
  expect(status).toMatchObject({
    header: { member_id: memberID, cluster_id: '14841639068965178418', raft_term: '2' },
    version: '3.7.1',
    leader: memberID,
    raftTerm: '2',
    errors: [],
    isLearner: false,
    storageVersion: '3.7.0',
    dbSizeQuota: '400000',
    downgradeInfo: { enabled: false, targetVersion: '' },
  } satisfies Partial<Record<keyof StatusResponse, unknown>>)
  expect(status.raftAppliedIndex).toBe(status.raftIndex)
  expect(Number(status.dbSizeInUse)).toBeLessThanOrEqual(Number(status.dbSize))
})

test('members come without a revision in the header', async () => {
  const { header, members } = await client.cluster.memberList({ linearizable: true })
  expect(header).toMatchObject({ member_id: memberID, revision: '0' })
  expect(members).toEqual([
    {
      ID: memberID,
      name: 'default',
      peerURLs: ['http://localhost:2380'],
      clientURLs: [`http://${server.endpoint}`],
      isLearner: false,
    },
  ])
})

test('a defragmentation and a move to itself answer without a header', async () => {
  expect(await client.maintenance.defragment()).toEqual({ header: undefined })
  expect(await client.maintenance.moveLeader({ targetID: memberID })).toEqual({ header: undefined })
})

test('a hash is the same for the same state, and another for another', async () => {
  const hash = async () => (await client.maintenance.hash()).hash
  const before = await hash()
  expect(await hash()).toBe(before)
  await client.kv.put({ key: bytes('k'), value: bytes('v') })
  expect(await hash()).not.toBe(before)
})

describe('a store that is full', () => {
  const noSpace = 'etcdserver: mvcc: database space exceeded'

  test('refuses what makes it larger and nothing else, until it is disarmed', async () => {
    const put = (at: number) =>
      client.kv.put({ key: bytes(`full ${at}`), value: Buffer.alloc(50_000, 'x') })
    let count = 0
    const refused = await failure(
      (async () => {
        for (; count < 20; count++) await put(count)
      })(),
    )
    expect(refused.message).toBe(noSpace)
    expect(count).toBeGreaterThan(4)
    const { alarms } = await client.maintenance.alarm({ action: 0 })
    expect(alarms).toEqual([{ memberID, alarm: 1 }])
    expect((await client.maintenance.status()).errors.join()).toContain('alarm:NOSPACE')
    const small = { key: bytes('small'), value: bytes('v') }
    expect((await failure(client.kv.put(small))).message).toBe(noSpace)
    const inTxn = client.kv.txn({ failure: [{ request_put: small }] })
    expect((await failure(inTxn)).message).toBe(noSpace)
    expect((await failure(client.lease.leaseGrant({ TTL: '9' }))).message).toBe(noSpace)

    const all = { key: bytes('full'), range_end: bytes('fulm') }
    expect((await client.kv.range({ ...all, count_only: true })).count).toBe(String(count))
    const { header } = await client.kv.deleteRange(all)
    await client.kv.compact({ revision: header?.revision ?? '', physical: true })
    await client.maintenance.defragment()
    // Room alone does not end the alarm, and an alarm of somebody else is another one.
    expect((await failure(client.kv.put(small))).message).toBe(noSpace)
    expect((await client.maintenance.alarm({ action: 2, memberID: '0', alarm: 1 })).alarms).toEqual(
      [],
    )
    expect((await client.maintenance.alarm({ action: 2, memberID, alarm: 1 })).alarms).toHaveLength(
      1,
    )
    await client.kv.put(small)
  })

  test('of CORRUPT alarm takes no write at all', async () => {
    await client.maintenance.alarm({ action: 1, memberID, alarm: 2 })
    const key = bytes('k')
    const writes = [
      () => client.kv.put({ key }),
      () => client.kv.deleteRange({ key }),
      () => client.kv.txn({ success: [{ request_delete_range: { key } }] }),
      () => client.kv.compact({ revision: '1' }),
      () => client.lease.leaseGrant({ TTL: '10' }),
      () => client.lease.leaseRevoke({ ID: '1' }),
    ]
    for (const write of writes) {
      expect((await failure(write())).message).toBe('etcdserver: corrupt cluster')
    }
    expect((await client.kv.range({ key })).header).toBeDefined()
    await client.maintenance.alarm({ action: 2, memberID, alarm: 2 })
  })
})

test('a range in a stream adds up to the range', async () => {
  const puts = Array.from({ length: 100 }, (_, at) =>
    client.kv.put({ key: bytes(`s${at}`), value: Buffer.alloc(1000, `${at % 10}`) }),
  )
  await Promise.all(puts)
  const request = { key: bytes('s'), range_end: bytes('t') }
  const whole = await client.kv.range(request)
  const stream = channel.stream('/etcdserverpb.KV/RangeStream')
  await stream.write(RangeRequest.encode(RangeRequest.fromPartial(request)).finish())
  stream.end()
  const chunks = []
  for await (const data of stream) chunks.push(RangeStreamResponse.decode(data).range_response)
  expect(chunks.length).toBeGreaterThan(1)
  expect(chunks.flatMap((chunk) => chunk?.kvs ?? [])).toEqual(whole.kvs)
  expect(chunks.slice(0, -1).every((chunk) => chunk?.header === undefined)).toBe(true)
  expect(chunks.at(-1)).toMatchObject({ count: whole.count, more: false, header: whole.header })
})

test('a method that is not there is said not to be there', async () => {
  const error = await failure(channel.unary('/etcdserverpb.KV/Nothing', Buffer.alloc(0)))
  expect(error.message).toBe(
    'rpc error: code = Unimplemented desc = unknown method Nothing for service etcdserverpb.KV',
  )
})
