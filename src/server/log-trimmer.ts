// log-trimmer.ts: how much of the log stays in memory. Followers that lag behind it are sent a
// snapshot of the state instead; a lone member has none, and keeps hardly anything.
import type { MemoryStorage } from '../raft/storage.js'
import type { Membership } from './membership/membership.js'

/** Entries that a lone member keeps: a second member may come, and is sent a snapshot anyway. */
const aloneEntries = 100

/**
 * Forgets entries once twice as many are there as are kept, so that it is rarely worth a look.
 * `index`: of the last entry that raft knows to be applied; behind it nothing may go.
 */
export function trimLog(
  log: MemoryStorage,
  index: number,
  membership: Membership,
  catchUpEntries: number,
): void {
  const kept = membership.size > 1 ? catchUpEntries : Math.min(aloneEntries, catchUpEntries)
  if (index - log.firstIndex() < 2 * kept) return
  log.createSnapshot(index, membership.confState(), Buffer.alloc(0))
  log.compact(index - kept)
}
