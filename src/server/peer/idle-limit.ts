// idle-limit.ts: ends what has shown no progress for a while. Progress only notes the time, so that
// it may be told for every piece of data; one timer at a time is set.
import type { Clock, Timer } from '../../platform/clock.js'

/** As etcd: how long one read or one write on a connection between members may take. */
export const operationTimeoutMs = 5_000

export class IdleLimit {
  readonly #clock: Clock
  readonly #limitMs: number
  readonly #onIdle: () => void
  #lastMs: number
  #timer: Timer

  constructor(clock: Clock, limitMs: number, onIdle: () => void) {
    this.#clock = clock
    this.#limitMs = limitMs
    this.#onIdle = onIdle
    this.#lastMs = clock.now()
    this.#timer = clock.after(limitMs, () => this.#check())
  }

  touch(): void {
    this.#lastMs = this.#clock.now()
  }

  cancel(): void {
    this.#timer.cancel()
  }

  #check(): void {
    const leftMs = this.#lastMs + this.#limitMs - this.#clock.now()
    if (leftMs <= 0) this.#onIdle()
    else this.#timer = this.#clock.after(leftMs, () => this.#check())
  }
}
