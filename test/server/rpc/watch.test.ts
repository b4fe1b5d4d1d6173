// The Watch service over a socket, answer by answer: many watchers on one stream, history before
// what is new, nothing lost when connections break, and the corner cases that clients rely on.
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import {
  type DeepPartial,
  PutRequest,
  type WatchCreateRequest,
  WatchRequest,
  WatchResponse,
} from '../../../src/api/gen/rpc.js'
import type { Connection } from '../../../src/connection/connect.js'
import type { Channel, ClientStream } from '../../../src/grpc/channel.js'
import { connected, type Disposable } from '../../connection/connecting.js'
import { seededRandom, startCuttingProxy } from '../../support/cutting-proxy.js'
import { type Embedded, startEmbedded } from '../../support/embedded.js'
import { openPlainChannel } from '../../support/open-plain-channel.js'

let server: Embedded
let client: Disposable<Connection>
let channel: Channel

const bytes = (text: string): Buffer => Buffer.from(text)

beforeAll(async () => {
  server = await startEmbedded({ config: { watchProgressNotifyIntervalMs: 100 } })
  client = await connected(server.endpoint)
  channel = openPlainChannel(server.port)
})
afterAll(async () => {
  await channel?.close()
  await client?.close()
  await server?.[Symbol.asyncDispose]()
})

async function put(key: string, value = 'v'): Promise<number> {
  const { header } = await client.kv.put({ key: bytes(key), value: bytes(value) })
  return Number(header?.revision)
}

/** One Watch call, spoken by hand. */
class Stream {
  readonly #stream: ClientStream = channel.stream('/etcdserverpb.Watch/Watch')
  readonly #answers = this.#stream[Symbol.asyncIterator]()

  send(request: DeepPartial<WatchRequest>): Promise<void> {
    return this.#stream.write(WatchRequest.encode(WatchRequest.fromPartial(request)).finish())
  }
  async create(request: DeepPartial<WatchCreateRequest>): Promise<WatchResponse> {
    await this.send({ create_request: request })
    return this.next()
  }
  async next(): Promise<WatchResponse> {
    const { value, done } = await this.#answers.next()
    if (done) throw new Error('the stream has ended')
    return WatchResponse.decode(value)
  }
  end(): void {
    this.#stream.end()
  }
  [Symbol.dispose](): void {
    this.#stream.cancel()
  }
}

const events = ({ events: all }: WatchResponse) =>
  all.map(({ type, kv }) => `${type === 0 ? 'put' : 'delete'} ${kv?.key}=${kv?.value}`)

