// settled-members.ts: who the members are, where the database says otherwise than the log. A
// restore by etcd 3.4 leaves the members of the old cluster in the database: 3.4 itself never reads
// them there, but takes what the newest .snap file and the log after it say. Raft is told by those
// too, here as in every etcd up to 3.6, so they decide, and the database only adds what it knows.
// The version of the cluster, too, is missing from a database of etcd 3.4.
import { ConfChange, type Entry, EntryType } from '../../api/gen/raft.js'
import { EtcdError } from '../../api/rpc-errors.js'
import type { MemberRecord } from '../../storage/schema.js'
import type { SnapFile, SnapMember } from '../../storage/snap-file.js'
import { Membership } from './membership.js'
import { decodeV2Request, versionPath } from './v2-request.js'

const nothing = Buffer.alloc(0)

/** `applied` are the entries behind the .snap file that have had their effect on the database. */
export function settleMembers(
  membership: Membership,
  snap: SnapFile | undefined,
  applied: readonly Entry[],
): void {
  membership.agreedVersion ??= versionOf(snap, applied)
  // Without a .snap file the log tells of every member, and nobody has restored anything.
  if (snap === undefined || snap.confState.voters.length === 0) return
  const members = inSnap(membership, snap)
  const settled = new Membership(membership.clusterId)
  settled.restore(members, [])
  for (const { Type, Data } of applied) {
    if (Type === EntryType.EntryConfChange) repeat(settled, ConfChange.decode(Data ?? nothing))
  }
  const list = settled.list().map((member) => membership.member(member.id) ?? member)
  const ids = new Set(list.map(({ id }) => id))
  const removed = membership.removedIds().filter((id) => !ids.has(id))
  membership.restore(list, removed)
}

/**
 * The membership as it was at the .snap file, where raft begins to hand out entries again: what was
 * refused then must be refused again before raft hears of it.
 */
export function membershipAt(snap: SnapFile | undefined, clusterId: bigint): Membership {
  const past = new Membership(clusterId)
  if (snap !== undefined) past.restore(inSnap(past, snap), snap.tree.removed)
  return past
}

function versionOf(snap: SnapFile | undefined, applied: readonly Entry[]): string | undefined {
  const written = applied.findLast(({ Type, Data }) => {
    return Type === EntryType.EntryNormal && Data && decodeV2Request(Data)?.Path === versionPath
  })
  return written?.Data ? decodeV2Request(written.Data)?.Val : snap?.tree.version
}

/** What was refused when it was applied is refused again: the state is the same. */
function repeat(settled: Membership, change: ConfChange): void {
  try {
    settled.check(change)
  } catch (error) {
    if (error instanceof EtcdError) return
    throw error
  }
  settled.apply(change)
}

function inSnap(membership: Membership, { confState, tree }: SnapFile): MemberRecord[] {
  const { voters, learners } = confState
  const inTree = new Map(tree.members.map((member) => [member.id, member]))
  return [...voters, ...learners].map((id) => {
    const known = membership.member(id) ?? recordOf(inTree.get(id))
    const unknown = { id, name: '', peerUrls: [], clientUrls: [] }
    return { ...(known ?? unknown), isLearner: learners.includes(id) }
  })
}

function recordOf(member: SnapMember | undefined): MemberRecord | undefined {
  if (member === undefined) return undefined
  const { attributes = { name: '', clientUrls: [] }, ...rest } = member
  return { ...rest, ...attributes }
}
