// clock.ts: a clock that goes with the machine's and can be put forward, so that a test
// need not wait for a lease to run out.
import type { Clock, Timer } from '../../platform/clock.js'

interface Pending {
  atMs: number
  callback: () => void
  timer: Timer
}

export class AdvancingClock implements Clock {
  readonly #base: Clock
  readonly #pending = new Set<Pending>()
  #offsetMs = 0

  constructor(base: Clock) {
    this.#base = base
  }

  now(): number {
    return this.#base.now() + this.#offsetMs
  }

  wall(): number {
    return this.#base.wall() + this.#offsetMs
  }

  after(delayMs: number, callback: () => void): Timer {
    const fire = () => {
      this.#pending.delete(pending)
      callback()
    }
    const timer = this.#base.after(delayMs, fire)
    const pending: Pending = { atMs: this.now() + delayMs, callback: fire, timer }
    this.#pending.add(pending)
    const cancel = () => {
      timer.cancel()
      this.#pending.delete(pending)
    }
    return { cancel, ...(timer.hold && { hold: () => timer.hold?.() }) }
  }

  every(intervalMs: number, callback: () => void): Timer {
    let timer: Timer
    const next = (): Timer =>
      this.after(intervalMs, () => {
        timer = next()
        callback()
      })
    timer = next()
    return { cancel: () => timer.cancel() }
  }

  /** Time has passed, but nobody is told yet. */
  shift(ms: number): void {
    this.#offsetMs += ms
  }

  /** Calls back, in order, whoever is due now. Who calls back regularly does so once. */
  runDue(): void {
    const now = this.now()
    const due = [...this.#pending].filter(({ atMs }) => atMs <= now)
    for (const pending of due.sort((a, b) => a.atMs - b.atMs)) {
      if (!this.#pending.has(pending)) continue
      pending.timer.cancel()
      pending.callback()
    }
  }
}

const units: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 }

/** Milliseconds, or text as in '30s' or '1h30m'. @throws TypeError */
export function millisecondsOf(duration: number | string): number {
  if (typeof duration === 'number') return duration
  if (!/^(\d+(\.\d+)?(ms|s|m|h))+$/.test(duration)) {
    throw new TypeError(`'${duration}' is no duration; write milliseconds, or '30s', '1h30m'`)
  }
  let sum = 0
  for (const [, count, unit = ''] of duration.matchAll(/([\d.]+)(ms|s|m|h)/g)) {
    sum += Number(count) * (units[unit] ?? 0)
  }
  return sum
}
