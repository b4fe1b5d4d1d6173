// The lessor's rules, on a clock moved by hand.
import { expect, test } from 'vitest'
import { Lessor, minTtlSeconds } from '../../src/lease/lessor.js'
import { codeOf } from '../support/error-code.js'

function started({ primary = true } = {}) {
  const clock = { time: 0, now: () => clock.time }
  const deletions: string[][] = []
  const lessor = new Lessor({
    clock,
    minTtlSeconds: 2,
    deleteKeys: (keys) => deletions.push(keys.map((key) => key.toString('latin1'))),
  })
  if (primary) lessor.promote(0)
  const pass = (seconds: number) => {
    clock.time += seconds * 1000
  }
  return { lessor, clock, deletions, pass }
}

const bytes = (text: string) => Buffer.from(text, 'latin1')

test.each([
  [1000, 100, 2],
  [5000, 100, 8],
  [500, 100, 1],
  [1000, 300, 2],
  [50_000, 1000, 75],
])('an election timeout of %i ms in beats of %i ms makes a minimum TTL of %i s', (e, h, ttl) => {
  expect(minTtlSeconds({ electionTimeoutMs: e, heartbeatIntervalMs: h })).toBe(ttl)
})

test.each([
  [60, 60],
  [2, 2],
  [1, 2],
  [0, 2],
  [-7, 2],
  [9_000_000_000, 9_000_000_000],
])('a grant for %i seconds lasts %i', (asked, granted) => {
  const { lessor } = started()
  expect(lessor.grant(1n, asked).ttlSeconds).toBe(granted)
  expect(lessor.timeToLive(1n)).toEqual({
    id: 1n,
    ttlSeconds: granted,
    remainingSeconds: granted,
    keys: [],
  })
})

test('a TTL that is too large, an id in use and an unknown lease have their errors', () => {
  const { lessor } = started()
  lessor.grant(-1n, 60)
  expect([
    codeOf(() => lessor.grant(2n, 9_000_000_001)),
    codeOf(() => lessor.grant(-1n, 60)),
    codeOf(() => lessor.revoke(2n)),
    codeOf(() => lessor.checkpoint({ id: 2n, remainingTtlSeconds: 1 })),
  ]).toEqual(['leaseTtlTooLarge', 'leaseExists', 'leaseNotFound', 'leaseNotFound'])
  expect([lessor.timeToLive(2n), lessor.has(2n), lessor.size]).toEqual([undefined, false, 1])
})

test('revoking a lease deletes its keys at once, in byte order, or none if it has none', () => {
  const { lessor, deletions } = started()
  lessor.grant(1n, 60)
  lessor.grant(2n, 60)
  for (const key of ['b', '\xff', 'a', 'B', 'a\0']) lessor.attach(1n, bytes(key))
  lessor.revoke(2n)
  lessor.revoke(1n)
  expect(deletions).toEqual([['B', 'a', 'a\0', 'b', '\xff']])
  expect([lessor.has(1n), codeOf(() => lessor.revoke(1n))]).toEqual([false, 'leaseNotFound'])
})

test('a key belongs to the lease of its latest put alone', () => {
  const { lessor } = started()
  const keys = (id: bigint) => lessor.timeToLive(id)?.keys.map((key) => key.toString())
  lessor.grant(1n, 60)
  lessor.grant(2n, 60)
  for (const key of ['a', 'b', 'c']) expect(lessor.attach(1n, bytes(key))).toBe(true)
  lessor.attach(2n, bytes('b'))
  lessor.attach(0n, bytes('c'))
  lessor.attach(0n, bytes('nobody'))
  expect([keys(1n), keys(2n)]).toEqual([['a'], ['b']])
  expect(lessor.attach(3n, bytes('a'))).toBe(false)
  expect(keys(1n)).toEqual(['a'])
})

test('remaining seconds are rounded down, and leases come in order of what remains', () => {
  const { lessor, pass } = started()
  lessor.grant(1n, 100)
  lessor.grant(2n, 50)
  pass(30.001)
  lessor.grant(3n, 10)
  expect([1n, 2n, 3n].map((id) => lessor.timeToLive(id)?.remainingSeconds)).toEqual([69, 19, 10])
  expect(lessor.leases()).toEqual([3n, 2n, 1n])
  pass(10.5)
  expect(lessor.timeToLive(3n)?.remainingSeconds).toBe(-1)
})

