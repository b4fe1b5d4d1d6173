// The watch hub's rules, one by one.
import { expect, test } from 'vitest'
import { Event } from '../../src/api/gen/kv.js'
import type { WatchBatch, WatchStream } from '../../src/mvcc/watchable-store.js'
import { WatchableStore } from '../../src/mvcc/watchable-store.js'
import { encodeRevision } from '../../src/storage/schema.js'

const bytes = (text: string) => Buffer.from(text, 'latin1')
const openEnd = bytes('\0')

function put(store: WatchableStore, key: string, value: string): void {
  const txn = store.begin()
  txn.put(bytes(key), bytes(value), 0n)
  txn.end()
}

function remove(store: WatchableStore, key: string): void {
  const txn = store.begin()
  txn.deleteRange(bytes(key), undefined)
  txn.end()
}

function compact(store: WatchableStore, revision: number): void {
  store.compact(revision)
  for (const _ of store.compactionSteps()) void _
}

function taken(stream: WatchStream): WatchBatch[] {
  const batches: WatchBatch[] = []
  for (let batch = stream.take(); batch !== undefined; batch = stream.take()) batches.push(batch)
  return batches
}

/** Batches as one line each: "0 created @1", "0 @3 a=1 b†". */
function lines(batches: readonly WatchBatch[]): string[] {
  return batches.map((batch) => {
    const { compactRevision, cancelReason, ...notice } = batch.notice ?? {}
    const events = batch.events.map(({ kv, prev, type }) => {
      const change = type === 'put' ? `${kv.keyText}=${kv.value}` : `${kv.keyText}†`
      return prev === undefined ? change : `${change}(${prev.value})`
    })
    return [
      batch.watchId,
      ...(notice.created ? ['created'] : []),
      ...(notice.canceled ? ['canceled'] : []),
      `@${batch.revision}`,
      ...(compactRevision === undefined ? [] : [`compacted ${compactRevision}`]),
      ...(cancelReason === undefined ? [] : [cancelReason]),
      ...events,
    ].join(' ')
  })
}

const told = (stream: WatchStream) => lines(taken(stream))

/** a=1 at 2, b=1 at 3, a=2 at 4, a deleted at 5. */
function filled(): WatchableStore {
  const store = new WatchableStore()
  put(store, 'a', '1')
  put(store, 'b', '1')
  put(store, 'a', '2')
  remove(store, 'a')
  return store
}

test('a watcher is told created first, then each revision as it is made', () => {
  const store = filled()
  const stream = store.newWatchStream()
  expect(stream.create({ key: bytes('a') })).toEqual({ watchId: 0n })
  put(store, 'a', '3')
  put(store, 'b', '2')
  remove(store, 'a')
  expect(told(stream)).toEqual(['0 created @5', '0 @6 a=3', '0 @8 a†'])
})

test('a transaction arrives whole, in the order of its changes', () => {
  const store = new WatchableStore()
  const stream = store.newWatchStream()
  stream.create({ key: bytes('a'), end: bytes('c') })
  const txn = store.begin()
  txn.put(bytes('b'), bytes('1'), 0n)
  txn.put(bytes('x'), bytes('1'), 0n)
  txn.put(bytes('a'), bytes('1'), 0n)
  txn.deleteRange(bytes('b'), undefined)
  txn.end()
  expect(told(stream)).toEqual(['0 created @1', '0 @2 b=1 a=1 b†'])
})

test.each([
  [0, []],
  [1, ['0 @5 a=1 a=2 a†']],
  [2, ['0 @5 a=1 a=2 a†']],
  [4, ['0 @5 a=2 a†']],
  [5, ['0 @5 a†']],
  [6, []],
])('a start at %i replays what was made from there on', (startRevision, expected) => {
  const stream = filled().newWatchStream()
  stream.create({ key: bytes('a'), startRevision })
  expect(told(stream)).toEqual(['0 created @5', ...expected])
})

test('a range replays like a single key', () => {
  const stream = filled().newWatchStream()
  stream.create({ key: bytes('a'), end: openEnd, startRevision: 3 })
  expect(told(stream)).toEqual(['0 created @5', '0 @5 b=1 a=2 a†'])
})

