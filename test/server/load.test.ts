// A share of what scripts/load.ts does to a server: watchers and leases held while writes pass,
// a client that reads nothing meanwhile, and what is left in memory when all is over.
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { systemClock } from '../../src/platform/clock.js'
import { AdvancingClock } from '../../src/server/library/clock.js'
import { type Embedded, startEmbedded } from '../support/embedded.js'
import {
  Account,
  compact,
  grantAll,
  type Interval,
  KeepAlive,
  LoadClient,
  revokeAll,
  WatchCall,
  type Write,
  writeAll,
} from '../support/load.js'
import { NarrowClient } from '../support/narrow-client.js'

const prefixCount = 20
const keysAPrefix = 25
const inFlight = 64

const prefix = (place: number): string => `load/${String(place).padStart(2, '0')}/`
const intervalOf = (place: number): Interval => ({
  key: prefix(place),
  end: prefix(place).replace(/\/$/, '0'),
})
const everything: Interval = { key: 'load/', end: 'load0' }

/** Puts over the keys in turn; each tenth write deletes one. */
function write(number: number): Write {
  const place = (number * 7) % (prefixCount * keysAPrefix)
  const key = `${prefix(place % prefixCount)}${Math.floor(place / prefixCount)}`
  return { key, value: number % 10 === 9 ? undefined : `${number} ${'v'.repeat(100)}` }
}

const leaseIds = (count: number): bigint[] =>
  Array.from({ length: count }, (_, at) => BigInt(at + 1))

/** So long that no lease ends by itself, however slowly the writes go; the clock is put forward. */
const ttlSeconds = 3_600

let clock: AdvancingClock
let server: Embedded
let client: LoadClient
let account: Account
beforeEach(async () => {
  clock = new AdvancingClock(systemClock)
  server = await startEmbedded({ storage: 'memory', clock })
  client = new LoadClient(server.port, 4)
  account = new Account()
})
afterEach(async () => {
  await client?.close()
  await server?.[Symbol.asyncDispose]()
})

/** Half of the watchers on calls of their own, half ten to a call. */
async function openWatchers(count: number): Promise<WatchCall[]> {
  const intervals = Array.from({ length: count }, (_, at) => intervalOf(at % prefixCount))
  const calls: WatchCall[] = []
  for (let at = 0; at < count / 2; at++) {
    calls.push(await WatchCall.open(client, account, intervals.slice(at, at + 1)))
  }
  for (let at = count / 2; at < count; at += 10) {
    calls.push(await WatchCall.open(client, account, intervals.slice(at, at + 10)))
  }
  return calls
}

const faults = (calls: readonly WatchCall[]) =>
  calls.flatMap(({ watched }) => watched.map((each) => each.fault())).filter(Boolean)

/** Turns of the event loop until the server has noticed it; the test's limit ends a vain wait. */
async function until(isTrue: () => boolean): Promise<void> {
  while (!isTrue()) await new Promise((resolve) => setImmediate(resolve))
}

describe('100 watchers and 1000 leases, held while 5000 writes pass', () => {
  test('are all told and kept, and a client that reads nothing holds nobody and misses nothing', async () => {
    const { store, lessor } = server.server.service
    const ids = leaseIds(1000)
    await grantAll(client, ids, ttlSeconds)
    const keepAlive = new KeepAlive(client, ids, 4)
    const narrow = new NarrowClient(server.port)
    try {
      const slow = await WatchCall.open(narrow, account, [everything])
      const calls = await openWatchers(100)
      calls.push(await WatchCall.open(client, account, [everything]))
      for (const call of calls) call.read()
      const rounds: Promise<bigint[]>[] = []
      let answered = 0
      await writeAll(client, account, {
        ...{ count: 5000, inFlight, write },
        onWritten: () => {
          if (++answered % 1000 === 0) rounds.push(keepAlive.round())
        },
      })
      await Promise.all(calls.map((call) => call.complete(account)))

      // All of it has arrived where it is read, and at the slow one nothing but `created`.
      expect(faults(calls)).toEqual([])
      expect(slow.watched[0]?.count).toBe(0)
      expect(store.slowWatcherCount).toBe(1)
      expect((await Promise.all(rounds)).flat()).toEqual([])
      expect(lessor.size).toBe(1000)

      slow.read()
      await slow.complete(account)
      expect(faults([slow])).toEqual([])
      await until(() => store.slowWatcherCount === 0)
      for (const call of [...calls, slow]) call.close()
      await until(() => store.watcherCount === 0)
    } finally {
      keepAlive.close()
      await narrow.close()
    }
  })
})

