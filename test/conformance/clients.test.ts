// Clients that other people wrote, as they come, on the bundled server: the whole etcd3 package
// with its own pool, watcher, leases and locks; and @grpc/grpc-js with nothing but the messages.
import { once } from 'node:events'
import * as grpc from '@grpc/grpc-js'
import { Etcd3 } from 'etcd3'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import * as rpc from '../../src/api/gen/rpc.js'
import { type Embedded, startEmbedded } from '../support/embedded.js'

let server: Embedded
beforeAll(async () => {
  server = await startEmbedded()
})
afterAll(async () => {
  await server?.[Symbol.asyncDispose]()
})

describe('etcd3', () => {
  let client: Etcd3
  beforeAll(() => {
    client = new Etcd3({ hosts: server.endpoint })
  })
  afterAll(() => client?.close())

  test('puts, gets, counts and deletes', async () => {
    await client.put('etcd3/a').value('1')
    await client.put('etcd3/b').value(Buffer.from([0, 255]))
    expect(await client.get('etcd3/a').string()).toBe('1')
    expect(await client.get('etcd3/b').buffer()).toEqual(Buffer.from([0, 255]))
    expect(await client.get('etcd3/none').string()).toBeNull()
    expect(await client.getAll().prefix('etcd3/').keys()).toEqual(['etcd3/a', 'etcd3/b'])
    expect(await client.getAll().prefix('etcd3/').count()).toBe(2)
    expect((await client.delete().prefix('etcd3/')).deleted).toBe('2')
  })

  test('watches what comes and, from a revision, what was', async () => {
    const { header } = await client.put('watched').value('1')
    await client.put('watched').value('2')
    const watcher = await client
      .watch()
      .key('watched')
      .startRevision(header.revision)
      .withPreviousKV()
      .create()
    const seen: (string | undefined)[][] = []
    watcher.on('put', (pair, before) =>
      seen.push([pair.value.toString(), before?.value.toString()]),
    )
    const gone = once(watcher, 'delete')
    await client.put('watched').value('3')
    await client.delete().key('watched')
    await gone
    expect(seen).toEqual([
      ['1', undefined],
      ['2', '1'],
      ['3', '2'],
    ])
    await watcher.cancel()
  })

  test('keeps a lease alive, and loses its keys when it ends', async () => {
    const lease = client.lease(2)
    await lease.put('leased').value('v')
    const id = await lease.grant()
    expect(await client.get('leased').string()).toBe('v')
    expect((await client.leaseClient.leaseLeases()).leases).toContainEqual({ ID: id })
    await lease.keepaliveOnce()
    await lease.revoke()
    expect(await client.get('leased').string()).toBeNull()
  })

  test('sees a lease run out', async () => {
    const watcher = await client.watch().key('ending').create()
    const gone = once(watcher, 'delete')
    const { ID } = await client.leaseClient.leaseGrant({ TTL: 5 })
    await client.put('ending').value('v').lease(ID)
    await gone
    expect(await client.get('ending').string()).toBeNull()
    await watcher.cancel()
  })

  test('takes both branches of a transaction', async () => {
    const swap = () =>
      client
        .if('swapped', 'Create', '==', 0)
        .then(client.put('swapped').value('new'))
        .else(client.get('swapped'))
        .commit()
    expect((await swap()).succeeded).toBe(true)
    const again = await swap()
    expect(again.succeeded).toBe(false)
    expect(again.responses[0]?.response_range?.kvs).toMatchObject([{ value: Buffer.from('new') }])
  })

  test('locks: one at a time, the next when the one before lets go', async () => {
    const first = client.lock('resource').ttl(5)
    await first.acquire()
    await expect(client.lock('resource').ttl(5).acquire()).rejects.toThrow(/Failed to acquire/)
    await first.release()
    const next = client.lock('resource').ttl(5)
    await next.acquire()
    await next.release()
  })

  test('has the errors of etcd by their names', async () => {
    await expect(client.put('k').value('v').lease('12345')).rejects.toThrow(
      /requested lease not found/,
    )
    await expect(client.get('k').revision(1_000_000).string()).rejects.toThrow(/future revision/)
  })
})

interface Codec<T> {
  encode(message: T): { finish(): Uint8Array }
  decode(bytes: Buffer): T
  fromPartial(partial: rpc.DeepPartial<T>): T
}