test('a start in the future waits for its revision', () => {
  const store = filled()
  const stream = store.newWatchStream()
  stream.create({ key: bytes('a'), startRevision: 8 })
  for (const value of ['6', '7', '8']) put(store, 'a', value)
  expect(told(stream)).toEqual(['0 created @5', '0 @8 a=8'])
})

test('a start below the compact revision is created and then canceled; at it, it is served', () => {
  const store = filled()
  compact(store, 4)
  const stream = store.newWatchStream()
  stream.create({ key: bytes('a'), startRevision: 3 })
  stream.create({ key: bytes('a'), startRevision: 4 })
  expect(told(stream)).toEqual([
    '0 created @5',
    '1 created @5',
    '0 canceled @0 compacted 4',
    '1 @5 a=2 a†',
  ])
  expect(stream.cancel(0n)).toBe(false)
  expect(store.watcherCount).toBe(1)
})

test('a deletion exactly at the compact revision can still be watched', () => {
  const store = filled()
  put(store, 'c', '1')
  compact(store, 5)
  const stream = store.newWatchStream()
  stream.create({ key: bytes('a'), startRevision: 5 })
  expect(told(stream)).toEqual(['0 created @6', '0 @6 a†'])
})

test.each([
  ['an end at the key', { key: bytes('b'), end: bytes('b') }, 'mvcc: watcher range is empty'],
  ['an end below the key', { key: bytes('b'), end: bytes('a') }, 'mvcc: watcher range is empty'],
  [
    'a start below zero',
    { key: bytes('b'), startRevision: -1 },
    'etcdserver: mvcc: required revision has been compacted',
  ],
  [
    'an id in use',
    { key: bytes('b'), watchId: 7n },
    'mvcc: duplicate watch ID provided on the WatchStream',
  ],
])('%s fails the create and leaves the stream usable', (_, request, reason) => {
  const store = filled()
  const stream = store.newWatchStream()
  stream.create({ key: bytes('a'), watchId: 7n })
  expect(stream.create(request)).toEqual({ watchId: -1n, failed: reason })
  put(store, 'a', '3')
  expect(told(stream)).toEqual(['7 created @5', `-1 created canceled @5 ${reason}`, '7 @6 a=3'])
})

test('chosen ids skip those in use, and an id can be used again after its cancel', () => {
  const stream = new WatchableStore().newWatchStream()
  const id = (watchId?: bigint) =>
    stream.create({ key: bytes('a'), ...(watchId === undefined ? {} : { watchId }) }).watchId
  expect([id(), id(2n), id(-5n), id(), id(0n)]).toEqual([0n, 2n, -5n, 1n, 3n])
  expect([stream.cancel(2n), id(2n), stream.cancel(99n)]).toEqual([true, 2n, false])
})

test('after its cancel a watcher is told nothing more', () => {
  const store = filled()
  const stream = store.newWatchStream()
  stream.create({ key: bytes('a') })
  put(store, 'a', '3')
  stream.cancel(0n)
  put(store, 'a', '4')
  expect(told(stream)).toEqual(['0 created @5', '0 @6 a=3', '0 canceled @6'])
  expect(store.watcherCount).toBe(0)
})

test('no key means every key', () => {
  const store = new WatchableStore()
  const stream = store.newWatchStream()
  stream.create({ key: bytes(''), end: openEnd })
  put(store, '\0', 'lowest')
  put(store, '\xff\xff', 'highest')
  expect(told(stream)).toEqual(['0 created @1', '0 @2 \0=lowest', '0 @3 \xff\xff=highest'])
})

test('filters drop events, and a revision of which nothing is left is not told', () => {
  const store = filled()
  const stream = store.newWatchStream()
  const request = { key: bytes('a'), startRevision: 2 }
  stream.create({ ...request, filters: { noPut: true } })
  stream.create({ ...request, filters: { noDelete: true } })
  stream.create({ ...request, filters: { noPut: true, noDelete: true } })
  put(store, 'a', '3')
  expect(told(stream).slice(3)).toEqual(['0 @6 a†', '1 @6 a=1 a=2 a=3'])
  put(store, 'a', '4')
  remove(store, 'a')
  expect(told(stream)).toEqual(['1 @7 a=4', '0 @8 a†'])
})

