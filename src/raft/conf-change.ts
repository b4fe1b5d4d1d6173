// conf-change.ts: who belongs to the cluster after a change.
//
// Changes go one at a time (raft dissertation, chapter 4): the old and the new
// set of voters then differ in one member, so a majority of the one and a
// majority of the other always share a member, and no joint phase is needed.
import { strict as assert } from 'node:assert'
import { type ConfChange, ConfChangeType, ConfState } from '../api/gen/raft.js'

/** Both ascending, and no id in both. */
export interface Membership {
  readonly voters: readonly bigint[]
  readonly learners: readonly bigint[]
}

/** A change of node 0 was refused by the application: it has no effect. */
export function changedMembership(from: Membership, change: ConfChange): Membership {
  const id = change.node_id
  if (id === 0n || change.type === ConfChangeType.ConfChangeUpdateNode) return from
  const voters = without(from.voters, id)
  const learners = without(from.learners, id)
  if (change.type === ConfChangeType.ConfChangeAddNode) voters.push(id)
  if (change.type === ConfChangeType.ConfChangeAddLearnerNode) learners.push(id)
  assert(
    voters.length > 0 || from.voters.length === 0,
    `change ${change.id} takes away the last voter ${id.toString(16)}`,
  )
  return { voters: sortedIds(voters), learners: sortedIds(learners) }
}

export function restoredMembership(state: ConfState): Membership {
  assert(
    state.voters_outgoing.length === 0 && state.learners_next.length === 0,
    'this cluster is in a joint configuration, which etcd never uses',
  )
  return { voters: sortedIds(state.voters), learners: sortedIds(state.learners) }
}

export const confState = ({ voters, learners }: Membership): ConfState =>
  ConfState.fromPartial({ voters: [...voters], learners: [...learners] })

const without = (ids: readonly bigint[], id: bigint): bigint[] => ids.filter((each) => each !== id)

const sortedIds = (ids: readonly bigint[]): bigint[] =>
  [...ids].sort((a, b) => (a < b ? -1 : a > b ? 1 : 0))
