// range.ts: reads of one key or of an interval, at any revision that is kept.
import { EtcdError } from '../api/rpc-errors.js'
import type { Stored } from './key-index.js'
import type { StoreState } from './store-state.js'
import { openEnd } from './tree-index.js'

export interface RangeAt {
  /** 0 or less: the newest. */
  readonly revision?: number
  /** Items wanted; 0 or less: all. */
  readonly limit?: number
  /** No items, only their number. */
  readonly countOnly?: boolean
}

export interface RangeResult {
  /** In key order. */
  readonly items: Stored[]
  /** Keys in the interval at that revision, whatever the limit. */
  readonly count: number
}

/** A key as it is kept: one character a byte. */
export const keyText = (key: Buffer): string => key.toString('latin1')

/** The end of [key, end) as text; one NUL byte means that there is none. */
export const endText = (end: Buffer): string =>
  end.length === 1 && end[0] === 0 ? openEnd : keyText(end)

/** `current` is the newest revision the reader may see; a write transaction sees its own. */
export function readRange(
  state: StoreState,
  { key, end, current }: { key: Buffer; end: Buffer | undefined; current: number },
  { revision = 0, limit = 0, countOnly = false }: RangeAt,
): RangeResult {
  if (revision > current) throw new EtcdError('futureRevision')
  const at = revision <= 0 ? current : revision
  if (at < state.compactRevision) throw new EtcdError('compacted')
  const start = keyText(key)
  if (end === undefined) {
    const item = state.tree.get(start)?.at(at)
    if (item === undefined) return { items: [], count: 0 }
    return { items: countOnly ? [] : [item], count: 1 }
  }
  const interval = { start, end: endText(end) }
  const itemsMax = limit > 0 ? limit : Number.POSITIVE_INFINITY
  if (at < current) return readPast(state, interval, { at, itemsMax: countOnly ? 0 : itemsMax })
  if (countOnly) return { items: [], count: state.tree.liveIn(interval.start, interval.end) }
  return readNewest(state, interval, itemsMax)
}

interface Interval {
  readonly start: string
  readonly end: string
}

/** The tree counts live keys itself, so the walk may stop at the limit. */
function readNewest(state: StoreState, { start, end }: Interval, itemsMax: number): RangeResult {
  const items: Stored[] = []
  state.tree.walk(start, end, ({ latest }) => {
    if (latest !== undefined && !latest.tombstone) items.push(latest)
    return items.length < itemsMax
  })
  const isCut = items.length >= itemsMax
  return { items, count: isCut ? state.tree.liveIn(start, end) : items.length }
}

function readPast(
  state: StoreState,
  { start, end }: Interval,
  { at, itemsMax }: { at: number; itemsMax: number },
): RangeResult {
  const items: Stored[] = []
  let count = 0
  state.tree.walk(start, end, (index) => {
    const item = index.at(at)
    if (item === undefined) return true
    if (count++ < itemsMax) items.push(item)
    return true
  })
  return { items, count }
}
