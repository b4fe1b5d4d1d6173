// raw-node.ts: the door of the raft core. Calls go in, a Ready comes out.
//
// The driver's duty, in this order: save snapshot, hardState and entries, add
// them to the Storage, send the messages, apply, then advance(). Calls may come
// in between ready() and advance(); what they cause waits for the next Ready.
// A member that leads when it hands out a Ready may send before it has saved: a
// leader's messages promise nothing, and its own say in what is committed counts
// from advance() on (dissertation 10.2.1).
// Nothing here acts on the world, waits or looks at a clock, so the same calls
// always give the same Readys.
import { strict as assert } from 'node:assert'
import {
  ConfChange,
  type ConfState,
  type Entry,
  EntryType,
  type HardState,
  type Message,
  MessageType,
  type Snapshot,
} from '../api/gen/raft.js'
import { countVote, hup } from './candidate.js'
import { changedMembership } from './conf-change.js'
import {
  acknowledgeOwn,
  broadcastAppends,
  dataBytes,
  membershipChanged,
  memberUnreachable,
  type Proposal,
  propose,
  snapshotSent,
} from './leader.js'
import type { ProgressState } from './progress.js'
import { nobody, Raft, type RaftConfig, type ReadState, type Role, type SoftState } from './raft.js'
import { step, tick } from './step.js'
import { metadataOf } from './storage.js'

export type { RaftConfig, ReadState, Role, SoftState } from './raft.js'

export interface Ready {
  /** Present when it changed. Not saved. */
  softState?: SoftState
  /** Present when it changed. */
  hardState?: HardState
  /** Something here is promised by the messages: the save must reach the disk before they leave. */
  mustSync: boolean
  /** To be saved; replaces what the log holds from the first index on. */
  entries: Entry[]
  /** To be saved and to replace the whole state; entries, if any, follow it. */
  snapshot?: Snapshot
  /** To be applied; all of them were saved with an earlier Ready. */
  committedEntries: Entry[]
  messages: Message[]
  readStates: ReadState[]
}

export interface ProgressView {
  match: number
  next: number
  state: ProgressState
  isLearner: boolean
  recentActive: boolean
  isPaused: boolean
  pendingSnapshot: number
  inflightCount: number
}

export interface Status extends SoftState {
  id: bigint
  term: number
  vote: bigint
  commit: number
  applied: number
  /** 0n: no transfer under way. */
  leadTransferee: bigint
  /** By ascending id; empty unless this member leads. */
  progress: ReadonlyMap<bigint, ProgressView>
}

/** What a member may be told over the network; the rest is between parts of one member. */
const networkTypes: ReadonlySet<MessageType> = new Set([
  MessageType.MsgProp,
  MessageType.MsgApp,
  MessageType.MsgAppResp,
  MessageType.MsgVote,
  MessageType.MsgVoteResp,
  MessageType.MsgSnap,
  MessageType.MsgHeartbeat,
  MessageType.MsgHeartbeatResp,
  MessageType.MsgTransferLeader,
  MessageType.MsgTimeoutNow,
  MessageType.MsgReadIndex,
  MessageType.MsgReadIndexResp,
  MessageType.MsgPreVote,
  MessageType.MsgPreVoteResp,
])

/** Answers count only when they come from a member. */
const responseTypes: ReadonlySet<MessageType> = new Set([
  MessageType.MsgAppResp,
  MessageType.MsgVoteResp,
  MessageType.MsgHeartbeatResp,
  MessageType.MsgReadIndexResp,
  MessageType.MsgPreVoteResp,
])

export class RawNode {
  readonly #raft: Raft
  #softState: SoftState
  /** As it was last handed out to be saved, or found in the storage. */
  #hardState: HardState
  /** The Ready that is out, with this member's own vote if that was in it. */
  #out: { ready: Ready; ownVote: Raft['ownVote'] } | undefined

  constructor(config: RaftConfig) {
    this.#raft = new Raft(config)
    this.#softState = { leader: this.#raft.leader, role: this.#raft.role }
    this.#hardState = config.storage.initialState().hardState
  }

  /** As it is now, which a Ready may not have told yet. */
  get role(): Role {
    return this.#raft.role
  }

