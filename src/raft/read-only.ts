// read-only.ts: reads that wait for proof that their leader still leads.
//
// A leader may have been replaced without knowing it. So a read takes the commit
// index of the moment it arrives, and waits until a majority has answered a
// heartbeat that left after that moment (raft dissertation, 6.4). Reads share
// rounds: all that arrive before the heartbeats of a round have left belong to
// it. A heartbeat names its round in its context, 8 bytes, and the answer brings
// it back; an answer to round n also proves all rounds before n.
import type { Message } from '../api/gen/raft.js'
import { committedIndex } from './quorum.js'

/** Beyond this many, new reads are dropped; the server asks again after a while. */
export const waitingReadsMax = 16_384

export interface WaitingRead {
  request: Message
  /** Commit index when the request arrived. */
  index: number
  round: number
}

export class ReadOnly {
  #waiting: WaitingRead[] = []
  #round = 0
  /** The heartbeats of the newest round have not left yet. */
  #isOpen = false
  readonly #acks = new Map<bigint, number>()

  get waitingCount(): number {
    return this.#waiting.length
  }

  /** True if this read opens a round, so that heartbeats have to go out. */
  add(request: Message, index: number): boolean {
    const opens = !this.#isOpen
    if (opens) this.#round++
    this.#isOpen = true
    this.#waiting.push({ request, index, round: this.#round })
    return opens
  }

  /** The messages made so far leave now: later reads need a round of their own. */
  closeRound(): void {
    this.#isOpen = false
  }

  /** For any heartbeat while reads wait: a lost round is so repeated by the next beat. */
  context(): Buffer | undefined {
    if (this.#waiting.length === 0) return undefined
    const context = Buffer.alloc(8)
    context.writeBigUInt64LE(BigInt(this.#round))
    return context
  }

  acknowledge(from: bigint, context: Buffer): void {
    if (context.length !== 8) return
    const round = Number(context.readBigUInt64LE()) // a count of ours, far below 2^53
    if (round > this.#round || round <= (this.#acks.get(from) ?? 0)) return
    this.#acks.set(from, round)
  }

  /** Takes out the reads that a majority has confirmed; the leader confirms its own rounds. */
  confirmed(voters: readonly bigint[], self: bigint): WaitingRead[] {
    const round = committedIndex(voters, (id) =>
      id === self ? this.#round : (this.#acks.get(id) ?? 0),
    )
    const count = this.#waiting.findIndex((read) => read.round > round)
    return this.#waiting.splice(0, count < 0 ? this.#waiting.length : count)
  }
}
