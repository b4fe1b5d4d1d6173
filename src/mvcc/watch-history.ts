// watch-history.ts: what happened, for watchers that are behind: one batch of past events each.
//
// A watcher of one key, or of few, reads those keys' own lists of records, so other keys cost
// nothing. Watchers of many keys read the list of all records in one pass, which asks a tree of
// their intervals about each record: a thousand clients that come back together cost one walk, not
// a thousand.
//
//     records    ... 41 42 43 44 45 46 47 ...        watcher A is at 42, B at 44
//                       └── the pass ──┘             both go on at 47 next time

import { IntervalTree } from './interval-tree.js'
import type { Stored } from './key-index.js'
import { compareRevisions } from './revision.js'
import { SharedEvents } from './shared-events.js'
import type { Store } from './store.js'
import type { WatchEvent } from './watch-event.js'
import { isFiltered, type Watcher } from './watcher.js'

/** Revisions in one batch, as in etcd. */
const revisionsMax = 1000
/** A batch ends after the revision that passes this size, however few revisions it has. */
const bytesMax = 1024 * 1024
/** Keys and records that are looked up one by one cost so many times what they cost in a pass. */
const fewPart = 8
/** Records that one pass looks at, so that others get their turn: a few milliseconds. */
const recordsMax = 100_000

export interface History {
  /** Whole revisions in order; may be empty even if there is more to come. */
  readonly events: readonly WatchEvent[]
  /** Where the next batch starts; undefined: this one reaches the newest revision. */
  readonly next: number | undefined
}

/** One batch for each watcher. None of them starts below the compact revision. */
export function readHistory(store: Store, watchers: readonly Watcher[]): Map<Watcher, History> {
  const batches = new Map(watchers.map((watcher) => [watcher, new Batch(watcher)]))
  const shared = new Map<Stored, SharedEvents>()
  const eventsOf = (record: Stored): SharedEvents => {
    const known = shared.get(record)
    if (known !== undefined) return known
    const made = new SharedEvents(store, record)
    shared.set(record, made)
    return made
  }
  const ranges: Batch[] = []
  for (const [{ options, nextRevision }, batch] of batches) {
    const add = (record: Stored) => batch.add(record, eventsOf(record))
    const { key, end } = options
    if (end === undefined) store.visitHistory(key, nextRevision, add)
    else {
      const records = recordsOfFewKeys(store, { start: key, end }, nextRevision)
      if (records === undefined) ranges.push(batch)
      else for (const record of records) if (!add(record)) break
    }
  }
  if (ranges.length > 0) readRanges(store, ranges)
  return batches
}

/**
 * All that a batch can hold of an interval in which little happened, in order; undefined where a
 * pass over all records since then is not much more to do.
 */
function recordsOfFewKeys(
  store: Store,
  interval: { start: string; end: string },
  since: number,
): Stored[] | undefined {
  const { list, start } = store.recordsFrom(since)
  let left = (list.length - start) / fewPart
  const found: Stored[] = []
  let revisions = 0
  let last = 0
  store.visitHistories(interval, since, {
    begin: () => {
      revisions = 0
      last = 0
      return --left >= 0
    },
    visit: (record) => {
      if (record.main !== last) {
        last = record.main
        revisions++
      }
      found.push(record)
      // One revision more than fits says where the next batch begins.
      return --left >= 0 && revisions <= revisionsMax
    },
  })
  return left < 0 ? undefined : found.sort(compareRevisions)
}

function readRanges(store: Store, batches: readonly Batch[]): void {
  const tree = new IntervalTree<Batch>()
  for (const batch of batches) {
    const { key, end = '' } = batch.watcher.options
    tree.add(key, end, batch)
  }
  const from = Math.min(...batches.map(({ watcher }) => watcher.nextRevision))
  const { list, start } = store.recordsFrom(from)
  const end = endOfPass(list, start)
  let open = batches.length
  let i = start
  for (; i < end && open > 0; i++) {
    const record = list[i] as Stored // i < length
    let events: SharedEvents | undefined
    tree.visit(record.keyText, (batch) => {
      if (batch.next !== undefined) return
      events ??= new SharedEvents(store, record)
      if (!batch.add(record, events)) open--
    })
  }
  const next = list[i]?.main
  if (next !== undefined) for (const batch of batches) batch.stopAt(next)
}

/** Not within a revision: it would be told in two pieces. */
function endOfPass(list: readonly Stored[], start: number): number {
  let end = Math.min(start + recordsMax, list.length)
  while (end < list.length && list[end]?.main === list[end - 1]?.main) end++
  return end
}

class Batch implements History {
  readonly watcher: Watcher
  readonly events: WatchEvent[] = []
  next: number | undefined
  #revisions = 0
  #bytes = 0
  #last = 0

  constructor(watcher: Watcher) {
    this.watcher = watcher
  }

  /** False once the batch is full. */
  add(record: Stored, events: SharedEvents): boolean {
    const { main } = record
    if (this.next !== undefined) return false
    if (main < this.watcher.nextRevision || isFiltered(this.watcher, record)) return true
    if (main !== this.#last) {
      if (this.#revisions === revisionsMax || this.#bytes >= bytesMax) {
        this.next = main
        return false
      }
      this.#last = main
      this.#revisions++
    }
    const event = events.get(this.watcher.options.prevKv)
    this.#bytes += record.size + (event.prev?.size ?? 0)
    this.events.push(event)
    return true
  }

  /** The pass ended here; a batch that was full earlier, or starts later, stays as it is. */
  stopAt(main: number): void {
    this.next ??= Math.max(main, this.watcher.nextRevision)
  }
}
