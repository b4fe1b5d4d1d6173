// load-phases.ts: the phases of the load, each with the load that it makes and what it measures
// of the server. A phase fails when a watcher was told anything but the truth, or a lease did not
// do as it was told.
import { cpuSeconds } from '../../bench/processes.js'
import {
  Account,
  compact,
  deleteAll,
  grantAll,
  type Interval,
  KeepAlive,
  LoadClient,
  revokeAll,
  WatchCall,
  type Write,
  writeAll,
} from './load.js'

export interface Load {
  readonly watchers: number
  readonly leases: number
  readonly writes: number
}

export interface Figure {
  readonly value: number
  readonly unit: string
  readonly digits: number
}

/** By what they are figures of. */
export type Figures = Record<string, Figure>

export interface Target {
  readonly port: number
  readonly pid: number
  /** What the server holds now, after it had the chance to let go. */
  memoryBytes(): Promise<number>
}

const connections = 8
const inFlight = 128
const padding = 'v'.repeat(100)

export async function measureLoad(
  target: Target,
  load: Load,
  note: (line: string) => void,
): Promise<Figures> {
  const figures: Figures = {}
  await settle(target)
  const levelBytes = await target.memoryBytes()
  const phases = [holdPhase, sameKeyPhase, oneCallPhase, rangesPhase, keepAlivePhase, expiryPhase]
  for (const phase of phases) {
    Object.assign(figures, await phase(target, load, note))
    await settle(target)
    const bytes = await target.memoryBytes()
    note(`${phase.name} is over; memory after a compaction: ${mebibytes(bytes)} MiB`)
    figures['memory after the last compaction'] = memory(bytes)
  }
  return { ...figures, 'memory after the first compaction': memory(levelBytes) }
}

const mebibytes = (bytes: number): string => (bytes / 2 ** 20).toFixed(1)
const memory = (bytes: number): Figure => ({ value: bytes / 2 ** 20, unit: 'MiB', digits: 1 })

/** Runs on connections that are closed at its end, however it ends. */
async function connected<T>(
  { port }: Target,
  run: (client: LoadClient, account: Account) => Promise<T>,
): Promise<T> {
  const client = new LoadClient(port, connections)
  try {
    return await run(client, new Account())
  } finally {
    await client.close()
  }
}

/** The same thousand keys each time, and a compaction. */
function settle(target: Target): Promise<void> {
  return connected(target, async (client, account) => {
    const write = (number: number) => ({ key: `level/${number}`, value: padding })
    await writeAll(client, account, { count: 1000, inFlight, write })
    await compact(client, account)
  })
}

/** Seconds of the server's processor and of the wall clock while it runs. */
async function timed(
  { pid }: Target,
  run: () => Promise<void>,
): Promise<{ cpu: number; wall: number }> {
  const [cpu, wall] = [cpuSeconds(pid), performance.now()]
  await run()
  return { cpu: cpuSeconds(pid) - cpu, wall: (performance.now() - wall) / 1000 }
}

function check(calls: readonly WatchCall[]): void {
  for (const call of calls) {
    for (const watched of call.watched) {
      const fault = watched.fault()
      if (fault !== undefined) throw new Error(fault)
    }
  }
}

const microseconds = (seconds: number): Figure => ({ value: seconds * 1e6, unit: 'us', digits: 1 })
const perSecond = (value: number): Figure => ({ value, unit: '/s', digits: 0 })

/** Prefixes over which the writes of the first phase go. */
const prefixCount = 100
const keysAPrefix = 100
/** Each twentieth write is a deletion. */
const deletionStride = 20

const prefixName = (prefix: number): string => `hold/${String(prefix).padStart(3, '0')}/`
const prefixInterval = (prefix: number): Interval => ({
  key: prefixName(prefix),
  end: prefixName(prefix).replace(/.$/, '0'),
})
const everything: Interval = { key: 'hold/', end: 'hold0' }