function method<A, B>(service: string, name: string, request: Codec<A>, response: Codec<B>) {
  return {
    path: `/etcdserverpb.${service}/${name}`,
    write: (partial: rpc.DeepPartial<A>) =>
      Buffer.from(request.encode(request.fromPartial(partial)).finish()),
    read: (bytes: Buffer) => response.decode(bytes),
  }
}

const methods = {
  range: method('KV', 'Range', rpc.RangeRequest, rpc.RangeResponse),
  put: method('KV', 'Put', rpc.PutRequest, rpc.PutResponse),
  txn: method('KV', 'Txn', rpc.TxnRequest, rpc.TxnResponse),
  grant: method('Lease', 'LeaseGrant', rpc.LeaseGrantRequest, rpc.LeaseGrantResponse),
  watch: method('Watch', 'Watch', rpc.WatchRequest, rpc.WatchResponse),
  keepAlive: method(
    'Lease',
    'LeaseKeepAlive',
    rpc.LeaseKeepAliveRequest,
    rpc.LeaseKeepAliveResponse,
  ),
}

describe('@grpc/grpc-js', () => {
  let client: grpc.Client
  beforeAll(() => {
    client = new grpc.Client(server.endpoint, grpc.credentials.createInsecure())
  })
  afterAll(() => client?.close())

  type Method<A, B> = ReturnType<typeof method<A, B>>
  const call = <A, B>(to: Method<A, B>, request: rpc.DeepPartial<A>): Promise<B> =>
    new Promise((resolve, reject) => {
      client.makeUnaryRequest(to.path, to.write, to.read, request, (error, answer) => {
        if (error !== null) reject(error)
        else if (answer !== undefined) resolve(answer)
      })
    })
  const open = <A, B>(to: Method<A, B>) =>
    client.makeBidiStreamRequest<rpc.DeepPartial<A>, B>(to.path, to.write, to.read)

  const key = Buffer.from('grpc-js')

  test('puts, gets and compares', async () => {
    const { header } = await call(methods.put, { key, value: Buffer.from('1') })
    expect(header).toMatchObject({
      cluster_id: '14841639068965178418',
      member_id: '10276657743932975437',
      raft_term: '2',
    })
    const { kvs, count } = await call(methods.range, { key })
    expect(kvs).toMatchObject([{ key, value: Buffer.from('1'), version: '1' }])
    expect(count).toBe('1')
    const compare = [{ key, target: rpc.Compare_CompareTarget.VERSION, version: '1' }]
    const success = [{ request_put: { key, value: Buffer.from('2'), prev_kv: true } }]
    const done = await call(methods.txn, { compare, success })
    expect(done).toMatchObject({ succeeded: true })
    expect(done.responses[0]?.response_put?.prev_kv).toMatchObject({ value: Buffer.from('1') })
  })

  test('watches the history of a key and what comes after it', async () => {
    const { header } = await call(methods.put, { key, value: Buffer.from('old') })
    const stream = open(methods.watch)
    const seen: string[] = []
    const start_revision = header?.revision ?? ''
    stream.write({ create_request: { key, start_revision } })
    for await (const answer of stream as AsyncIterable<rpc.WatchResponse>) {
      if (answer.created) await call(methods.put, { key, value: Buffer.from('new') })
      seen.push(...answer.events.map(({ kv }) => kv?.value.toString() ?? ''))
      if (seen.at(-1) === 'new') break
    }
    expect(seen).toEqual(['old', 'new'])
    stream.on('error', () => {})
    stream.cancel()
  })

  test('renews a lease, and is told that another is gone', async () => {
    const { ID } = await call(methods.grant, { TTL: '100' })
    const stream = open(methods.keepAlive)
    stream.write({ ID })
    stream.write({ ID: '99' })
    stream.end()
    const answers: string[][] = []
    for await (const { ID: id, TTL } of stream as AsyncIterable<rpc.LeaseKeepAliveResponse>) {
      answers.push([id, TTL])
    }
    expect(answers).toEqual([
      [ID, '100'],
      ['99', '0'],
    ])
  })

  test('gets code and text of an error', async () => {
    await expect(call(methods.put, {})).rejects.toMatchObject({
      code: grpc.status.INVALID_ARGUMENT,
      details: 'etcdserver: key is not provided',
    })
  })
})
