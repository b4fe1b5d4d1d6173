// progress.ts: what a leader knows about the log of one member.
//
//     probe      The end of the member's log is a guess. One append at a time,
//                until one is accepted; a refusal moves `next` back.
//     replicate  The guess held. Appends follow each other without waiting, as
//                many as fit in flight; `next` runs ahead of what was answered.
//     snapshot   The entries it needs are compacted. Nothing is sent until it
//                has the snapshot, or the sending failed.
//
// probe -> replicate on an accepted append; replicate -> probe on a refusal or
// when the member cannot be reached; snapshot -> probe when the transfer is over.
import type { Entry } from '../api/gen/raft.js'
import { type InflightLimits, Inflights } from './inflights.js'
import { entriesBytes } from './storage.js'

export type ProgressState = 'probe' | 'replicate' | 'snapshot'

export class Progress {
  /** Highest index known to be in the member's log. Only rises within a term. */
  match = 0
  /** Index of the next entry to send. Invariant: match < next <= lastIndex + 1. */
  next: number
  /** Highest commit index told; may be too low after a loss, never too high. */
  sentCommit = 0
  state: ProgressState = 'probe'
  /** Index of the snapshot under way; 0 outside of state snapshot. */
  pendingSnapshot = 0
  /** Something was heard since the last check for a quorum. */
  recentActive: boolean
  /** An append is out as a probe, or the window is full; a heartbeat's answer lifts it. */
  isFlowPaused = false
  isLearner: boolean
  readonly inflights: Inflights

  constructor(start: {
    next: number
    isLearner: boolean
    recentActive: boolean
    inflightLimits: InflightLimits
  }) {
    this.next = start.next
    this.isLearner = start.isLearner
    this.recentActive = start.recentActive
    this.inflights = new Inflights(start.inflightLimits)
  }

  get isPaused(): boolean {
    return this.state === 'snapshot' || this.isFlowPaused
  }

  becomeProbe(): void {
    // After a snapshot that arrived, the member holds everything up to its index.
    const held = this.state === 'snapshot' ? this.pendingSnapshot : 0
    this.#enter('probe')
    this.next = Math.max(this.match, held) + 1
    this.sentCommit = Math.min(this.sentCommit, this.next - 1)
  }

  becomeReplicate(): void {
    this.#enter('replicate')
    this.next = this.match + 1
  }

  becomeSnapshot(index: number): void {
    this.#enter('snapshot')
    this.pendingSnapshot = index
    this.next = index + 1
    this.sentCommit = index
  }

  /** An append with these entries, from `next` on, has left. */
  sentEntries(entries: readonly Entry[]): void {
    if (this.state === 'probe') {
      if (entries.length > 0) this.isFlowPaused = true
      return
    }
    if (entries.length > 0) {
      this.next += entries.length
      this.inflights.add(this.next - 1, entriesBytes(entries))
    }
    // With a full window this append is itself a probe: one, then wait.
    this.isFlowPaused = this.inflights.isFull
  }

  /** Would the member's commit index rise if it were told `commit` now? */
  canRaiseCommit(commit: number): boolean {
    return commit > this.sentCommit && this.sentCommit < this.next - 1
  }

  /** The member holds everything up to `index`. False if that is old news. */
  acknowledge(index: number): boolean {
    if (index <= this.match) return false
    this.match = index
    this.next = Math.max(this.next, index + 1)
    this.isFlowPaused = false
    return true
  }

  /**
   * The member refused the append after `refused`; `hint` is where its log may
   * agree. False if the refusal is a late one that says nothing new.
   */
  moveBack(refused: number, hint: number): boolean {
    if (this.state === 'replicate') {
      if (refused <= this.match) return false
      this.next = this.match + 1
    } else {
      // One probe is out at a time, so an answer to another one is a late one.
      if (this.next - 1 !== refused) return false
      this.next = Math.max(Math.min(refused, hint + 1), this.match + 1)
      this.isFlowPaused = false
    }
    this.sentCommit = Math.min(this.sentCommit, this.next - 1)
    return true
  }

  #enter(state: ProgressState): void {
    this.state = state
    this.isFlowPaused = false
    this.pendingSnapshot = 0
    this.inflights.reset()
  }
}