test('of 1000 leases those that are renewed outlive those that are not, with their keys', async () => {
  const { store, lessor } = server.server.service
  const ids = leaseIds(1000)
  const [renewed, forgotten] = [
    ids.filter((id) => id % 2n === 0n),
    ids.filter((id) => id % 2n > 0n),
  ]
  await grantAll(client, ids, ttlSeconds)
  // Five keys to a lease, and five hundred more to the last one that is forgotten.
  await writeAll(client, account, {
    ...{ count: 5000, inFlight },
    write: (number) => ({ key: `leased/${number}`, value: 'v', lease: ids[number % 1000] ?? 0n }),
  })
  const lastForgotten = forgotten.at(-1) ?? 0n
  await writeAll(client, account, {
    ...{ count: 500, inFlight },
    write: (number) => ({ key: `many/${number}`, value: 'v', lease: lastForgotten }),
  })
  const call = await WatchCall.open(client, account, [{ key: 'leased/', end: 'many0' }])
  call.read()
  const keepAlive = new KeepAlive(client, renewed, 4)
  clock.shift((ttlSeconds * 1_000 * 2) / 3)
  expect(await keepAlive.round()).toEqual([])
  clock.shift((ttlSeconds * 1_000 * 2) / 3)
  clock.runDue()
  await call.told(2500 + 500)

  // One revision a lease, since its keys go together: 500 more than the puts made.
  await until(() => lessor.size === 500)
  expect(lessor.leases().toSorted()).toEqual(renewed.toSorted())
  expect(store.keyCount).toBe(2500)
  expect(store.revision).toBe(1 + 5500 + 500)
  expect(await keepAlive.round()).toEqual([])
  keepAlive.close()
  const gone = new KeepAlive(client, forgotten, 4)
  expect((await gone.round()).length).toBe(500)
  gone.close()
  call.close()
})

test('after a compaction the store is what it was before 3000 writes over the same keys', async () => {
  const { store, lessor, size } = server.server.service
  const keyCount = prefixCount * keysAPrefix
  const put = (number: number) => ({ ...write(number), value: 'v'.repeat(100) })
  const measure = async () => {
    await writeAll(client, account, { count: keyCount, inFlight, write: put })
    await compact(client, account)
    await until(() => store.finishedCompactRevision === store.compactRevision)
    return {
      records: store.recordCount,
      keys: store.keyCount,
      pages: size.inUseBytes,
      watchers: store.watcherCount,
      leases: lessor.size,
    }
  }
  const level = await measure()
  expect(level).toMatchObject({ records: keyCount, keys: keyCount, watchers: 0, leases: 0 })

  const ids = leaseIds(100)
  await grantAll(client, ids, ttlSeconds)
  account = new Account() // of what the watchers are told
  const calls = await openWatchers(20)
  for (const call of calls) call.read()
  const leased = (number: number) => ({ ...write(number), lease: ids[number % 100] ?? 0n })
  await writeAll(client, account, { count: 3000, inFlight, write: leased })
  await Promise.all(calls.map((call) => call.complete(account)))
  expect(store.recordCount).toBeGreaterThan(3000)
  await revokeAll(client, ids)
  for (const call of calls) call.close()
  await until(() => store.watcherCount === 0)
  expect(await measure()).toEqual(level)
})
