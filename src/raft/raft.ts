// raft.ts: the state of one member, and the moves that all roles share.
//
// What a role does with a message is in follower.ts, candidate.ts and leader.ts;
// step.ts is where messages and ticks enter. Those files change this state
// directly; the invariants over it are:
//
// - term never falls, and vote is set at most once in a term;
// - role leader: this member's own vote for the term is on disk (it is counted
//   only when the Ready that carried it was saved), so at most one leads a term;
// - messages are sent with the Ready that carries the state they speak of.
import { strict as assert } from 'node:assert'
import { type HardState, type Message, MessageType } from '../api/gen/raft.js'
import { type Membership, restoredMembership } from './conf-change.js'
import { describeConfState, describeId } from './describe.js'
import { Log } from './log.js'
import { ReadOnly } from './read-only.js'
import type { Storage } from './storage.js'
import { Tracker } from './tracker.js'

/** The id that means no member. */
export const nobody = 0n

export type Role = 'follower' | 'preCandidate' | 'candidate' | 'leader'

export interface RaftConfig {
  /** Never 0, which means nobody. */
  id: bigint
  /** Ticks without a leader before a campaign: random in [electionTicks, 2 * electionTicks - 1]. */
  electionTicks: number
  /** Ticks between two heartbeats of a leader; less than electionTicks. */
  heartbeatTicks: number
  storage: Storage
  /** Index of the last entry the state machine has applied; 0 for what the storage starts after. */
  applied: number
  /** Limit of the entries in one append, and of committedEntries in one Ready. */
  messageBytesMax: number
  /** Appends on their way to one member without an answer. */
  inflightMax: number
  /** What the entries of these appends may take together; default: no limit. */
  inflightBytesMax?: number
  /** Proposed data not applied yet, beyond which a leader drops proposals; default: no limit. */
  uncommittedBytesMax?: number
  checkQuorum: boolean
  preVote: boolean
  /** A whole number in [0, limit). */
  random: (limit: number) => number
  /** Receives a line an event; lines are not built when it is absent. */
  trace?: (line: string) => void
}

export interface SoftState {
  /** 0n: none known. */
  leader: bigint
  role: Role
}

export interface ReadState {
  /** The read may be answered once everything up to here is applied. */
  index: number
  context: Buffer
}

export class Raft {
  readonly id: bigint
  readonly config: RaftConfig
  /** What this member does, without its id in front; nothing is built when nobody listens. */
  readonly trace: ((line: string) => void) | undefined
  readonly log: Log
  readonly tracker: Tracker

  term: number
  vote: bigint
  role: Role = 'follower'
  leader = nobody

  /** Ticks since a follower heard of its leader, a candidate began, or a leader last counted. */
  electionElapsed = 0
  heartbeatElapsed = 0
  /** Drawn anew at each change of role or term, so that members seldom campaign at once. */
  electionTimeout = 0

  messages: Message[] = []
  readStates: ReadState[] = []
  /** This member's own vote, counted when the Ready that carries it was saved. */
  ownVote: { term: number; role: Role } | undefined

  /** The rest matters to leaders only. */
  leadTransferee = nobody
  /** Last index that may hold a membership change; no second one until it is applied. */
  pendingConfIndex = 0
  uncommittedBytes = 0
  readOnly = new ReadOnly()
  /** Reads that came before an entry of this term was committed. */
  earlyReads: Message[] = []
  /** Entries or a commit index wait to be sent; done once a Ready, for all of a batch. */
  isBroadcastDue = false

  constructor(config: RaftConfig) {
    checkConfig(config)
    const { hardState, confState } = config.storage.initialState()
    this.id = config.id
    this.config = config
    const { trace } = config
    this.trace = trace && ((line) => trace(`${describeId(config.id)} ${line}`))
    this.log = new Log(config.storage, { commit: hardState.commit, applied: config.applied })
    const { inflightMax: countMax, inflightBytesMax: bytesMax = Number.POSITIVE_INFINITY } = config
    this.tracker = new Tracker({ countMax, bytesMax })
    this.tracker.switchTo(restoredMembership(confState), this.log.lastIndex())
    this.term = hardState.term
    this.vote = hardState.vote
    this.becomeFollower(hardState.term, nobody)
  }

  hardState(): HardState {
    return { term: this.term, vote: this.vote, commit: this.log.committed }
  }

  /** Queues a message for the next Ready; what is not given is zero. */
  send(fields: Partial<Message> & { type: MessageType; to: bigint }): void {
    assert(fields.to !== this.id && fields.to !== nobody, `message to ${describeId(fields.to)}`)
    // Written out field by field: all messages then share one shape in memory.
    this.messages.push({
      type: fields.type,
      to: fields.to,
      from: fields.from ?? this.id,
      term: fields.term ?? this.term,
      logTerm: fields.logTerm ?? 0,
      index: fields.index ?? 0,
      entries: fields.entries ?? [],
      commit: fields.commit ?? 0,
      snapshot: fields.snapshot,
      reject: fields.reject ?? false,
      rejectHint: fields.rejectHint ?? 0,
      context: fields.context,
    })
  }

  /** Passes a request on to the leader; proposals and reads carry term 0, bound to no term. */
  forward(message: Message): void {
    const from = message.from === nobody ? this.id : message.from
    const term = message.type === MessageType.MsgTransferLeader ? this.term : 0
    this.send({ ...message, from, term, to: this.leader })
  }

  becomeFollower(term: number, leader: bigint): void {
    this.reset(term)
    this.role = 'follower'
    this.leader = leader
    this.trace?.(`is follower at term ${term}`)
  }

  /** A clean start in a term, the same one or a later one. */
  reset(term: number): void {
    assert(term >= this.term, `term would fall from ${this.term} to ${term}`)
    if (term !== this.term) this.vote = nobody
    this.term = term
    this.leader = nobody
    this.ownVote = undefined
    this.electionElapsed = 0
    this.heartbeatElapsed = 0
    const { electionTicks, random } = this.config
    this.electionTimeout = electionTicks + random(electionTicks)
    this.leadTransferee = nobody
    this.tracker.reset(this.log.lastIndex() + 1)
    this.pendingConfIndex = 0
    this.uncommittedBytes = 0
    this.readOnly = new ReadOnly()
    this.earlyReads = []
    this.isBroadcastDue = false
  }

  /** The members of a snapshot or after a change take effect. */
  switchTo(membership: Membership): void {
    this.tracker.switchTo(membership, this.log.lastIndex())
    this.trace?.(`has ${describeConfState(this.tracker.confState())}`)
  }

  /** A learner, a stranger and a member with an unsaved snapshot must not lead. */
  canCampaign(): boolean {
    return this.tracker.isVoter(this.id) && this.log.unstable.snapshot === undefined
  }
}

function checkConfig(config: RaftConfig): void {
  const { id, electionTicks, heartbeatTicks } = config
  assert(id !== nobody, 'id 0 means nobody')
  assert(
    heartbeatTicks > 0 && electionTicks > heartbeatTicks,
    `electionTicks ${electionTicks} must exceed heartbeatTicks ${heartbeatTicks}, and that 0`,
  )
}
