// watch-hub.ts: tells watchers what happened: each event once, in order, whole revisions at a time.
//
// notify() serves the synced watchers at the end of each write transaction. A watcher whose queue
// is full is parked: it becomes unsynced from that very revision, and is told from history once
// there is room. So a slow client costs no memory beyond its queue, and loses nothing unless a
// compaction overtakes it, which ends the watcher with the revision from which it may start anew.
import type { Stored } from './key-index.js'
import { SharedEvents } from './shared-events.js'
import type { Store } from './store.js'
import { Wakes } from './wakes.js'
import { noEvents, WatchBatch, type WatchEvent } from './watch-event.js'
import { readHistory } from './watch-history.js'
import { isFiltered, type Watcher, type WatcherHome } from './watcher.js'
import { WatcherGroup } from './watcher-group.js'

/** Records since a watcher's place that are looked at right away; more are left to a round. */
const recordsAtOnce = 100
/** Watchers that one round serves, as in etcd. */
const watchersPerRound = 512

export class WatchHub {
  /** Of all streams. */
  readonly wakes = new Wakes()
  readonly #store: Store
  readonly #synced = new WatcherGroup()
  /**
   * Streams with watchers that are not synced, in the order in which they get their turn. A stream
   * without room costs the others one look, however many of its watchers are behind.
   */
  readonly #line = new Set<WatcherHome>()
  #unsynced = 0
  #askForRound: (() => void) | undefined