function holdWrite(number: number): Write & { lease?: bigint } {
  const keyCount = prefixCount * keysAPrefix
  const place = (number * 4099) % keyCount
  const key = `${prefixName(place % prefixCount)}${Math.floor(place / prefixCount)}`
  const isDeletion = number >= keyCount && number % deletionStride === 0
  if (isDeletion) return { key, value: undefined }
  return { key, value: `${number} ${padding}` }
}

/** Half of them on calls of their own, half fifty to a call. */
async function openHolders(
  client: LoadClient,
  account: Account,
  count: number,
): Promise<WatchCall[]> {
  const intervals = Array.from({ length: count }, (_, at) => prefixInterval(at % prefixCount))
  const own = intervals.slice(0, count / 2).map((interval) => [interval])
  const shared = intervals.slice(count / 2)
  const calls = [...own]
  for (let at = 0; at < shared.length; at += 50) calls.push(shared.slice(at, at + 50))
  const open: WatchCall[] = []
  for (const call of calls) open.push(await WatchCall.open(client, account, call))
  return open
}

/**
 * Watchers and leases are held while all writes pass. Each lease has a key, and is renewed about
 * once a second. One watcher of everything does not read until the others have been told all.
 */
function holdPhase(target: Target, load: Load, note: (line: string) => void): Promise<Figures> {
  return connected(target, async (client, account) => {
    const slowClient = new LoadClient(target.port, 1)
    const ids = Array.from({ length: load.leases }, (_, at) => BigInt(at + 1))
    await grantAll(client, ids, 60)
    const keepAlive = new KeepAlive(client, ids, 10)
    const calls = await openHolders(client, account, load.watchers)
    const slow = await WatchCall.open(slowClient, account, [everything])
    calls.push(await WatchCall.open(client, account, [everything]))
    for (const call of calls) call.read()
    let isOver = false
    let rounds = 0
    const renewals = renewUntil(keepAlive, () => {
      rounds++
      return isOver
    })
    const write = (number: number) => {
      const made = holdWrite(number)
      return made.value === undefined ? made : { ...made, lease: ids[number % ids.length] ?? 0n }
    }
    const { cpu, wall } = await timed(target, async () => {
      await writeAll(client, account, { count: load.writes, inFlight, write })
      await Promise.all(calls.map((call) => call.complete(account)))
    })
    isOver = true
    await renewals
    note(`the others were told all, the slow one ${slow.watched[0]?.count}; it begins to read`)
    slow.read()
    await slow.complete(account)
    check([...calls, slow])
    for (const call of [...calls, slow]) call.close()
    await revokeAll(client, ids)
    keepAlive.close()
    await slowClient.close()
    return {
      'held: writes': perSecond(account.size / wall),
      'held: processor time a write': microseconds(cpu / account.size),
      'held: renewals': perSecond((rounds * load.leases) / wall),
    }
  })
}

async function renewUntil(keepAlive: KeepAlive, isOver: () => boolean): Promise<void> {
  for (;;) {
    const gone = await keepAlive.round()
    if (gone.length > 0) throw new Error(`${gone.length} leases are gone in spite of renewals`)
    if (isOver()) return
    await new Promise((resolve) => setTimeout(resolve, 1000))
  }
}

/** Events that a phase with all watchers on one key hands out. */
const fanOutEvents = 300_000

/** All watchers watch the same key, each on a call of its own. */
function sameKeyPhase(target: Target, { watchers }: Load): Promise<Figures> {
  return fanOut(
    target,
    Array.from({ length: watchers }, () => 1),
  ).then((figure) => ({
    'one key, a call each: an event': figure,
  }))
}

/** The same on one call, as clients of etcd do it that share a connection. */
function oneCallPhase(target: Target, { watchers }: Load): Promise<Figures> {
  return fanOut(target, [watchers]).then((figure) => ({ 'one key, one call: an event': figure }))
}

