// clock.ts: time, as a thing that can be passed in. A test passes one that it moves by hand.

/** A pending call; cancel() before it is due means that it never happens. */
export interface Timer {
  cancel(): void
  /** Keeps the process alive until the call is due, for a wait that somebody depends on. */
  hold?(): void
}

export interface Clock {
  /** Milliseconds since an arbitrary start; never goes back. For durations and deadlines. */
  now(): number
  /** Milliseconds since 1970. For log lines and generated ids, never for durations. */
  wall(): number
  /** Calls back once, not before `delayMs` have passed. */
  after(delayMs: number, callback: () => void): Timer
  /** Calls back again and again, `intervalMs` apart, until cancelled. */
  every(intervalMs: number, callback: () => void): Timer
}

// Taken when this module is loaded: a test that puts fake timers in the place of these later means
// its own code, and must not stop the server that it talks to.
const { setTimeout, setInterval, clearTimeout, clearInterval } = globalThis
const { hrtime } = process
const wall = Date.now.bind(Date)

/** Not performance.now(): the first use of `performance` loads modules, which a `get` would pay. */
function now(): number {
  const [seconds, nanoseconds] = hrtime()
  return seconds * 1000 + nanoseconds / 1e6
}

/** The machine's clock. Its timers do not keep the process alive by themselves. */
export const systemClock: Clock = {
  now,
  wall,
  after(delayMs, callback) {
    const timer = setTimeout(callback, delayMs)
    timer.unref()
    return { cancel: () => clearTimeout(timer), hold: () => timer.ref() }
  },
  every(intervalMs, callback) {
    const timer = setInterval(callback, intervalMs)
    timer.unref()
    return { cancel: () => clearInterval(timer) }
  },
}
