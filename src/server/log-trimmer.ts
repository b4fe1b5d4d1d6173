// log-trimmer.ts: how much of the log stays in memory. Followers that lag behind it are sent a
// snapshot of the state instead; a lone member has none, and keeps hardly anything.
import type { MemoryStorage } from '../raft/storage.js'
import type { Membership } from './membership/membership.js'

interface Limits {
  readonly entries: number
  readonly bytes: number
}

/** What a lone member keeps: a second member may come, and is sent a snapshot anyway. */
const alone: Limits = { entries: 100, bytes: 1024 * 1024 }

/**
 * With others, by size: etcd limits the number of entries alone, and 5,000 of the largest are
 * 7.5 GB. As much as may be on its way to a follower (raft-settings.ts), so that only who lags by
 * more than that is sent a snapshot.
 */
const bytesForOthers = 64 * 1024 * 1024

/**
 * Forgets entries once twice as many are there as are kept, or twice their bytes, so that it is
 * rarely worth a look. `index`: of the last entry that raft knows to be applied; behind it nothing
 * may go, however large.
 */
export function trimLog(
  log: MemoryStorage,
  index: number,
  membership: Membership,
  catchUpEntries: number,
): void {
  const others = { entries: catchUpEntries, bytes: bytesForOthers }
  const { entries, bytes } = membership.size > 1 ? others : alone
  const kept = Math.min(entries, catchUpEntries)
  const isLong = index - log.firstIndex() >= 2 * kept
  if (!isLong && log.bytes <= 2 * bytes) return
  const last = Math.min(index, Math.max(isLong ? index - kept : 0, log.tailWithin(bytes) - 1))
  if (last < log.firstIndex()) return
  log.createSnapshot(index, membership.confState(), Buffer.alloc(0))
  log.compact(last)
}
