// Any mix of writes, compactions, watchers that start anywhere and clients that take their time:
// every watcher is told the history of its range exactly once, in order, whole revisions at a time,
// from its start until a compaction overtakes it or the client cancels.
import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { WatchBatch, WatchEvent, WatchStream } from '../../src/mvcc/watchable-store.js'
import { WatchableStore } from '../../src/mvcc/watchable-store.js'
import { Model, type Version, type Write } from './model.js'
import { randomWrite } from './random-write.js'

const bytes = (text: string) => Buffer.from(text, 'latin1')
const maybeBytes = (text: string | undefined) => (text === undefined ? undefined : bytes(text))

interface Request {
  key: string
  end: string | undefined
  /** Relative to the newest revision; undefined: from now on. */
  start: number | undefined
  prevKv: boolean
  filters: { noPut: boolean; noDelete: boolean }
}

const key = fc.constantFrom('a', 'b', 'b\0', 'c', '\xff')
const end = fc.constantFrom(undefined, undefined, 'b', 'c', 'd', '\0')
const value = fc.string({ maxLength: 2 })
const write = randomWrite({ key, end, value, lease: fc.constant(0n) })
const request = fc
  .record({
    key,
    end,
    start: fc.option(fc.integer({ min: -300, max: 4 }), { nil: undefined }),
    prevKv: fc.boolean(),
    filters: fc.record({ noPut: fc.constantFrom(false, false, true), noDelete: fc.boolean() }),
  })
  .filter((asked) => asked.end === undefined || asked.end === '\0' || asked.key < asked.end)
const stream = fc.nat({ max: 1 })
const step = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constant('txn' as const),
      writes: fc.array(write, { minLength: 1, maxLength: 3 }),
      times: fc.constantFrom(1, 1, 1, 70),
    }),
  },
  { weight: 4, arbitrary: fc.record({ do: fc.constant('watch' as const), stream, request }) },
  {
    weight: 1,
    arbitrary: fc.record({ do: fc.constant('cancel' as const), stream, id: fc.nat({ max: 5 }) }),
  },
  {
    weight: 3,
    arbitrary: fc.record({ do: fc.constant('take' as const), stream, count: fc.nat({ max: 60 }) }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('sync' as const) }) },
  {
    weight: 1,
    arbitrary: fc.record({ do: fc.constant('compact' as const), back: fc.nat({ max: 200 }) }),
  },
)

/** What one watcher was told, in the words of the model. */
interface Told {
  request: Request
  start: number
  events: string[]
  /** Revisions of batches already taken; the next must be greater. */
  last: number
  canceled: WatchBatch | undefined
}

const line = (kind: string, kv: { main: number; sub: number }, prev: string | undefined) =>
  `${kv.main}.${kv.sub} ${kind} prev ${prev}`

function eventLine({ kv, prev, type }: WatchEvent): string {
  const text = kv.key.toString('latin1')
  const kind = type === 'put' ? `${text}=${kv.value.toString('latin1')}` : `${text}†`
  return line(kind, kv, prev && `${prev.main} ${prev.value.toString('latin1')}`)
}

class Checker {
  readonly store = new WatchableStore()
  readonly model = new Model()
  readonly compacted = new Set<number>()
  readonly streams: WatchStream[] = [this.store.newWatchStream(), this.store.newWatchStream()]
  readonly told: Map<bigint, Told>[] = [new Map(), new Map()]

  write(writes: readonly Write[]): void {
    const txn = this.store.begin()
    for (const one of writes) {
      if (one.kind === 'put') txn.put(bytes(one.key), bytes(one.value), 0n)
      else txn.deleteRange(bytes(one.key), maybeBytes(one.end))
    }
    txn.end()
    this.model.write(writes)
  }

  watch(at: number, asked: Request): void {
    const { revision } = this.store
    const startRevision = asked.start === undefined ? 0 : Math.max(0, revision + asked.start)
    const { key: from, end: to, prevKv, filters } = asked
    const found = this.streams[at]?.create({
      ...{ key: bytes(from), end: maybeBytes(to), startRevision, prevKv, filters },
    })
    const start = startRevision === 0 ? revision + 1 : startRevision
    const id = found?.watchId ?? -1n
    this.told[at]?.set(id, { request: asked, start, events: [], last: 0, canceled: undefined })
  }

