// manual-clock.ts: a clock that moves only when a test says so. Callbacks run in the order of
// their times while advance() is on its way.
import type { Clock, Timer } from '../../src/platform/clock.js'

export interface ManualClock extends Clock {
  advance(ms: number): void
  /** Resolves when somebody waits for the clock; at once if somebody does already. */
  awaited(): Promise<void>
  /** Delays of the calls that are pending, from now. */
  pending(): number[]
}

interface Due {
  at: number
  callback: () => void
}

export function newManualClock(): ManualClock {
  let now = 0
  const calls = new Set<Due>()
  const waiters: (() => void)[] = []

  const add = (due: Due): Timer => {
    calls.add(due)
    for (const wake of waiters.splice(0)) wake()
    return { cancel: () => calls.delete(due) }
  }
  const next = (until: number): Due | undefined =>
    [...calls].filter(({ at }) => at <= until).sort((a, b) => a.at - b.at)[0]

  return {
    now: () => now,
    wall: () => now,
    after: (delayMs, callback) => add({ at: now + delayMs, callback }),
    every(intervalMs, callback) {
      let timer: Timer
      const again = (): void => {
        timer = add({ at: now + intervalMs, callback: tick })
      }
      const tick = (): void => {
        again()
        callback()
      }
      again()
      return { cancel: () => timer.cancel() }
    },
    advance(ms) {
      const until = now + ms
      for (let due = next(until); due !== undefined; due = next(until)) {
        calls.delete(due)
        now = due.at
        due.callback()
      }
      now = until
    },
    async awaited() {
      if (calls.size === 0) await new Promise<void>((resolve) => waiters.push(resolve))
    },
    pending: () => [...calls].map(({ at }) => at - now),
  }
}
