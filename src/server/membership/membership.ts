// membership.ts: who belongs to the cluster. Changes come out of the log, one at a time, and every
// member applies the same checks to the same state, so all agree on which changes took effect.
// A removed id is remembered for ever: its owner may be alive and must not come back by accident.
import { type ConfChange, ConfChangeType, ConfState } from '../../api/gen/raft.js'
import { EtcdError } from '../../api/rpc-errors.js'
import { clusterVersion } from '../../api/version.js'
import {
  type DowngradeRecord,
  decodeMember,
  encodeMember,
  type MemberRecord,
} from '../../storage/schema.js'
import { compareVersions } from './cluster-version.js'

/** Learners at a time, as in etcd: each costs the leader a stream of appends. */
const learnersMax = 1

export class Membership {
  readonly clusterId: bigint
  readonly #members = new Map<bigint, MemberRecord>()
  readonly #removed = new Set<bigint>()
  /** Version that all members have agreed on through the log; undefined: none written there. */
  agreedVersion: string | undefined
  #downgrade: DowngradeRecord | undefined
  #onDowngrade: () => void = () => {}

  constructor(clusterId: bigint) {
    this.clusterId = clusterId
  }

  /** Takes what a checkpoint holds. */
  restore(members: Iterable<MemberRecord>, removed: Iterable<bigint>): void {
    this.#members.clear()
    this.#removed.clear()
    for (const member of members) this.#members.set(member.id, member)
    for (const id of removed) this.#removed.add(id)
  }

  get size(): number {
    return this.#members.size
  }

  /** Undefined: nobody ever asked for one. */
  get downgrade(): DowngradeRecord | undefined {
    return this.#downgrade
  }

  set downgrade(downgrade: DowngradeRecord | undefined) {
    this.#downgrade = downgrade
    this.#onDowngrade()
  }

  /** Called when a downgrade was enabled or cancelled. */
  onDowngrade(listener: () => void): void {
    this.#onDowngrade = listener
  }

  /**
   * The version that this member's files are said to be for. From 3.6 on etcd brings its files to
   * what the cluster has agreed on, down to 3.5; ours are the same for all.
   */
  get storageVersion(): string {
    const agreed = this.agreedVersion
    return agreed !== undefined && compareVersions(agreed, '3.5.0') >= 0 ? agreed : clusterVersion
  }

  /** By ascending id. */
  list(): MemberRecord[] {
    return [...this.#members.values()].sort((a, b) => (a.id < b.id ? -1 : 1))
  }

  removedIds(): bigint[] {
    return [...this.#removed].sort((a, b) => (a < b ? -1 : 1))
  }

  member(id: bigint): MemberRecord | undefined {
    return this.#members.get(id)
  }

  isRemoved(id: bigint): boolean {
    return this.#removed.has(id)
  }

  /** Voters and learners as a snapshot names them. */
  confState(): ConfState {
    const ids = (isLearner: boolean) =>
      this.list()
        .filter((member) => member.isLearner === isLearner)
        .map((member) => member.id)
    return ConfState.fromPartial({ voters: ids(false), learners: ids(true) })
  }

  /** A member says what it is called and where its clients find it. */
  publish(id: bigint, attributes: { name: string; clientUrls: readonly string[] }): void {
    const member = this.#members.get(id)
    if (member !== undefined) this.#members.set(id, { ...member, ...attributes })
  }

  /**
   * Refuses a change that has no effect on this state.
   * @throws EtcdError memberNotFound, memberExists, peerUrlExists, memberNotLearner,
   *   tooManyLearners
   */
  check(change: ConfChange): void {
    const id = change.node_id
    if (this.#removed.has(id)) throw new EtcdError('memberNotFound')
    const known = this.#members.get(id)
    const described = changedMember(change)
    switch (change.type) {
      case ConfChangeType.ConfChangeAddNode:
      case ConfChangeType.ConfChangeAddLearnerNode:
        if (described?.promote) {
          if (known === undefined) throw new EtcdError('memberNotFound')
          if (!known.isLearner) throw new EtcdError('memberNotLearner')
          return
        }
        if (known !== undefined) throw new EtcdError('memberExists')
        this.#checkUrls(id, described?.peerUrls ?? [])
        if (described?.isLearner && this.#learnerCount() >= learnersMax) {
          throw new EtcdError('tooManyLearners')
        }
        return
      case ConfChangeType.ConfChangeRemoveNode:
        if (known === undefined) throw new EtcdError('memberNotFound')
        return
      case ConfChangeType.ConfChangeUpdateNode:
        if (known === undefined) throw new EtcdError('memberNotFound')
        this.#checkUrls(id, described?.peerUrls ?? [])
    }
  }

  /** Takes a checked change into effect. */
  apply(change: ConfChange): void {
    const id = change.node_id
    const known = this.#members.get(id)
    const described = changedMember(change)
    if (change.type === ConfChangeType.ConfChangeRemoveNode) {
      this.#members.delete(id)
      this.#removed.add(id)
    } else if (known !== undefined && described?.promote) {
      this.#members.set(id, { ...known, isLearner: false })
    } else if (known !== undefined && described !== undefined) {
      this.#members.set(id, { ...known, peerUrls: described.peerUrls })
    } else if (described !== undefined) {
      const { promote: _, ...member } = described
      this.#members.set(id, member)
    }
  }

  #checkUrls(id: bigint, urls: readonly string[]): void {
    for (const member of this.#members.values()) {
      if (member.id !== id && member.peerUrls.some((url) => urls.includes(url))) {
        throw new EtcdError('peerUrlExists')
      }
    }
  }

  #learnerCount(): number {
    return [...this.#members.values()].filter((member) => member.isLearner).length
  }
}

/** The entry that makes `member` part of the cluster. `requestId` 0n in a bootstrap. */
export function addMember(requestId: bigint, member: MemberRecord): ConfChange {
  return {
    id: requestId,
    type: member.isLearner
      ? ConfChangeType.ConfChangeAddLearnerNode
      : ConfChangeType.ConfChangeAddNode,
    node_id: member.id,
    context: Buffer.from(encodeMember(member)),
  }
}

/** The member that a change describes. Its id must be the change's: a mismatch is corruption. */
function changedMember(change: ConfChange): (MemberRecord & { promote: boolean }) | undefined {
  if (change.context === undefined || change.context.length === 0) return undefined
  const member = decodeMember(change.context.toString('utf8'))
  if (member === undefined || member.id !== change.node_id) {
    throw new Error(`membership change for ${change.node_id} describes ${member?.id ?? 'nothing'}`)
  }
  return member
}