describe('a watch stream', () => {
  test('numbers its watchers from 0, and takes numbers that the client gives', async () => {
    using stream = new Stream()
    const key = bytes('numbered')
    expect(await stream.create({ key })).toMatchObject({ watch_id: '0', created: true })
    expect(await stream.create({ key, watch_id: '-7' })).toMatchObject({ watch_id: '-7' })
    expect(await stream.create({ key })).toMatchObject({ watch_id: '1' })
    expect(await stream.create({ key, watch_id: '1' })).toMatchObject({
      watch_id: '-1',
      created: true,
      canceled: true,
      cancel_reason: 'mvcc: duplicate watch ID provided on the WatchStream',
    })
  })

  test.each([
    [{ key: bytes('b'), range_end: bytes('a') }, 'mvcc: watcher range is empty'],
    [
      { key: bytes('b'), start_revision: '-1' },
      'etcdserver: mvcc: required revision has been compacted',
    ],
  ])('refuses %j without ending', async (create, cancel_reason) => {
    using stream = new Stream()
    const refused = { watch_id: '-1', created: true, canceled: true, cancel_reason }
    expect(await stream.create(create)).toMatchObject(refused)
    expect(await stream.create({ key: bytes('b') })).toMatchObject({ watch_id: '0' })
  })

  test('tells history, then what is new, one answer a revision', async () => {
    const first = await put('told', '1')
    await put('told', '2')
    using stream = new Stream()
    await stream.create({ key: bytes('told'), start_revision: String(first), prev_kv: true })
    const history = await stream.next()
    expect(events(history)).toEqual(['put told=1', 'put told=2'])
    expect(history.events.map(({ prev_kv }) => prev_kv?.value.toString())).toEqual([undefined, '1'])
    await put('told', '3')
    await client.kv.deleteRange({ key: bytes('told') })
    const third = await stream.next()
    expect(events(third)).toEqual(['put told=3'])
    const last = await stream.next()
    expect(last.events[0]).toMatchObject({
      type: 1,
      kv: { create_revision: '0', version: '0', mod_revision: last.header?.revision },
      prev_kv: { value: bytes('3') },
    })
  })

  test('keeps the changes of a transaction together, and filters', async () => {
    using stream = new Stream()
    const range = { key: bytes('tx'), range_end: bytes('ty') }
    await stream.create({ ...range, watch_id: '5' })
    await stream.create({ ...range, watch_id: '6', filters: [0] })
    await put('tx0')
    const change = { request_put: { key: bytes('tx1'), value: bytes('v') } }
    await client.kv.txn({ success: [change, { request_delete_range: { key: bytes('tx0') } }] })
    const answers = [await stream.next(), await stream.next(), await stream.next()]
    const of = (id: string) => answers.filter(({ watch_id }) => watch_id === id).map(events)
    expect(of('5')).toEqual([['put tx0=v'], ['put tx1=v', 'delete tx0=']])
    expect(of('6')).toEqual([['delete tx0=']])
  })

  test('cancels without a reason, is silent about strangers, and goes on half-closed', async () => {
    using stream = new Stream()
    await stream.create({ key: bytes('c1') })
    await stream.create({ key: bytes('c2') })
    await stream.send({ cancel_request: { watch_id: '99' } })
    await stream.send({ cancel_request: { watch_id: '0' } })
    expect(await stream.next()).toMatchObject({ watch_id: '0', canceled: true, cancel_reason: '' })
    await put('c1')
    stream.end()
    await put('c2', 'still')
    expect(events(await stream.next())).toEqual(['put c2=still'])
  })

  test('waits for a revision that is to come', async () => {
    const now = await put('future', 'before')
    using stream = new Stream()
    await stream.create({ key: bytes('future'), start_revision: String(now + 2) })
    await put('future', 'too early')
    await put('future', 'in time')
    expect(events(await stream.next())).toEqual(['put future=in time'])
  })

  test('answers a request for progress with the revision of the store', async () => {
    using stream = new Stream()
    await stream.create({ key: bytes('quiet') })
    const revision = await put('another')
    await stream.send({ progress_request: {} })
    expect(await stream.next()).toMatchObject({
      watch_id: '-1',
      events: [],
      header: { revision: String(revision) },
    })
  })

  test('reports progress by itself when asked to', async () => {
    using stream = new Stream()
    await stream.create({ key: bytes('quiet'), progress_notify: true })
    const revision = await put('another')
    let answer = await stream.next()
    while (answer.header?.revision !== String(revision)) answer = await stream.next()
    expect(answer).toMatchObject({ watch_id: '0', created: false, canceled: false, events: [] })
  })

  test('splits an answer that is too large, for those who asked for it', async () => {
    const names = ['big1', 'big2', 'big3', 'big4']
    for (const name of names) await put(name, 'x'.repeat(900_000))
    using stream = new Stream()
    using whole = new Stream()
    const range = { key: bytes('big'), range_end: bytes('bih'), prev_kv: true }
    await stream.create({ ...range, fragment: true })
    await whole.create(range)
    // One revision, with all that it took away.
    const { header } = await client.kv.deleteRange(range)
    const pieces = [await stream.next()]
    while (pieces.at(-1)?.fragment) pieces.push(await stream.next())
    expect(pieces.length).toBeGreaterThan(1)
    const all = pieces.flatMap((piece) => piece.events)
    expect(all.map(({ kv }) => kv?.key.toString())).toEqual(names)
    expect(pieces.every((piece) => piece.header?.revision === header?.revision)).toBe(true)
    expect(await whole.next()).toMatchObject({ fragment: false, events: { length: 4 } })
  })
})