test('the pair before the event is told to those who asked, live and from history', () => {
  const store = new WatchableStore()
  const live = store.newWatchStream()
  live.create({ key: bytes('a'), prevKv: true })
  live.create({ key: bytes('a') })
  put(store, 'a', '1')
  put(store, 'a', '2')
  remove(store, 'a')
  put(store, 'a', '3')
  const late = store.newWatchStream()
  late.create({ key: bytes('a'), prevKv: true, startRevision: 2 })
  const expected = ['a=1', 'a=2(1)', 'a†(2)', 'a=3']
  expect(told(live).filter((line) => line.startsWith('0 @'))).toEqual(
    expected.map((event, i) => `0 @${i + 2} ${event}`),
  )
  expect(told(late)).toEqual(['0 created @5', `0 @5 ${expected.join(' ')}`])
})

test('the pair before the event is missing once it is compacted', () => {
  const store = filled()
  compact(store, 4)
  const stream = store.newWatchStream()
  stream.create({ key: bytes('a'), prevKv: true, startRevision: 4 })
  expect(told(stream)).toEqual(['0 created @5', '0 @5 a=2 a†(2)'])
})

test('an event is encoded once, as etcd encodes it, and shared by its watchers', () => {
  const store = filled()
  const stream = store.newWatchStream()
  for (const prevKv of [false, false, true]) stream.create({ key: bytes('b'), prevKv })
  put(store, 'b', '2')
  remove(store, 'b')
  const batches = taken(stream).slice(3)
  const events = batches.flatMap((batch) => batch.events)
  expect(events[0]).toBe(events[1])
  const decoded = events.map(({ encoded }) => Event.decode(encoded))
  const pair = { key: bytes('b'), create_revision: '3', mod_revision: '6', version: '2' }
  const after = { ...pair, value: bytes('2'), lease: '0' }
  const before = { ...after, mod_revision: '3', version: '1', value: bytes('1') }
  const nothing = { create_revision: '0', version: '0', value: bytes(''), lease: '0' }
  const gone = { ...nothing, key: bytes('b'), mod_revision: '7' }
  expect(decoded[0]).toEqual({ type: 0, kv: after, prev_kv: undefined })
  expect(decoded[2]).toEqual({ type: 0, kv: after, prev_kv: before })
  expect(decoded[3]).toEqual({ type: 1, kv: gone, prev_kv: undefined })
  expect(decoded[5]).toEqual({ type: 1, kv: gone, prev_kv: after })
})

test('history comes in batches of a thousand revisions, each headed by the newest revision', () => {
  const store = new WatchableStore()
  for (let i = 0; i < 2500; i++) put(store, 'a', String(i))
  const stream = store.newWatchStream()
  stream.create({ key: bytes('a'), startRevision: 1 })
  const batches = taken(stream).slice(1)
  expect(batches.map(({ events }) => events.length)).toEqual([1000, 1000, 500])
  expect(batches.map(({ revision }) => revision)).toEqual([2501, 2501, 2501])
  expect(batches.flatMap(({ events }) => events.map(({ kv }) => kv.main))).toEqual(
    Array.from({ length: 2500 }, (_, i) => i + 2),
  )
})

test('a batch of large values ends early, between two revisions', () => {
  const store = new WatchableStore()
  const value = Buffer.alloc(400_000)
  for (let i = 0; i < 4; i++) {
    const txn = store.begin()
    txn.put(bytes('a'), value, 0n)
    txn.put(bytes('b'), value, 0n)
    txn.end()
  }
  const stream = store.newWatchStream()
  stream.create({ key: bytes('a'), end: openEnd, startRevision: 1 })
  expect(taken(stream).map(({ events }) => events.length)).toEqual([0, 4, 4])
})

test('a slow client holds 128 batches; what it missed comes from history, nothing twice', () => {
  const store = new WatchableStore()
  const stream = store.newWatchStream()
  stream.create({ key: bytes('a') })
  for (let i = 0; i < 1000; i++) put(store, 'a', String(i))
  expect([store.slowWatcherCount, stream.take()?.notice?.created]).toEqual([1, true])
  const batches = taken(stream)
  expect(batches.length).toBe(128 + 1)
  expect(batches.at(-1)).toMatchObject({ revision: 1001 })
  expect(batches.flatMap(({ events }) => events.map(({ kv }) => kv.main))).toEqual(
    Array.from({ length: 1000 }, (_, i) => i + 2),
  )
  put(store, 'a', 'live again')
  expect(told(stream)).toEqual(['0 @1002 a=live again'])
  expect(store.slowWatcherCount).toBe(0)
})

