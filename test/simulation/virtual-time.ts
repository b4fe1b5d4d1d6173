// virtual-time.ts: the time of a simulation. What is due happens in the order of its time, one
// thing after the other; between two things everything that was set off gets to its next wait.
// Nothing in a simulation waits for the real world, so the same calls always give the same order.
import type { Clock, Timer } from '../../src/platform/clock.js'

interface Due {
  readonly at: number
  readonly order: number
  readonly callback: () => void
  isCancelled: boolean
}

/** All promises that can go on have gone on when a turn of the event loop is over. */
const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

export class VirtualTime {
  now = 0
  /** Things that happened so far. */
  eventCount = 0
  /** Called after each of them, once everything waits again. */
  onEvent: () => void = () => {}
  readonly #heap: Due[] = []
  #order = 0

  after(delayMs: number, callback: () => void): Timer {
    const at = this.now + Math.max(0, delayMs)
    const due: Due = { at, order: this.#order++, callback, isCancelled: false }
    this.#push(due)
    return {
      cancel: () => {
        due.isCancelled = true
      },
    }
  }

  async runUntil(ms: number, isDone: () => boolean = () => false): Promise<void> {
    while (!isDone()) {
      const due = this.#heap[0]
      if (due === undefined || due.at > ms) break
      this.#pop()
      if (due.isCancelled) continue
      this.now = due.at
      this.eventCount++
      due.callback()
      await settled()
      this.onEvent()
    }
    if (!isDone()) this.now = Math.max(this.now, ms)
  }

  #push(due: Due): void {
    const heap = this.#heap
    let at = heap.push(due) - 1
    while (at > 0) {
      const parent = (at - 1) >> 1
      const above = heap[parent]
      if (above === undefined || isBefore(above, due)) break
      heap[at] = above
      heap[parent] = due
      at = parent
    }
  }

  #pop(): void {
    const heap = this.#heap
    const last = heap.pop()
    if (last === undefined || heap.length === 0) return
    let at = 0
    for (;;) {
      const child = this.#smallerChild(at)
      const below = heap[child]
      if (below === undefined || isBefore(last, below)) break
      heap[at] = below
      at = child
    }
    heap[at] = last
  }

  #smallerChild(at: number): number {
    const left = this.#heap[2 * at + 1]
    const right = this.#heap[2 * at + 2]
    if (left !== undefined && right !== undefined && isBefore(right, left)) return 2 * at + 2
    return 2 * at + 1
  }
}

const isBefore = (a: Due, b: Due): boolean => a.at < b.at || (a.at === b.at && a.order < b.order)

/** One run of a member: a crash ends it, a pause keeps it from noticing anything. */
export class Life {
  isOver = false
  readonly bornMs: number
  #pausedUntil = 0
  readonly #time: VirtualTime
  readonly #random: (limit: number) => number
  readonly #mourners: (() => void)[] = []

  constructor(time: VirtualTime, random: (limit: number) => number) {
    this.#time = time
    this.#random = random
    this.bornMs = time.now
  }

  get isPaused(): boolean {
    return this.#pausedUntil > this.#time.now
  }

  pause(forMs: number): void {
    this.#pausedUntil = this.#time.now + forMs
  }

  resume(): void {
    this.#pausedUntil = this.#time.now
  }

  end(): void {
    this.isOver = true
    for (const mourner of this.#mourners.splice(0)) mourner()
  }

  /** Called when the life ends. */
  mourn(callback: () => void): void {
    this.#mourners.push(callback)
  }

  /**
   * Calls back while the life lasts. What falls into a pause comes after it, in any order: it came
   * over several connections.
   */
  after(delayMs: number, callback: () => void): Timer {
    let timer: Timer
    const due = (): void => {
      if (this.isOver) return
      if (this.isPaused) {
        const restMs = this.#pausedUntil - this.#time.now
        timer = this.#time.after(restMs + this.#random(3), due)
      } else callback()
    }
    timer = this.#time.after(delayMs, due)
    return { cancel: () => timer.cancel() }
  }
}

/** Some day in 2020, so that ids made of the time look like real ones. */
const wallStartMs = 1_600_000_000_000

/** The clock of one run of a member. */
export function clockOf(life: Life, time: VirtualTime): Clock {
  return {
    now: () => time.now,
    wall: () => wallStartMs + time.now,
    after: (delayMs, callback) => life.after(delayMs, callback),
    every(intervalMs, callback) {
      let timer: Timer
      const again = (): void => {
        timer = life.after(intervalMs, () => {
          again()
          callback()
        })
      }
      again()
      return { cancel: () => timer.cancel() }
    },
  }
}