  constructor(store: Store) {
    this.#store = store
    store.onChange((changes, revision) => this.#notify(changes, revision))
  }

  get watcherCount(): number {
    return this.#synced.size + this.#unsynced
  }

  /** Events that are on their way to their clients. */
  get pendingEventCount(): number {
    const homes = new Set([...this.#synced.list().map(({ home }) => home), ...this.#line])
    return [...homes].reduce((sum, { queue }) => sum + queue.eventCount, 0)
  }

  get unsyncedCount(): number {
    return this.#unsynced
  }

  add(watcher: Watcher): void {
    if (watcher.nextRevision > this.#store.revision) this.#toSynced(watcher)
    else this.#toUnsynced(watcher)
  }

  remove(watcher: Watcher): void {
    this.#synced.delete(watcher)
    this.#leaveLine(watcher)
    watcher.home.watchers.delete(watcher.options.id)
  }

  /** Ends every watcher and tells its client why. */
  cancelAll(reason: string): void {
    const { revision } = this.#store
    const behind = [...this.#line].flatMap((home) => [...home.behind])
    for (const watcher of [...this.#synced.list(), ...behind]) {
      this.remove(watcher)
      const told = { canceled: true, cancelReason: reason } as const
      watcher.home.queue.push(new WatchBatch(watcher.options, revision, noEvents, told))
    }
  }

  /** One round over unsynced watchers that have room; true if another round has work to do now. */
  sync(): boolean {
    this.#tellHistory(this.#nextInLine(this.#line))
    return this.#nextInLine(this.#line).length > 0
  }

  /** `ask` has sync() called soon, and not now: a stream has nothing else to hand out. */
  onBehind(ask: () => void): void {
    this.#askForRound = ask
  }

  /** A round in which one stream comes first. */
  syncStream(home: WatcherHome): void {
    if (home.behind.size > 0) this.#tellHistory(this.#nextInLine(startingWith(home, this.#line)))
  }

  /**
   * The consumer of a stream has nothing else to take. A long history is left to a round, if there
   * is somebody who calls sync(): a thousand clients that come back in one turn of the event loop
   * share it, and others get their turn before it.
   */
  feed(home: WatcherHome): void {
    const [first] = home.behind
    if (first === undefined) return
    const { list, start } = this.#store.recordsFrom(first.nextRevision)
    if (this.#askForRound === undefined || list.length - start <= recordsAtOnce) {
      this.syncStream(home)
    } else this.#askForRound()
  }

  /**
   * The watchers of the next round, stream after stream, as far as their queues have room for a
   * batch each. The first one decides where the pass over the history begins, so those that are
   * further behind keep their place in the line and get a later round.
   */
  #nextInLine(line: Iterable<WatcherHome>): Watcher[] {
    const chosen: Watcher[] = []
    let from: number | undefined
    for (const { queue, behind } of line) {
      let room = queue.roomForHistory
      if (room <= 0) continue
      for (const watcher of behind) {
        from ??= watcher.nextRevision
        if (watcher.nextRevision < from) continue
        chosen.push(watcher)
        if (chosen.length === watchersPerRound) return chosen
        if (--room === 0) break
      }
    }
    return chosen
  }

  /**
   * The store was replaced by a newer one: what lies between is told from its records. `before` is
   * the revision up to which every synced watcher was told.
   */
  storeRestored(before: number): void {
    for (const watcher of this.#synced.list()) {
      this.#synced.delete(watcher)
      watcher.nextRevision = Math.max(watcher.nextRevision, before + 1)
      this.add(watcher)
    }
  }

  #toSynced(watcher: Watcher): void {
    this.#leaveLine(watcher)
    this.#synced.add(watcher)
  }

  /** To the end of the line, behind the other watchers of its stream. */
  #toUnsynced(watcher: Watcher): void {
    this.#synced.delete(watcher)
    this.#leaveLine(watcher)
    const { home } = watcher
    home.behind.add(watcher)
    this.#unsynced++
    this.#line.add(home)
  }

  #leaveLine(watcher: Watcher): void {
    const { home } = watcher
    if (!home.behind.delete(watcher)) return
    this.#unsynced--
    if (home.behind.size === 0) this.#line.delete(home)
  }

  #notify(changes: readonly Stored[], revision: number): void {
    const concerned: Watcher[] = []
    const [first] = changes
    if (first !== undefined && changes.length === 1) {
      const events = new SharedEvents(this.#store, first)
      this.#synced.visit(first.keyText, (watcher) => {
        if (isTold(watcher, first, revision)) concerned.push(watcher)
      })
      // A list that nobody appends to can be shared like the event in it.
      for (const watcher of concerned) {
        this.#tell(watcher, revision, events.list(watcher.options.prevKv))
      }
      return
    }
    for (const change of changes) {
      const events = new SharedEvents(this.#store, change)
      this.#synced.visit(change.keyText, (watcher) => {
        if (!isTold(watcher, change, revision)) return
        const event = events.get(watcher.options.prevKv)
        if (watcher.pending !== undefined) watcher.pending.push(event)
        else {
          watcher.pending = [event]
          concerned.push(watcher)
        }
      })
    }
    for (const watcher of concerned) {
      const events = watcher.pending ?? []
      watcher.pending = undefined
      this.#tell(watcher, revision, events)
    }
  }

  /** Tells a synced watcher of a revision, or parks it. */
  #tell(watcher: Watcher, revision: number, events: readonly WatchEvent[]): void {
    if (watcher.home.queue.hasRoomForEvents) {
      watcher.nextRevision = revision + 1
      send(watcher, revision, events)
    } else {
      watcher.nextRevision = revision
      this.#toUnsynced(watcher)
    }
  }

  /** Gives each of them a batch of history, or ends those whose history is compacted. */
  #tellHistory(watchers: readonly Watcher[]): void {
    const { compactRevision, revision } = this.#store
    const served = watchers.filter((watcher) => {
      if (watcher.nextRevision >= compactRevision) return true
      this.#endCompacted(watcher, compactRevision)
      return false
    })
    for (const { home } of served) {
      // Served now, so the others come first the next time.
      if (this.#line.delete(home)) this.#line.add(home)
    }
    for (const [watcher, { events, next }] of readHistory(this.#store, served)) {
      watcher.nextRevision = next ?? revision + 1
      if (events.length > 0) send(watcher, revision, events)
      if (next === undefined) this.#toSynced(watcher)
      else this.#toUnsynced(watcher)
    }
  }

  #endCompacted(watcher: Watcher, compactRevision: number): void {
    this.remove(watcher)
    const told = { canceled: true, compactRevision } as const
    watcher.home.queue.push(new WatchBatch(watcher.options, 0, noEvents, told))
  }
}

function isTold(watcher: Watcher, change: Stored, revision: number): boolean {
  return revision >= watcher.nextRevision && !isFiltered(watcher, change)
}

function send(watcher: Watcher, revision: number, events: readonly WatchEvent[]): void {
  watcher.isQuiet = false
  watcher.home.queue.push(new WatchBatch(watcher.options, revision, events))
}

function* startingWith<T>(first: T, rest: Iterable<T>): Generator<T, void, void> {
  yield first
  for (const item of rest) if (item !== first) yield item
}
