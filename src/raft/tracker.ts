// tracker.ts: the members as this one sees them: who votes, who learns, how far
// each one is, and who has voted in the election under way.

import type { ConfState } from '../api/gen/raft.js'
import { confState, type Membership } from './conf-change.js'
import type { InflightLimits } from './inflights.js'
import { Progress } from './progress.js'
import { committedIndex, type VoteResult, voteResult } from './quorum.js'

export class Tracker {
  readonly #inflightLimits: InflightLimits
  #membership: Membership = { voters: [], learners: [] }
  /** Of every voter and learner, by ascending id: loops over it emit messages in that order. */
  #progress = new Map<bigint, Progress>()
  readonly #votes = new Map<bigint, boolean>()

  constructor(inflightLimits: InflightLimits) {
    this.#inflightLimits = inflightLimits
  }

  get membership(): Membership {
    return this.#membership
  }

  get voters(): readonly bigint[] {
    return this.#membership.voters
  }

  get progress(): ReadonlyMap<bigint, Progress> {
    return this.#progress
  }

  confState(): ConfState {
    return confState(this.#membership)
  }

  isVoter(id: bigint): boolean {
    return this.#progress.get(id)?.isLearner === false
  }

  /** Newcomers start as probes at lastIndex; those who stay keep what is known of them. */
  switchTo(membership: Membership, lastIndex: number): void {
    const before = this.#progress
    const after = new Map<bigint, Progress>()
    const learners = new Set(membership.learners)
    const ids = [...membership.voters, ...membership.learners]
    for (const id of ids.sort((a, b) => (a < b ? -1 : 1))) {
      const isLearner = learners.has(id)
      // Active at first, so that the next check for a quorum gives it time to speak up.
      const progress = before.get(id) ?? this.#fresh(Math.max(lastIndex, 1), isLearner, true)
      progress.isLearner = isLearner
      after.set(id, progress)
    }
    this.#membership = membership
    this.#progress = after
  }

  /** A new term: nothing is known of any log. */
  reset(next: number): void {
    this.resetVotes()
    for (const [id, { isLearner }] of this.#progress) {
      this.#progress.set(id, this.#fresh(next, isLearner, false))
    }
  }

  /** The highest index that a majority of the voters holds. */
  committed(): number {
    return committedIndex(this.voters, (id) => this.#progress.get(id)?.match ?? 0)
  }

  /** Has a majority, this member included, been heard of lately? */
  isQuorumActive(self: bigint): boolean {
    const active = new Map<bigint, boolean>()
    for (const id of this.voters) {
      active.set(id, id === self || this.#progress.get(id)?.recentActive === true)
    }
    return voteResult(this.voters, active) === 'won'
  }

  resetVotes(): void {
    this.#votes.clear()
  }

  /** The first answer of a member stands: a repeated message is no second vote. */
  recordVote(id: bigint, granted: boolean): VoteResult {
    if (!this.#votes.has(id)) this.#votes.set(id, granted)
    return voteResult(this.voters, this.#votes)
  }

  #fresh(next: number, isLearner: boolean, recentActive: boolean): Progress {
    const inflightLimits = this.#inflightLimits
    return new Progress({ next, isLearner, recentActive, inflightLimits })
  }
}
