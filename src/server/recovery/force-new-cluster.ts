// force-new-cluster.ts: makes one member of a lost cluster a cluster of its own. What was never
// committed goes, and entries that remove everybody else are appended as if a majority had agreed.
// For the day when a majority is gone for good; whatever only the others had is lost.
import {
  ConfChange,
  ConfChangeType,
  type ConfState,
  type Entry,
  EntryType,
  type HardState,
} from '../../api/gen/raft.js'
import type { MemberRecord } from '../../storage/schema.js'
import { addMember } from '../membership/membership.js'

export interface LoneLog {
  hardState: HardState
  /** The committed entries, and behind them those that are new. */
  entries: Entry[]
  /** To be written to the log. */
  appended: Entry[]
}

/** `confState` is in force before `entries`; `own` is added if it is not there. */
export function loneLog(
  own: MemberRecord,
  confState: ConfState | undefined,
  log: { hardState: HardState; entries: readonly Entry[]; snapshotIndex: number },
): LoneLog {
  const { term, vote, commit } = log.hardState
  const committed = log.entries.filter(({ Index }) => Index <= commit)
  const ids = memberIds(confState, committed)
  const changes = [...ids].filter((id) => id !== own.id).map(removal)
  if (!ids.has(own.id)) changes.push(addMember(0n, own))
  const last = committed.at(-1)?.Index ?? log.snapshotIndex
  const appended = changes.map((change, offset) => ({
    Type: EntryType.EntryConfChange,
    Term: term,
    Index: last + 1 + offset,
    Data: Buffer.from(ConfChange.encode(change).finish()),
  }))
  const hardState = { term, vote, commit: last + appended.length }
  return { hardState, entries: [...committed, ...appended], appended }
}

/** In ascending order. */
function memberIds(confState: ConfState | undefined, entries: readonly Entry[]): Set<bigint> {
  const ids = new Set([...(confState?.voters ?? []), ...(confState?.learners ?? [])])
  for (const { Type, Data } of entries) {
    if (Type !== EntryType.EntryConfChange || Data === undefined) continue
    const { type, node_id: id } = ConfChange.decode(Data)
    if (type === ConfChangeType.ConfChangeRemoveNode) ids.delete(id)
    else ids.add(id)
  }
  return new Set([...ids].sort((a, b) => (a < b ? -1 : 1)))
}

function removal(id: bigint): ConfChange {
  return { id: 0n, type: ConfChangeType.ConfChangeRemoveNode, node_id: id }
}
