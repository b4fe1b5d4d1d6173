// late-heartbeats.ts: whether a leader's heartbeats leave in time. One that is late means that this
// member was busy with something else, a slow disk as a rule, and that others may soon vote.
import { type Message, MessageType } from '../../api/gen/raft.js'
import type { Clock } from '../../platform/clock.js'

export class LateHeartbeats {
  readonly #clock: Clock
  readonly #limitMs: number
  readonly #lastMs = new Map<bigint, number>()
  #count = 0

  /** As etcd: more than two intervals after the last one is late. */
  constructor(clock: Clock, heartbeatIntervalMs: number) {
    this.#clock = clock
    this.#limitMs = 2 * heartbeatIntervalMs
  }

  get count(): number {
    return this.#count
  }

  onSend(messages: readonly Message[]): void {
    for (const { type, to } of messages) {
      if (type !== MessageType.MsgHeartbeat) continue
      const nowMs = this.#clock.now()
      if (nowMs - (this.#lastMs.get(to) ?? nowMs) > this.#limitMs) this.#count++
      this.#lastMs.set(to, nowMs)
    }
  }

  /** Another leader: a silence between two terms is none. */
  onLeader(): void {
    this.#lastMs.clear()
  }
}