test('a client with many watchers holds four small batches for each, and few large ones', () => {
  const store = new WatchableStore()
  const stream = store.newWatchStream()
  for (let id = 0; id < 1000; id++) stream.create({ key: bytes('a') })
  const slow = ['1', '2', '3', '4', '5'].map((value) => {
    put(store, 'a', value)
    return store.slowWatcherCount
  })
  expect(slow).toEqual([0, 0, 0, 0, 1000])
  const seen = new Map<bigint, string[]>()
  const see = () => {
    for (const { watchId, events } of taken(stream)) {
      seen.set(watchId, [...(seen.get(watchId) ?? []), ...events.map(({ kv }) => `${kv.value}`)])
    }
  }
  see()
  expect(seen.size).toBe(1000)
  expect(new Set([...seen.values()].map((values) => values.join(' ')))).toEqual(
    new Set(['1 2 3 4 5']),
  )
  // The 129th of these is the first that would go beyond the number that any client may hold.
  put(store, 'a', 'v'.repeat(16 * 1024))
  expect(store.slowWatcherCount).toBe(1000 - 128)
})

test('watchers of a client that takes nothing keep their place and leave no trace', () => {
  const store = new WatchableStore()
  const stuck = store.newWatchStream()
  for (let id = 0; id < 300; id++) stuck.create({ key: bytes('a'), end: openEnd })
  const other = store.newWatchStream()
  other.create({ key: bytes('b') })
  for (let i = 0; i < 20; i++) put(store, 'a', String(i))
  expect(store.slowWatcherCount).toBe(300)
  expect(store.syncWatchers()).toBe(false)
  other.create({ key: bytes('a'), startRevision: 2 })
  expect(told(other).length).toBe(3)
  expect(store.slowWatcherCount).toBe(300)
  stuck.cancel(7n)
  expect(store.slowWatcherCount).toBe(299)
  const batches = taken(stuck)
  const counts = new Map<bigint, number>()
  for (const { watchId, events } of batches) {
    counts.set(watchId, (counts.get(watchId) ?? 0) + events.length)
  }
  expect([...counts.values()].filter((count) => count === 20).length).toBe(299)
  expect([store.slowWatcherCount, store.watcherCount]).toEqual([0, 301])
  stuck.close()
  other.close()
  expect([store.slowWatcherCount, store.watcherCount]).toEqual([0, 0])
})

test('a compaction that overtakes a slow client ends its watcher, after what was queued', () => {
  const store = new WatchableStore()
  const stream = store.newWatchStream()
  stream.create({ key: bytes('a') })
  for (let i = 0; i < 200; i++) put(store, 'a', String(i))
  compact(store, 190)
  const batches = taken(stream)
  expect(batches.length).toBe(1 + 128 + 1)
  expect(lines(batches.slice(-1))).toEqual(['0 canceled @0 compacted 190'])
})

test('syncWatchers() fills streams that nobody pulls, and says when it is done', () => {
  const store = new WatchableStore()
  for (let i = 0; i < 1500; i++) put(store, 'a', '')
  const streams = [store.newWatchStream(), store.newWatchStream()]
  for (const stream of streams) stream.create({ key: bytes('a'), startRevision: 1 })
  expect([store.syncWatchers(), store.syncWatchers(), store.syncWatchers()]).toEqual([
    true,
    false,
    false,
  ])
  expect(store.slowWatcherCount).toBe(0)
})

/** So many keys in one transaction. */
function putMany(store: WatchableStore, prefix: string, count: number): void {
  const txn = store.begin()
  for (let i = 0; i < count; i++) txn.put(bytes(`${prefix}${i}`), bytes(''), 0n)
  txn.end()
}

