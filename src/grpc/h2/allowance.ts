// allowance.ts: how often a client may do what costs it nothing and the server something: so many
// times at once, and so many more for each second that passes.
import type { Clock } from '../../platform/clock.js'

export interface AllowanceOptions {
  readonly burst: number
  readonly perSecond: number
  readonly clock: Pick<Clock, 'now'>
}

export class Allowance {
  readonly #options: AllowanceOptions
  #left: number
  #seenAt: number

  constructor(options: AllowanceOptions) {
    this.#options = options
    this.#left = options.burst
    this.#seenAt = options.clock.now()
  }

  /** False: it was once too often. */
  take(): boolean {
    const { burst, perSecond, clock } = this.#options
    // Only when all seems used up: the clock costs more than the count.
    if (this.#left < 1) {
      const at = clock.now()
      this.#left = Math.min(burst, this.#left + ((at - this.#seenAt) / 1000) * perSecond)
      this.#seenAt = at
    }
    if (this.#left < 1) return false
    this.#left--
    return true
  }
}