test('an expired lease is reported once, and again when nobody revoked it', () => {
  const { lessor, pass } = started()
  lessor.grant(1n, 5)
  lessor.grant(2n, 6)
  pass(4.999)
  expect(lessor.expired()).toEqual([])
  pass(0.001)
  expect(lessor.expired()).toEqual([1n])
  pass(1)
  expect(lessor.expired()).toEqual([2n])
  lessor.revoke(2n)
  pass(5.999)
  expect(lessor.expired()).toEqual([])
  pass(0.001)
  expect(lessor.expired()).toEqual([1n])
})

test('a check reports at most 500 leases', () => {
  const { lessor, pass } = started()
  for (let id = 1n; id <= 1200n; id++) lessor.grant(id, 5)
  pass(5)
  expect([1, 2, 3, 4].map(() => lessor.expired().length)).toEqual([500, 500, 200, 0])
})

test('a renewal starts the time anew and answers with the TTL of a lease that exists', async () => {
  const { lessor, pass } = started()
  lessor.grant(1n, 10)
  pass(9)
  expect(await lessor.renew(1n)).toBe(10)
  pass(9)
  expect([lessor.expired(), lessor.timeToLive(1n)?.remainingSeconds]).toEqual([[], 1])
  expect(await lessor.renew(2n)).toBeUndefined()
})

test('the renewal of an expired lease waits for its revocation', async () => {
  const { lessor, pass } = started()
  lessor.grant(1n, 10)
  pass(10)
  const order: string[] = []
  const renewal = lessor.renew(1n).then((ttl) => order.push(`renewed ${ttl}`))
  await Promise.resolve()
  order.push('revoked')
  lessor.revoke(1n)
  await renewal
  expect(order).toEqual(['revoked', 'renewed undefined'])
})

test('only a primary renews, and one that is demoted fails those who wait', async () => {
  const { lessor, pass } = started()
  lessor.grant(1n, 10)
  pass(10)
  const waiting = lessor.renew(1n)
  lessor.demote()
  await expect(waiting).rejects.toMatchObject({ code: 'notLeader' })
  await expect(lessor.renew(1n)).rejects.toMatchObject({ code: 'notLeader' })
})

test('nothing expires unless this member is primary', () => {
  const { lessor, pass } = started({ primary: false })
  lessor.grant(1n, 5)
  pass(1000)
  expect([lessor.expired(), lessor.timeToLive(1n)?.remainingSeconds]).toEqual([
    [],
    9_223_372_036, // forever, in etcd's words
  ])
  lessor.promote(1000)
  expect(lessor.timeToLive(1n)?.remainingSeconds).toBe(6) // the full TTL and the extension
  pass(6)
  lessor.demote()
  expect(lessor.expired()).toEqual([])
  expect(lessor.leases()).toEqual([1n])
})

test('a new primary spreads a thousand leases that would expire together', () => {
  const { lessor, clock } = started({ primary: false })
  for (let id = 1n; id <= 3000n; id++) lessor.grant(id, 10)
  lessor.promote(0)
  const perSecond: number[] = []
  for (let second = 10; second < 15; second++) {
    clock.time = second * 1000
    let count = 0
    for (let some = lessor.expired().length; some > 0; some = lessor.expired().length) count += some
    perSecond.push(count)
  }
  expect(perSecond).toEqual([750, 750, 750, 750, 0])
})

test('fewer leases than that keep their time', () => {
  const { lessor, pass } = started({ primary: false })
  for (let id = 1n; id <= 999n; id++) lessor.grant(id, 10)
  lessor.promote(0)
  pass(10)
  expect([lessor.expired().length, lessor.expired().length]).toEqual([500, 499])
})