test('a long history is left to a round that serves all who wait, a short one is told at once', () => {
  const store = new WatchableStore()
  let asked = 0
  store.onBehind(() => asked++)
  for (let i = 0; i < 200; i++) put(store, 'a', String(i))
  const create = (startRevision: number) => {
    const stream = store.newWatchStream()
    stream.create({ key: bytes('a'), end: bytes('b'), startRevision })
    return stream
  }
  const short = create(102)
  expect(taken(short).flatMap(({ events }) => events).length).toBe(100)
  expect(asked).toBe(0)
  const long = [create(1), create(101)]
  expect(long.map((stream) => told(stream).length)).toEqual([1, 1]) // created
  expect(asked).toBe(2)
  while (store.syncWatchers()) void store
  expect(long.map((stream) => taken(stream).flatMap(({ events }) => events).length)).toEqual([
    200, 101,
  ])
  expect(store.slowWatcherCount).toBe(0)
})

test('history longer than a pass is told in several, to watchers far apart, nothing twice', () => {
  const store = new WatchableStore()
  // Intervals of many keys, whose own lists are not worth looking through one by one.
  putMany(store, 'mine/', 32_000)
  putMany(store, 'zero/', 600)
  for (let t = 0; t < 250; t++) {
    const txn = store.begin()
    for (let i = 0; i < 1000; i++) txn.put(bytes(`other${i % 10}`), bytes(''), 0n)
    if (t === 249) txn.put(bytes('mine'), bytes('1'), 0n)
    txn.put(bytes('zero'), bytes(String(t)), 0n)
    txn.end()
  }
  const stream = store.newWatchStream()
  stream.create({ key: bytes('mine'), end: bytes('mine~'), startRevision: 4 })
  stream.create({ key: bytes('zero'), end: bytes('zero~'), startRevision: 250 })
  expect([stream.take()?.watchId, stream.take()?.watchId, stream.take()]).toEqual([
    0n,
    1n,
    undefined,
  ])
  expect([store.syncWatchers(), store.syncWatchers()]).toEqual([true, false])
  expect(told(stream)).toEqual(['0 @253 mine=1', '1 @253 zero=246 zero=247 zero=248 zero=249'])
})

test('the history of few keys is told at once, however much else happened', () => {
  const store = new WatchableStore()
  put(store, 'few/b', '1')
  for (let t = 0; t < 150; t++) putMany(store, 'other/', 1000)
  put(store, 'few/a', '2')
  remove(store, 'few/b')
  const stream = store.newWatchStream()
  stream.create({ key: bytes('few/'), end: bytes('few0'), startRevision: 1 })
  expect(told(stream)).toEqual(['0 created @154', '0 @154 few/b=1 few/a=2 few/b†'])
})

test('the history of few keys comes in batches of a thousand revisions, too', () => {
  const store = new WatchableStore()
  for (let i = 0; i < 2500; i++) {
    put(store, `few/${i % 3}`, String(i))
    for (let other = 0; other < 10; other++) put(store, 'other', '')
  }
  const stream = store.newWatchStream()
  stream.create({ key: bytes('few/'), end: bytes('few0'), startRevision: 1 })
  const batches = taken(stream).slice(1)
  expect(batches.map(({ events }) => events.length)).toEqual([1000, 1000, 500])
  const values = batches.flatMap(({ events }) => events.map(({ kv }) => `${kv.value}`))
  expect(values).toEqual(Array.from({ length: 2500 }, (_, i) => String(i)))
})

test('progress is told on request when every watcher is up to date', () => {
  const store = filled()
  const stream = store.newWatchStream()
  stream.requestProgress() // no watchers: no answer
  stream.create({ key: bytes('a') })
  stream.create({ key: bytes('b'), startRevision: 2 })
  taken(stream)
  stream.requestProgress()
  expect(told(stream)).toEqual(['-1 @5'])
  stream.create({ key: bytes('c'), startRevision: 7 }) // not before its start
  stream.requestProgress()
  expect(told(stream)).toEqual(['2 created @5'])
  put(store, 'x', '')
  put(store, 'x', '')
  stream.requestProgress()
  expect(told(stream)).toEqual(['-1 @7'])
})

test('progress is not told past events that wait for room', () => {
  const store = new WatchableStore()
  const stream = store.newWatchStream()
  stream.create({ key: bytes('a') })
  for (let i = 0; i < 200; i++) put(store, 'a', '')
  stream.requestProgress()
  const batches = taken(stream)
  expect(batches.filter(({ watchId }) => watchId === -1n)).toEqual([])
  expect(batches.flatMap(({ events }) => events).length).toBe(200)
})

