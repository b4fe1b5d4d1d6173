// manual-clock.ts: a clock that stands still until a test moves it.
import type { Clock, Timer } from '../../src/platform/clock.js'

export class ManualClock implements Clock {
  #now = 0
  readonly #due = new Set<{ at: number; callback: () => void }>()

  now(): number {
    return this.#now
  }

  wall(): number {
    return 1_700_000_000_000 + this.#now
  }

  after(delayMs: number, callback: () => void): Timer {
    const entry = { at: this.#now + delayMs, callback }
    this.#due.add(entry)
    return { cancel: () => this.#due.delete(entry) }
  }

  every(intervalMs: number, callback: () => void): Timer {
    let timer: Timer
    const again = () => {
      timer = this.after(intervalMs, again)
      callback()
    }
    timer = this.after(intervalMs, again)
    return { cancel: () => timer.cancel() }
  }

  /** Moves on, calling what falls due in its order. */
  advance(ms: number): void {
    const until = this.#now + ms
    for (;;) {
      const next = [...this.#due].sort((a, b) => a.at - b.at)[0]
      if (next === undefined || next.at > until) break
      this.#due.delete(next)
      this.#now = next.at
      next.callback()
    }
    this.#now = until
  }

  /** Timers that are set: none must be left when everything is closed. */
  get pendingCount(): number {
    return this.#due.size
  }
}