/** The processor time of an event; `calls`: how many watchers each call has. */
function fanOut(target: Target, calls: readonly number[]): Promise<Figure> {
  return connected(target, async (client, account) => {
    const interval = { key: 'fan', end: 'fao' }
    const open: WatchCall[] = []
    for (const count of calls) {
      open.push(await WatchCall.open(client, account, Array(count).fill(interval)))
    }
    for (const call of open) call.read()
    const watchers = calls.reduce((sum, count) => sum + count, 0)
    const count = Math.ceil(fanOutEvents / watchers)
    const write = (number: number) => ({ key: 'fan', value: `${number} ${padding}` })
    const { cpu } = await timed(target, async () => {
      await writeAll(client, account, { count, inFlight: 4, write })
      await Promise.all(open.map((call) => call.complete(account)))
    })
    check(open)
    for (const call of open) call.close()
    return microseconds(cpu / (count * watchers))
  })
}

/** Writes of the phase with ranges, and as many without watchers before it. */
const rangeWrites = 20_000
/** Keys of one range, and how many of its keys the next one does not have. */
const rangeKeys = 50
const rangeStep = 10

/** Ranges that overlap: each key lies in five of them. */
function rangesPhase(target: Target, { watchers }: Load): Promise<Figures> {
  const name = (place: number): string => `range/${String(place).padStart(6, '0')}`
  const keyCount = watchers * rangeStep
  const write = (number: number) => ({
    key: name((number * 4099) % keyCount),
    value: `${number} ${padding}`,
  })
  return connected(target, async (client, account) => {
    const options = { count: rangeWrites, inFlight, write }
    const bare = await timed(target, () => writeAll(client, account, options))
    const told = new Account()
    const intervals = Array.from({ length: watchers }, (_, at) => ({
      key: name(at * rangeStep),
      end: name(at * rangeStep + rangeKeys),
    }))
    const calls = await Promise.all(intervals.map((each) => WatchCall.open(client, told, [each])))
    for (const call of calls) call.read()
    const watched = await timed(target, async () => {
      await writeAll(client, told, options)
      await Promise.all(calls.map((call) => call.complete(told)))
    })
    check(calls)
    for (const call of calls) call.close()
    await deleteAll(client, { key: 'range/', end: 'range0' })
    return {
      'ranges: processor time a write, unwatched': microseconds(bare.cpu / rangeWrites),
      'ranges: processor time a write, watched': microseconds(watched.cpu / rangeWrites),
    }
  })
}

const keepAliveRounds = 10

/** Renewals as fast as they are answered, over ten calls. */
function keepAlivePhase(target: Target, { leases }: Load): Promise<Figures> {
  return connected(target, async (client) => {
    const ids = Array.from({ length: leases }, (_, at) => BigInt(at + 1))
    await grantAll(client, ids, 600)
    const keepAlive = new KeepAlive(client, ids, 10)
    const { cpu, wall } = await timed(target, async () => {
      for (let round = 0; round < keepAliveRounds; round++) await keepAlive.round()
    })
    keepAlive.close()
    await revokeAll(client, ids)
    const count = leases * keepAliveRounds
    return {
      'renewals alone': perSecond(count / wall),
      'renewals alone: processor time of one': microseconds(cpu / count),
    }
  })
}

/** Long enough to give every lease its key before the first one ends, on a busy machine too. */
const expiryTtlSeconds = 30

/** Leases that nobody renews, each with a key, end together; a watcher is told of every key. */
function expiryPhase(target: Target, { leases }: Load): Promise<Figures> {
  return connected(target, async (client, account) => {
    const ids = Array.from({ length: leases }, (_, at) => BigInt(at + 1))
    await grantAll(client, ids, expiryTtlSeconds)
    const interval = { key: 'expiry/', end: 'expiry0' }
    const call = await WatchCall.open(client, account, [interval])
    call.read()
    const write = (number: number) => ({
      key: `expiry/${number}`,
      value: padding,
      lease: ids[number] ?? 0n,
    })
    await writeAll(client, account, { count: leases, inFlight, write })
    await call.told(leases + 1)
    const { cpu, wall } = await timed(target, () => call.told(2 * leases))
    call.close()
    return {
      'expiry: leases revoked': perSecond(leases / wall),
      'expiry: processor time a lease': microseconds(cpu / leases),
    }
  })
}