  /** One unit of time has passed. */
  tick(): void {
    tick(this.#raft)
  }

  /** Start an election now. */
  campaign(): void {
    hup(this.#raft, this.#raft.config.preVote ? 'preElection' : 'election')
  }

  /** False: dropped, because there is no leader, a transfer is under way, or too much waits. */
  propose(data: Buffer): boolean {
    return this.#propose({ Type: EntryType.EntryNormal, Data: data })
  }

  /** As propose. One change at a time: a second one turns into an empty entry. */
  proposeConfChange(change: ConfChange): boolean {
    const data = Buffer.from(ConfChange.encode(change).finish())
    return this.#propose({ Type: EntryType.EntryConfChange, Data: data })
  }

  /** Called while a committed change is applied; node_id 0n: the server refused it, no effect. */
  applyConfChange(change: ConfChange): ConfState {
    const raft = this.#raft
    raft.switchTo(changedMembership(raft.tracker.membership, change))
    if (raft.role === 'leader') membershipChanged(raft)
    return raft.tracker.confState()
  }

  /** A message from the network. Types that only make sense inside a member are ignored. */
  step(message: Message): void {
    const { type, term, from } = message
    if (!networkTypes.has(type) || from === nobody || from === this.#raft.id) return
    const isTermless = type === MessageType.MsgProp || type === MessageType.MsgReadIndex
    if (term === 0 && !isTermless) return
    if (responseTypes.has(type) && !this.#raft.tracker.progress.has(from)) return
    step(this.#raft, message)
  }

  /** Ask for an index that is safe to read at; the answer is in a later ready().readStates. */
  readIndex(context: Buffer): void {
    const entry = { Type: EntryType.EntryNormal, Term: 0, Index: 0, Data: context }
    step(this.#raft, localMessage(MessageType.MsgReadIndex, nobody, [entry]))
  }

  transferLeader(to: bigint): void {
    step(this.#raft, localMessage(MessageType.MsgTransferLeader, to, []))
  }

  reportUnreachable(id: bigint): void {
    if (this.#raft.role === 'leader') memberUnreachable(this.#raft, id)
  }

  reportSnapshot(id: bigint, ok: boolean): void {
    if (this.#raft.role === 'leader') snapshotSent(this.#raft, id, ok)
  }

  /** False while a Ready is out that was not advanced yet. */
  hasReady(): boolean {
    const { log, messages, readStates, ownVote, isBroadcastDue } = this.#raft
    if (this.#out) return false
    return (
      messages.length > 0 ||
      log.unstable.entries.length > 0 ||
      log.hasNextCommitted() ||
      log.unstable.snapshot !== undefined ||
      readStates.length > 0 ||
      ownVote !== undefined ||
      isBroadcastDue ||
      this.#isHardStateNew() ||
      this.#isSoftStateNew()
    )
  }

  ready(): Ready {
    const raft = this.#raft
    assert(!this.#out, 'ready() before the last Ready was advanced')
    if (raft.isBroadcastDue) broadcastAppends(raft)
    raft.readOnly.closeRound()
    const { snapshot } = raft.log.unstable
    const ready: Ready = {
      mustSync: false,
      entries: raft.log.unstable.entries.slice(),
      committedEntries: raft.log.nextCommitted(raft.config.messageBytesMax),
      messages: raft.messages,
      readStates: raft.readStates,
    }
    ready.mustSync = ready.entries.length > 0 || snapshot !== undefined || this.#isVoteNew()
    if (snapshot) ready.snapshot = snapshot
    if (this.#isHardStateNew()) this.#hardState = ready.hardState = raft.hardState()
    if (this.#isSoftStateNew()) {
      this.#softState = ready.softState = { leader: raft.leader, role: raft.role }
    }
    this.#out = { ready, ownVote: raft.ownVote }
    raft.messages = []
    raft.readStates = []
    raft.ownVote = undefined
    return ready
  }

  /** All of the Ready is done: saved, in the Storage, sent, applied. */
  advance(ready: Ready): void {
    const raft = this.#raft
    assert(this.#out?.ready === ready, 'advance() of another Ready than the one that is out')
    const { ownVote } = this.#out
    this.#out = undefined
    this.#saved(ready)
    // The vote counts from now on, if it is still for the same campaign.
    if (ownVote && ownVote.term === raft.term && ownVote.role === raft.role) {
      countVote(raft, raft.id, true)
    }
    if (raft.role === 'leader') acknowledgeOwn(raft)
  }

  /** As in status(), which costs too much to be asked for every answer. */
  get term(): number {
    return this.#raft.term
  }

  status(): Status {
    const { id, term, vote, role, leader, leadTransferee, log } = this.#raft
    const { committed: commit, applied } = log
    const progress = this.#progressViews()
    return { id, term, vote, role, leader, commit, applied, leadTransferee, progress }
  }

  #propose(proposal: Proposal): boolean {
    const raft = this.#raft
    if (raft.role === 'leader') return propose(raft, [proposal])
    const entry = { ...proposal, Term: 0, Index: 0 }
    return step(raft, localMessage(MessageType.MsgProp, raft.id, [entry]))
  }

  #saved({ entries, snapshot, committedEntries }: Ready): void {
    const raft = this.#raft
    const { log } = raft
    const last = entries.at(-1)
    if (last) log.unstable.stableTo(last.Index, last.Term)
    if (snapshot) {
      const { index } = metadataOf(snapshot)
      log.unstable.stableSnapshotTo(index)
      log.appliedTo(index)
    }
    log.appliedTo(committedEntries.at(-1)?.Index ?? 0)
    if (raft.uncommittedBytes > 0) {
      raft.uncommittedBytes = Math.max(0, raft.uncommittedBytes - dataBytes(committedEntries))
    }
  }

  #isVoteNew(): boolean {
    const { term, vote } = this.#raft
    return term !== this.#hardState.term || vote !== this.#hardState.vote
  }

  #isHardStateNew(): boolean {
    return this.#isVoteNew() || this.#raft.log.committed !== this.#hardState.commit
  }

  #isSoftStateNew(): boolean {
    const { leader, role } = this.#raft
    return leader !== this.#softState.leader || role !== this.#softState.role
  }

  #progressViews(): ReadonlyMap<bigint, ProgressView> {
    const views = new Map<bigint, ProgressView>()
    if (this.#raft.role !== 'leader') return views
    for (const [id, progress] of this.#raft.tracker.progress) {
      const { match, next, state, isLearner, recentActive, isPaused, pendingSnapshot } = progress
      const inflightCount = progress.inflights.count
      const flow = { isPaused, pendingSnapshot, inflightCount }
      views.set(id, { match, next, state, isLearner, recentActive, ...flow })
    }
    return views
  }
}

/** Term 0: it comes from inside this member. */
const localMessage = (type: MessageType, from: bigint, entries: Entry[]): Message => ({
  type,
  to: nobody,
  from,
  term: 0,
  logTerm: 0,
  index: 0,
  entries,
  commit: 0,
  reject: false,
  rejectHint: 0,
})
