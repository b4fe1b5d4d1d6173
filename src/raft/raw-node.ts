// raw-node.ts: the door of the raft core. Calls go in, a Ready comes out.
//
// The driver's duty, in this order: save hardState, entries and snapshot, add
// them to the Storage, send the messages, apply, then advance(). Nothing here
// acts on the world, waits or looks at a clock, so the same calls always give
// the same Readys.
import type { ConfChange, ConfState, Entry, HardState, Message, Snapshot } from '../api/gen/raft.js'
import type { Storage } from './storage.js'

export type Role = 'follower' | 'preCandidate' | 'candidate' | 'leader'

export interface RaftConfig {
  /** Never 0, which means nobody. */
  id: bigint
  /** Ticks without a leader before a campaign: random in [electionTicks, 2 * electionTicks - 1]. */
  electionTicks: number
  /** Ticks between two heartbeats of a leader; less than electionTicks. */
  heartbeatTicks: number
  storage: Storage
  /** Index of the last entry the state machine has applied; 0 for a new one. */
  applied: number
  /** Limit of the entries in one append, and of committedEntries in one Ready. */
  messageBytesMax: number
  /** Appends on their way to one member without an answer. */
  inflightMax: number
  checkQuorum: boolean
  preVote: boolean
  /** A whole number in [0, limit). */
  random: (limit: number) => number
  /** Receives a line an event, made by describe.ts; lines are not built when it is absent. */
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

export interface Ready {
  /** Present when it changed. Not saved. */
  softState?: SoftState
  /** Present when it changed. */
  hardState?: HardState
  /** Entries, term or vote changed: the save must reach the disk before any message leaves. */
  mustSync: boolean
  /** To be saved; replaces what the log holds from the first index on. */
  entries: Entry[]
  snapshot?: Snapshot
  /** To be applied; all of them were saved with an earlier Ready. */
  committedEntries: Entry[]
  messages: Message[]
  readStates: ReadState[]
}

export interface ProgressView {
  match: number
  next: number
  state: 'probe' | 'replicate' | 'snapshot'
  isLearner: boolean
  recentActive: boolean
  paused: boolean
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

export class RawNode {
  constructor(_config: RaftConfig) {}

  /** One unit of time has passed. */
  tick(): void {}

  /** Start an election now. */
  campaign(): void {}

  /** False: dropped, because there is no leader or a transfer is under way. */
  propose(_data: Buffer): boolean {
    return false
  }

  proposeConfChange(_change: ConfChange): boolean {
    return false
  }

  /** Called while a committed change is applied. node_id 0n: refused by the application, no effect. */
  applyConfChange(_change: ConfChange): ConfState {
    throw new Error('RawNode is not written yet')
  }

  /** A message from the network. Types that only make sense inside a member are ignored. */
  step(_message: Message): void {}

  /** Ask for an index that is safe to read at; the answer is in a later ready().readStates. */
  readIndex(_context: Buffer): void {}

  transferLeader(_to: bigint): void {}

  reportUnreachable(_id: bigint): void {}

  reportSnapshot(_id: bigint, _ok: boolean): void {}

  /** False while a Ready is out that was not advanced yet. */
  hasReady(): boolean {
    return false
  }

  ready(): Ready {
    throw new Error('RawNode is not written yet')
  }

  advance(_ready: Ready): void {}

  status(): Status {
    throw new Error('RawNode is not written yet')
  }
}
