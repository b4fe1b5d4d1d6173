// watch-hub.ts: tells watchers what happened: each event once, in order, whole revisions at a time.
//
// notify() serves the synced watchers at the end of each write transaction. A watcher whose queue
// is full is parked: it becomes unsynced from that very revision, and replay() tells it from the
// records once there is room. So a slow client costs no memory beyond its queue, and loses nothing
// unless a compaction overtakes it, which ends the watcher with the revision it may start from.
import type { Stored } from './key-index.js'
import type { Store } from './store.js'
import { WatchEvent } from './watch-event.js'
import type { Watcher } from './watcher.js'
import { WatcherGroup } from './watcher-group.js'

/** Revisions in one batch of history, as in etcd. */
const replayRevisionsMax = 1000
/** A batch of history ends after the revision that passes this size, however few revisions it has. */
const replayBytesMax = 1024 * 1024
/** Records one watcher's replay looks at before others get their turn: a few milliseconds. */
const replayRecordsMax = 100_000
/** Watchers that one round of sync() serves, as in etcd. */
const watchersPerSync = 512

const noEvents: readonly WatchEvent[] = []

export class WatchHub {
  private readonly store: Store
  private readonly synced = new WatcherGroup()
  private readonly unsynced = new Set<Watcher>()

  constructor(store: Store) {
    this.store = store
    store.onChange((changes, revision) => this.notify(changes, revision))
  }

  get watcherCount(): number {
    return this.synced.size + this.unsynced.size
  }

  get unsyncedCount(): number {
    return this.unsynced.size
  }

  add(watcher: Watcher): void {
    if (watcher.nextRevision > this.store.revision) this.toSynced(watcher)
    else this.unsynced.add(watcher)
  }

  remove(watcher: Watcher): void {
    this.synced.delete(watcher)
    this.unsynced.delete(watcher)
    watcher.siblings.delete(watcher.options.id)
  }

  /** One round over unsynced watchers that have room; true if another round has work to do now. */
  sync(): boolean {
    let count = 0
    let isMore = false
    for (const watcher of [...this.unsynced]) {
      if (!watcher.queue.hasRoomForEvents) continue
      if (count++ === watchersPerSync) return true
      if (!this.replay(watcher) && watcher.queue.hasRoomForEvents) isMore = true
    }
    return isMore
  }

  /** The same for the watchers of one stream, whose consumer has nothing else to take. */
  syncStream(siblings: ReadonlyMap<bigint, Watcher>): void {
    if (this.unsynced.size === 0) return
    for (const watcher of [...siblings.values()]) {
      if (!watcher.isSynced && watcher.queue.hasRoomForEvents) this.replay(watcher)
    }
  }

  /**
   * The store was replaced by a newer one: what lies between is told from its records. `before` is
   * the revision up to which every synced watcher was told.
   */
  storeRestored(before: number): void {
    for (const watcher of this.synced.list()) {
      this.synced.delete(watcher)
      watcher.nextRevision = Math.max(watcher.nextRevision, before + 1)
      watcher.isSynced = false
      this.add(watcher)
    }
  }

  private toSynced(watcher: Watcher): void {
    this.unsynced.delete(watcher)
    watcher.isSynced = true
    this.synced.add(watcher)
  }

  private park(watcher: Watcher, revision: number): void {
    this.synced.delete(watcher)
    watcher.isSynced = false
    watcher.nextRevision = revision
    this.unsynced.add(watcher)
  }

  private notify(changes: readonly Stored[], revision: number): void {
    const concerned: Watcher[] = []
    const isAlone = changes.length === 1
    for (const change of changes) {
      const events = new SharedEvents(this.store, change)
      this.synced.visit(change.keyText, (watcher) => {
        if (revision < watcher.nextRevision || isFiltered(watcher, change)) return
        const { prevKv } = watcher.options
        if (watcher.pending !== undefined) watcher.pending.push(events.get(prevKv))
        else {
          // A list that nobody appends to can be shared like the event in it.
          watcher.pending = isAlone ? events.list(prevKv) : [events.get(prevKv)]
          concerned.push(watcher)
        }
      })
    }
    for (const watcher of concerned) {
      const events = watcher.pending ?? noEvents
      watcher.pending = undefined
      if (!watcher.queue.hasRoomForEvents) this.park(watcher, revision)
      else {
        watcher.nextRevision = revision + 1
        send(watcher, revision, events)
      }
    }
  }