test('long leases are checkpointed every five minutes; a new primary goes on from there', () => {
  const { lessor, pass } = started()
  lessor.grant(1n, 300) // not long enough
  lessor.grant(2n, 3600)
  pass(299.9)
  expect(lessor.dueCheckpoints()).toEqual([])
  pass(0.1)
  const [due, ...others] = lessor.dueCheckpoints()
  expect([due, others]).toEqual([{ id: 2n, remainingTtlSeconds: 3300 }, []])
  if (due !== undefined) lessor.checkpoint(due)
  expect(lessor.dueCheckpoints()).toEqual([])
  expect(lessor.records()).toEqual([
    { id: 1n, ttlSeconds: 300, remainingTtlSeconds: 0 },
    { id: 2n, ttlSeconds: 3600, remainingTtlSeconds: 3300 },
  ])
  pass(100)
  lessor.demote()
  lessor.promote(1000)
  expect(lessor.timeToLive(2n)?.remainingSeconds).toBe(3301)
  pass(300)
  expect(lessor.dueCheckpoints()).toEqual([{ id: 2n, remainingTtlSeconds: 3001 }])
})

test('a renewal forgets the checkpoint', async () => {
  const { lessor } = started()
  lessor.grant(1n, 3600)
  lessor.checkpoint({ id: 1n, remainingTtlSeconds: 1000 })
  expect(lessor.takeBack(1n)).toEqual({ id: 1n, remainingTtlSeconds: 0 })
  expect(await lessor.renew(1n)).toBe(3600)
  expect(lessor.timeToLive(1n)?.remainingSeconds).toBe(3600)
  expect(lessor.takeBack(1n)).toBeUndefined()
})

test('an expired lease keeps its checkpoint, whoever asks for a renewal', () => {
  const { lessor, pass } = started()
  lessor.grant(1n, 3600)
  pass(300)
  for (const due of lessor.dueCheckpoints()) lessor.checkpoint(due)
  expect(lessor.takeBack(1n)).toBeDefined()
  pass(3300)
  expect(lessor.takeBack(1n)).toBeUndefined()
  lessor.demote()
  lessor.promote(0)
  expect(lessor.timeToLive(1n)?.remainingSeconds).toBe(3300)
})

test('a renewal takes back a checkpoint that is on its way', async () => {
  const { lessor, pass } = started()
  lessor.grant(1n, 3600)
  pass(300)
  const [late] = lessor.dueCheckpoints()
  const forgotten = lessor.takeBack(1n)
  expect([late, forgotten]).toEqual([
    { id: 1n, remainingTtlSeconds: 3300 },
    { id: 1n, remainingTtlSeconds: 0 },
  ])
  // In the order of the log.
  for (const one of [late, forgotten]) if (one !== undefined) lessor.checkpoint(one)
  expect(await lessor.renew(1n)).toBe(3600)
  lessor.demote()
  lessor.promote(0)
  expect(lessor.timeToLive(1n)?.remainingSeconds).toBe(3600)
})

test('while a renewal takes back a checkpoint, no other is due', () => {
  const { lessor, pass } = started()
  lessor.grant(1n, 3600)
  pass(300)
  for (const due of lessor.dueCheckpoints()) lessor.checkpoint(due)
  pass(299)
  expect(lessor.takeBack(1n)).toBeDefined()
  pass(1)
  expect(lessor.dueCheckpoints()).toEqual([])
  pass(299)
  expect(lessor.dueCheckpoints()).toEqual([{ id: 1n, remainingTtlSeconds: 2701 }])
})

test('after a restart leases have their full TTL, or what a checkpoint left, and their keys', () => {
  const { lessor, deletions, pass } = started({ primary: false })
  lessor.grant(99n, 60)
  lessor.restore([
    { id: 1n, ttlSeconds: 60, remainingTtlSeconds: 0 },
    { id: 2n, ttlSeconds: 3600, remainingTtlSeconds: 40 },
    { id: 3n, ttlSeconds: 1, remainingTtlSeconds: 0 },
  ])
  lessor.attach(1n, bytes('key'))
  lessor.promote(0)
  expect(lessor.leases()).toEqual([3n, 2n, 1n])
  expect([1n, 2n, 3n].map((id) => lessor.timeToLive(id)?.remainingSeconds)).toEqual([60, 40, 2])
  pass(60)
  expect(lessor.expired()).toEqual([3n, 2n, 1n])
  lessor.revoke(1n)
  expect(deletions).toEqual([['key']])
})