test('a tick tells progress to those who want it, unless they just had an event', () => {
  const store = filled()
  const stream = store.newWatchStream()
  stream.create({ key: bytes('a'), progressNotify: true })
  stream.create({ key: bytes('b') })
  taken(stream)
  stream.progressTick()
  expect(told(stream)).toEqual(['0 @5'])
  put(store, 'a', '3')
  stream.progressTick()
  expect(told(stream)).toEqual(['0 @6 a=3'])
  put(store, 'b', '3')
  stream.progressTick()
  expect(told(stream)).toEqual(['1 @7 b=3', '0 @7'])
})

test('the iterator waits for events and ends when the stream is closed', async () => {
  const store = new WatchableStore()
  const stream = store.newWatchStream()
  const seen: string[] = []
  const reading = (async () => {
    for await (const batch of stream) seen.push(...lines([batch]))
  })()
  stream.create({ key: bytes('a') })
  put(store, 'a', '1')
  await Promise.resolve()
  put(store, 'a', '2')
  // The reader runs whenever this test waits; it has seen the last one before close() drops it.
  while (seen.length < 3) await Promise.resolve()
  stream.close()
  await reading
  put(store, 'a', '3')
  expect(seen).toEqual(['0 created @1', '0 @2 a=1', '0 @3 a=2'])
  expect(store.watcherCount).toBe(0)
})

test('leaving the loop closes the stream', async () => {
  const store = new WatchableStore()
  const stream = store.newWatchStream()
  stream.create({ key: bytes('a') })
  for await (const batch of stream) if (batch.notice?.created) break
  expect(store.watcherCount).toBe(0)
})

test('who waits for a stream is woken once for all that one turn has to tell', async () => {
  const store = new WatchableStore()
  const streams = [store.newWatchStream(), store.newWatchStream()]
  const woken: string[] = []
  for (const [at, stream] of streams.entries()) {
    stream.create({ key: bytes('a') })
    taken(stream)
    stream.whenFilled(() => woken.push(`${at}: ${told(stream).join(', ')}`))
  }
  put(store, 'a', '1')
  put(store, 'a', '2')
  expect(woken).toEqual([])
  await Promise.resolve()
  expect(woken).toEqual(['0: 0 @2 a=1, 0 @3 a=2', '1: 0 @2 a=1, 0 @3 a=2'])
  put(store, 'a', '3') // nobody waits now

  streams[0]?.whenFilled(() => woken.push('is filled'))
  streams[1]?.close()
  streams[1]?.whenFilled(() => woken.push('never will be'))
  await Promise.resolve()
  expect(woken.slice(2)).toEqual(['is filled', 'never will be'])
})

test('whoever floods a stream with requests is told to wait', async () => {
  const stream = new WatchableStore().newWatchStream()
  let isAdmitted = false
  for (let i = 0; i < 1024; i++) stream.create({ key: bytes('a') })
  const waiting = stream.whenRoom().then(() => {
    isAdmitted = true
  })
  await Promise.resolve()
  expect(isAdmitted).toBe(false)
  stream.take()
  await waiting
})

test('watchers survive a snapshot from the leader and are told what it brought', () => {
  const store = filled()
  const stream = store.newWatchStream()
  stream.create({ key: bytes('a') })
  stream.create({ key: bytes('b'), end: openEnd, startRevision: 9 })
  taken(stream)
  const ahead = filled()
  put(ahead, 'a', '6')
  for (const value of ['7', '8', '9']) put(ahead, 'c', value)
  compact(ahead, 6)
  const records = [...ahead.records()].map(({ main, sub, tombstone, encoded }) => ({
    key: encodeRevision(main, sub, tombstone),
    value: encoded,
  }))
  store.restore(records, {
    source: 'db',
    scheduledCompactRevision: 6,
    finishedCompactRevision: 6,
  })
  expect(told(stream)).toEqual(['0 @9 a=6', '1 @9 c=9'])
  put(store, 'a', '10')
  expect(told(stream)).toEqual(['0 @10 a=10'])
})
