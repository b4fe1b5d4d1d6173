// What client libraries depend on and imitations get wrong: watches, leases, and calls that are
// broken off. The numbers are those of the whole list of thirty.
import { beforeAll, expect, it } from 'vitest'
import { LockRequest, LockResponse } from '../../../src/api/gen/lock.js'
import * as rpc from '../../../src/api/gen/rpc.js'
import { outcomeOf } from '../../server/token-client.js'
import { newManualClock } from '../../support/manual-clock.js'
import { openPlainChannel } from '../../support/open-plain-channel.js'
import {
  bytes,
  del,
  events,
  fieldsOnWire,
  type Ground,
  keepAlives,
  onBoth,
  put,
  timeIsOver,
  Watching,
} from './ground.js'

onBoth({}, (ground) => {
  let client: Ground['client']
  beforeAll(() => {
    client = ground().client
  })

  const write = async (key: string, value = 'v', more = {}) => {
    const answer = await client.call('Put', { key: bytes(key), value: bytes(value), ...more })
    return Number(answer.header?.revision)
  }
  const remove = async (key: string) => {
    const { header } = await client.call('DeleteRange', { key: bytes(key) })
    return Number(header?.revision)
  }

  it('10: created comes first, ids begin at 0 and 0 is absent; given ids, failed creates, unknown and own cancels', async () => {
    using watch = new Watching(ground())
    const key = bytes('ids')
    const first = { watch_id: '0', created: true, canceled: false, events: [] }
    expect(await watch.create({ key })).toMatchObject(first)
    expect(fieldsOnWire(watch.bytes)).toEqual([1, 3])
    expect(await watch.create({ key, watch_id: '42' })).toMatchObject({ watch_id: '42' })
    expect(await watch.create({ key })).toMatchObject({ watch_id: '1' })
    const failed = { watch_id: '-1', created: true, canceled: true, compact_revision: '0' }
    expect(await watch.create({ key, watch_id: '42' })).toMatchObject({
      ...failed,
      cancel_reason: 'mvcc: duplicate watch ID provided on the WatchStream',
    })
    expect(await watch.create({ key, range_end: key })).toMatchObject({
      ...failed,
      cancel_reason: 'mvcc: watcher range is empty',
    })
    await watch.send({ cancel_request: { watch_id: '404' } })
    await watch.send({ cancel_request: { watch_id: '42' } })
    // The first answer is to the second request: the other one has none.
    expect(await watch.next()).toMatchObject({
      watch_id: '42',
      created: false,
      canceled: true,
      cancel_reason: '',
      compact_revision: '0',
    })
    expect(await watch.create({ key, watch_id: '42' })).toMatchObject({ watch_id: '42' })
  })

  it('11: a watch of what was compacted is created, then canceled with a revision from which it can begin anew', async () => {
    const key = bytes('compacted')
    const first = await write('compacted', '1')
    await write('compacted', '2')
    const last = await write('compacted', '3')
    await client.call('Compact', { revision: String(last) })
    using watch = new Watching(ground())
    const created = await watch.create({ key, start_revision: String(first) })
    expect(created).toMatchObject({ created: true, canceled: false })
    const canceled = await watch.next()
    expect(canceled).toMatchObject({
      watch_id: created.watch_id,
      canceled: true,
      compact_revision: String(last),
      header: { revision: '0' },
    })
    await watch.create({ key, start_revision: canceled.compact_revision })
    expect(events(await watch.next())).toEqual(['put compacted=3'])
  })

  it('12: all events of a revision are in one answer, and from the last revision and one on none comes twice or out of order', async () => {
    const from = await write('one/0')
    const range = { key: bytes('one/'), range_end: bytes('one0') }
    for (const round of [1, 2, 3]) {
      const success = ['c', 'a', 'b'].map((name) => put(`one/${name}`, String(round)))
      await client.call('Txn', { success })
    }
    const names: string[] = []
    let last = from - 1
    while (names.length < 10) {
      using watch = new Watching(ground())
      await watch.create({ ...range, start_revision: String(last + 1) })
      const answer = await watch.next()
      const revisions = answer.events.map(({ kv }) => Number(kv?.mod_revision))
      expect(revisions).toEqual(revisions.toSorted((a, b) => a - b))
      names.push(...events(answer))
      last = revisions.at(-1) ?? 0
      // Never cut within a revision: the first put, then threes.
      expect((names.length - 1) % 3).toBe(0)
    }
    const told = [1, 2, 3].flatMap((round) => ['c', 'a', 'b'].map((at) => `put one/${at}=${round}`))
    expect(names).toEqual(['put one/0=v', ...told])
  })

  it('13: a delete has key and mod_revision alone, prev_kv for who asked; a lease that ends deletes its keys, sorted, in one revision', async () => {
    using watch = new Watching(ground())
    const range = { key: bytes('gone/'), range_end: bytes('gone0') }
    await watch.create({ ...range, watch_id: '1' })
    await watch.create({ ...range, watch_id: '2', prev_kv: true })
    const next = async () => {
      const both = [await watch.next(), await watch.next()]
      return both.toSorted((a, b) => Number(a.watch_id) - Number(b.watch_id))
    }
    await write('gone/a', 'before')
    await next()
    const revision = await remove('gone/a')
    const bare = { key: bytes('gone/a'), mod_revision: String(revision) }
    const zero = { create_revision: '0', version: '0', lease: '0', value: bytes('') }
    const [plain, asked] = await next()
    expect(plain?.events).toMatchObject([{ type: 1, kv: { ...bare, ...zero } }])
    expect(plain?.events[0]?.prev_kv).toBeUndefined()
    expect(asked?.events).toMatchObject([{ kv: bare, prev_kv: { value: bytes('before') } }])
    // So long that the machine may be busy between here and the keys.
    const { ID } = await client.call('LeaseGrant', { TTL: '5' })
    const success = ['c', 'a', 'b'].map((name) => ({
      request_put: { key: bytes(`gone/${name}`), value: bytes('v'), lease: ID },
    }))
    const { header } = await client.call('Txn', { success })
    await next()
    const [expired] = await next()
    expect(events(expired ?? rpc.WatchResponse.create())).toEqual(
      ['a', 'b', 'c'].map((name) => `delete gone/${name}`),
    )
    const at = new Set(expired?.events.map(({ kv }) => kv?.mod_revision))
    expect([...at]).toEqual([String(Number(header?.revision) + 1)])
  })

  it('14: a request for progress is answered with id -1 and the current revision, when all before is told', async () => {
    using watch = new Watching(ground())
    await watch.create({ key: bytes('progress') })
    await write('progress')
    const now = await write('progress elsewhere')
    expect(events(await watch.next())).toEqual(['put progress=v'])
    await watch.send({ progress_request: {} })
    expect(await watch.next()).toMatchObject({
      watch_id: '-1',
      header: { revision: String(now) },
      created: false,
      canceled: false,
      events: [],
    })
  })

  it('15: half-closed, a watch goes on and keep-alives end well', async () => {
    using watch = new Watching(ground())
    await watch.create({ key: bytes('half') })
    watch.endRequests()
    await write('half')
    expect(events(await watch.next())).toEqual(['put half=v'])
    using alive = keepAlives(ground())
    const { ID } = await client.call('LeaseGrant', { TTL: '100' })
    await alive.send({ ID })
    expect(await alive.next()).toMatchObject({ ID, TTL: '100' })
    alive.endRequests()
    await alive.ended()
  })

  it('16: each keep-alive has one answer; for a lease that is gone TTL is absent and the stream goes on; its time to live is -1', async () => {
    using alive = keepAlives(ground())
    const { ID } = await client.call('LeaseGrant', { TTL: '100' })
    for (const id of [ID, '404', ID]) await alive.send({ ID: id })
    expect(await alive.next()).toMatchObject({ ID, TTL: '100' })
    expect(await alive.next()).toMatchObject({ ID: '404', TTL: '0' })
    expect(fieldsOnWire(alive.bytes)).toEqual([1, 2])
    expect(await alive.next()).toMatchObject({ ID, TTL: '100' })
    const gone = await client.call('LeaseTimeToLive', { ID: '404', keys: true })
    expect(gone).toMatchObject({ ID: '404', TTL: '-1', grantedTTL: '0', keys: [] })
    expect(await client.outcome('LeaseRevoke', { ID: '404' })).toBe(
      'NotFound: etcdserver: requested lease not found',
    )
  })

  it('17: a lease shorter than the minimum is raised to it, and the answer says so', async () => {
    for (const TTL of ['0', '1', '-5']) {
      const { ID, TTL: granted } = await client.call('LeaseGrant', { TTL })
      expect(granted).toBe('2')
      const { grantedTTL } = await client.call('LeaseTimeToLive', { ID })
      expect(grantedTTL).toBe('2')
    }
    expect(await client.outcome('LeaseGrant', { TTL: '9000000001' })).toBe(
      'OutOfRange: etcdserver: too large lease TTL',
    )
  })

  it('21: a call that is cancelled, or whose time is over, stops waiting; what it had done before stands or is taken back', async () => {
    const clock = newManualClock()
    const channel = openPlainChannel(ground().port, { clock })
    const lock = async (lease: string, options: object) => {
      const request = LockRequest.encode({ name: bytes('waited for'), lease }).finish()
      return LockResponse.decode(await channel.unary('/v3lockpb.Lock/Lock', request, options))
    }
    const [holder, waiter] = await Promise.all(
      [1, 2].map(async () => (await client.call('LeaseGrant', { TTL: '1000' })).ID),
    )
    const { key } = await lock(holder ?? '', {})
    using watch = new Watching(ground())
    await watch.create({ key: bytes('waited for/'), range_end: bytes('waited for0') })
    const own = `waited for/${BigInt(waiter ?? 0).toString(16)}`
    const controller = new AbortController()
    const cancelled = outcomeOf(lock(waiter ?? '', { signal: controller.signal }))
    expect(events(await watch.next())).toEqual([`put ${own}=`])
    controller.abort()
    expect(await cancelled).toMatch(/^Canceled: /)
    expect(events(await watch.next())).toEqual([`delete ${own}`])
    const late = outcomeOf(lock(waiter ?? '', { deadlineMs: 60_000 }))
    expect(events(await watch.next())).toEqual([`put ${own}=`])
    clock.advance(60_000)
    expect(await late).toMatch(timeIsOver)
    expect(events(await watch.next())).toEqual([`delete ${own}`])
    // The one that holds it noticed nothing.
    expect((await client.call('Range', { key })).count).toBe('1')
    await client.call('Txn', { success: [del(key.toString())] })
    await channel.close()
  })
})