  /** True if there was something to take. */
  take(at: number): boolean {
    const batch = this.streams[at]?.take()
    if (batch === undefined) return false
    const told = this.told[at]?.get(batch.watchId)
    if (told === undefined) throw new Error(`a batch for watcher ${batch.watchId}`)
    expect(told.canceled).toBeUndefined()
    if (batch.notice?.canceled) told.canceled = batch
    if (batch.events.length === 0) return true
    const first = batch.events[0]?.kv.main ?? 0
    const last = batch.events.at(-1)?.kv.main ?? 0
    expect(first).toBeGreaterThan(told.last) // no revision in two batches
    expect(batch.revision).toBeGreaterThanOrEqual(last)
    told.last = last
    told.events.push(...batch.events.map(eventLine))
    return true
  }

  drain(): void {
    let isMore = true
    while (isMore) {
      this.store.syncWatchers()
      isMore = [0, 1].map((at) => this.take(at)).some(Boolean)
    }
  }

  /**
   * A change that its own transaction undid goes when a compaction stops exactly at it, in etcd
   * too, so a watcher that starts there may or may not see it.
   */
  fleeting(): Set<string> {
    const { model, compacted } = this
    const isFleeting = (version: Version) =>
      compacted.has(version.main) && model.newest(version.key, version.main) !== version
    return new Set(model.versions.filter(isFleeting).map(({ main, sub }) => `${main}.${sub}`))
  }

  /** What the model says a watcher must be told, up to the newest revision. */
  expected({ request: asked, start }: Told): { main: number; text: string }[] {
    const { key: from, end: to, prevKv, filters } = asked
    const holds = (other: string) =>
      to === undefined ? other === from : other >= from && (to === '\0' || other < to)
    const wanted = (version: Version) =>
      holds(version.key) && !(version.tombstone ? filters.noDelete : filters.noPut)
    return this.model.versions
      .filter((version) => version.main >= start && wanted(version))
      .map((version) => {
        const { key: name, value, main, tombstone } = version
        const isCreate = !tombstone && version.createRevision === main
        const before = isCreate ? undefined : this.model.at(name, main - 1)
        const prev = prevKv ? before && `${before.main} ${before.value}` : undefined
        return { main, text: line(tombstone ? `${name}†` : `${name}=${value}`, version, prev) }
      })
  }
}

/** A compaction may have taken the pair before the very first event that it left. */
const withoutPrev = (text: string) => text.slice(0, text.indexOf(' prev '))

test('every watcher is told its history exactly once, in order', () => {
  let parked = 0
  let overtaken = 0
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40, size: 'max' }), (steps) => {
      const checker = new Checker()
      for (const one of steps) {
        if (one.do === 'txn') for (let i = 0; i < one.times; i++) checker.write(one.writes)
        else if (one.do === 'watch') checker.watch(one.stream, one.request)
        else if (one.do === 'cancel') checker.streams[one.stream]?.cancel(BigInt(one.id))
        else if (one.do === 'sync') checker.store.syncWatchers()
        else if (one.do === 'take') for (let i = 0; i < one.count; i++) checker.take(one.stream)
        else {
          const revision = checker.store.revision - one.back
          if (revision <= Math.max(0, checker.store.compactRevision)) continue
          checker.store.compact(revision)
          checker.compacted.add(revision)
          for (const _ of checker.store.compactionSteps()) void _
        }
        parked += checker.store.slowWatcherCount
      }
      checker.drain()
      const fleeting = checker.fleeting()
      for (const told of checker.told.flatMap((streams) => [...streams.values()])) {
        const { canceled } = told
        const lasts = ({ text }: { text: string }) => !fleeting.has(text.split(' ')[0] ?? '')
        const all = checker.expected(told).filter(lasts)
        const events = told.events.filter((text) => lasts({ text }))
        const compactRevision = canceled?.notice?.compactRevision
        if (canceled === undefined) expect(events.length).toBe(all.length)
        if (compactRevision !== undefined) {
          overtaken++
          expect(canceled?.revision).toBe(0)
          // Ended because something it had not looked at was compacted, and not before that.
          const isBehind = all.slice(events.length).every(({ main }) => main >= told.last)
          expect([isBehind, told.last < compactRevision]).toEqual([true, true])
        }
        expect(events.map(withoutPrev)).toEqual(
          all.slice(0, events.length).map(({ text }) => withoutPrev(text)),
        )
        for (const [i, text] of events.entries()) {
          if (!text.endsWith('prev undefined')) expect(text).toBe(all[i]?.text)
        }
        if (checker.store.compactRevision < 0)
          expect(events).toEqual(all.slice(0, events.length).map(({ text }) => text))
      }
    }),
    { numRuns: 250 },
  )
  // The mix must reach what it is about.
  expect([parked > 100, overtaken > 10]).toEqual([true, true])
})