  /** Sends one batch of history or ends the watcher; true if it needs no further replay. */
  private replay(watcher: Watcher): boolean {
    const { compactRevision, revision } = this.store
    if (watcher.nextRevision < compactRevision) {
      this.remove(watcher)
      const { id: watchId } = watcher.options
      watcher.queue.push({ watchId, revision: 0, events: [], canceled: true, compactRevision })
      return true
    }
    const replay = new Replay(this.store, watcher)
    if (watcher.options.end === undefined) replay.readKey()
    else replay.readRecords()
    watcher.nextRevision = replay.next ?? revision + 1
    if (replay.events.length > 0) send(watcher, revision, replay.events)
    if (replay.next === undefined) this.toSynced(watcher)
    else {
      // To the end of the line.
      this.unsynced.delete(watcher)
      this.unsynced.add(watcher)
    }
    return replay.next === undefined
  }
}

function send(watcher: Watcher, revision: number, events: readonly WatchEvent[]): void {
  watcher.isQuiet = false
  watcher.queue.push({ watchId: watcher.options.id, revision, events })
}

function isFiltered(watcher: Watcher, { tombstone }: Stored): boolean {
  return tombstone ? watcher.options.noDelete : watcher.options.noPut
}

/** The event of one change, in the two forms that watchers ask for, each made at most once. */
class SharedEvents {
  private readonly store: Store
  private readonly change: Stored
  private plain: WatchEvent[] | undefined
  private withPrev: WatchEvent[] | undefined

  constructor(store: Store, change: Stored) {
    this.store = store
    this.change = change
  }

  list(prevKv: boolean): WatchEvent[] {
    if (prevKv) {
      this.withPrev ??= [new WatchEvent(this.change, previousOf(this.store, this.change))]
      return this.withPrev
    }
    this.plain ??= [new WatchEvent(this.change, undefined)]
    return this.plain
  }

  get(prevKv: boolean): WatchEvent {
    return this.list(prevKv)[0] as WatchEvent // every list has one
  }
}

/** The pair as it was one revision before; nothing for a create, nor below the compact revision. */
function previousOf(store: Store, { index, main, tombstone, createRevision }: Stored) {
  const isCreate = !tombstone && createRevision === main
  return isCreate || main - 1 < store.compactRevision ? undefined : index.at(main - 1)
}

/** Collects one batch of history for one watcher. */
class Replay {
  readonly events: WatchEvent[] = []
  /** Where the next batch starts; undefined: the newest revision is reached. */
  next: number | undefined
  private readonly store: Store
  private readonly watcher: Watcher
  private revisions = 0
  private bytes = 0
  private last = 0

  constructor(store: Store, watcher: Watcher) {
    this.store = store
    this.watcher = watcher
  }

  /** One key has its own list of records, so other keys cost nothing. */
  readKey(): void {
    const { nextRevision, options } = this.watcher
    this.store.visitHistory(options.key, nextRevision, (record) => this.accepts(record))
  }

  readRecords(): void {
    const { key, end = '' } = this.watcher.options
    const { list, start } = this.store.recordsFrom(this.watcher.nextRevision)
    for (let i = start; i < list.length; i++) {
      const record = list[i] as Stored // i < length
      const text = record.keyText
      if (text >= key && text < end && !this.accepts(record)) return
      if (i - start < replayRecordsMax || record.main === list[i + 1]?.main) continue
      this.next = list[i + 1]?.main
      return
    }
  }

  /** False if the record opens a revision that this batch has no place for. */
  private accepts(record: Stored): boolean {
    if (record.main !== this.last) {
      if (this.revisions === replayRevisionsMax || this.bytes >= replayBytesMax) {
        this.next = record.main
        return false
      }
      this.last = record.main
      this.revisions++
    }
    if (isFiltered(this.watcher, record)) return true
    const prev = this.watcher.options.prevKv ? previousOf(this.store, record) : undefined
    this.bytes += record.size + (prev?.size ?? 0)
    this.events.push(new WatchEvent(record, prev))
    return true
  }
}