test('what was compacted cannot be watched; the revision that is left can', async () => {
  await using other = await startEmbedded({ storage: 'memory' })
  await using connection = await connected(other.endpoint)
  const key = bytes('k')
  for (const value of ['1', '2', '3']) await connection.kv.put({ key, value: bytes(value) })
  await connection.kv.compact({ revision: '3' })
  const answers: WatchResponse[] = []
  for await (const answer of connection.watch({ key, start_revision: '2' })) answers.push(answer)
  expect(answers.at(-1)).toMatchObject({
    canceled: true,
    compact_revision: '3',
    cancel_reason: '',
    header: { revision: '0' },
  })
  for await (const answer of connection.watch({ key, start_revision: '3' })) {
    if (answer.created) continue
    expect(events(answer)).toEqual(['put k=2', 'put k=3'])
    break
  }
})

test('a thousand watchers are told the same', async () => {
  using stream = new Stream()
  const watcherCount = 1000
  for (let at = 1; at <= watcherCount; at++) {
    await stream.create({ key: bytes('shared'), watch_id: String(at) })
  }
  const seen = new Map<string, string[]>()
  for (const value of ['1', '2', '3']) await put('shared', value)
  for (let left = 3 * watcherCount; left > 0; ) {
    const answer = await stream.next()
    left -= answer.events.length
    seen.set(answer.watch_id, [...(seen.get(answer.watch_id) ?? []), ...events(answer)])
  }
  expect(seen.size).toBe(watcherCount)
  const told = ['put shared=1', 'put shared=2', 'put shared=3']
  expect([...seen.values()].every((each) => each.join() === told.join())).toBe(true)
})

describe('a watch from an old revision through connections that break', () => {
  const range = { key: bytes('cut/'), range_end: bytes('cut0') }
  const written: string[] = []
  let firstRevision = 0
  beforeAll(async () => {
    firstRevision = await put('before')
    const writes = Array.from({ length: 3000 }, (_, at) => write(`put ${at}`))
    await Promise.all(writes)
    for (let txn = 0; txn < 100; txn++) {
      const names = [0, 1, 2, 3].map((at) => `txn ${txn} ${at}`)
      await client.kv.txn({ success: names.map((name) => ({ request_put: pair(name) })) })
      written.push(...names)
    }
  })
  const pair = (name: string) => ({ key: bytes(`cut/${name}`), value: Buffer.alloc(40, 'v') })
  const write = async (name: string): Promise<void> => {
    await client.kv.put(PutRequest.fromPartial(pair(name)))
    written.push(name)
  }

  test.each([1, 2, 3, 4, 5])('loses and repeats nothing, in order (seed %i)', async (seed) => {
    const random = seededRandom(seed)
    await using proxy = await startCuttingProxy({
      target: { host: '127.0.0.1', port: server.port },
      nextLimitBytes: () => 1 + random(250_000),
    })
    await using connection = await connected(`127.0.0.1:${proxy.port}`)
    const last = `last ${seed}`
    let writing: Promise<unknown> | undefined
    const names: string[] = []
    const revisions: number[] = []
    const create = { ...range, start_revision: String(firstRevision) }
    for await (const { events: all } of connection.watch(create)) {
      writing ??= Promise.all([0, 1, 2].map((at) => write(`live ${seed} ${at}`))).then(() =>
        write(last),
      )
      for (const { kv } of all) {
        names.push(kv?.key.subarray(4).toString() ?? '')
        revisions.push(Number(kv?.mod_revision))
      }
      if (names.at(-1) === last) break
    }
    await writing
    expect(names.toSorted()).toEqual(written.toSorted())
    expect(revisions).toEqual(revisions.toSorted((a, b) => a - b))
    expect(proxy.connectionCount).toBeGreaterThan(1)
  })
})
