// keepalive.ts: finds out that the peer of a silent connection is gone. When nothing arrived for
// a while it pings; when nothing arrives after that either, the connection is dead. Traffic is
// noticed by the count of bytes read, at no cost per message, and no timer runs while nobody
// needs the connection.
import type { Clock, Timer } from '../platform/clock.js'

// Taken now: fake timers that a test puts in its place later are to stop the test's code alone.
const { setImmediate } = globalThis

export interface KeepAliveOptions {
  readonly clock: Clock
  /** Silence before a ping; 0 switches the whole thing off. */
  readonly timeMs: number
  readonly timeoutMs: number
  bytesRead(): number
  ping(): void
  /** False: nobody waits for anything, sleep until the next wake(). */
  isWanted(): boolean
  onDead(): void
}

export class KeepAlive {
  readonly #options: KeepAliveOptions
  #timer: Timer | undefined
  #seenBytes = 0

  constructor(options: KeepAliveOptions) {
    this.#options = options
  }

  /** Somebody needs the connection. Cheap when it is awake already. */
  wake(): void {
    if (this.#timer === undefined && this.#options.timeMs > 0) this.#watch()
  }

  stop(): void {
    this.#timer?.cancel()
    this.#timer = undefined
  }

  #watch(): void {
    const { clock, timeMs } = this.#options
    this.#seenBytes = this.#options.bytesRead()
    this.#timer = clock.after(timeMs, () => this.#quiet())
  }

  #quiet(): void {
    const { clock, timeoutMs } = this.#options
    this.#timer = undefined
    if (!this.#options.isWanted()) return
    if (this.#options.bytesRead() !== this.#seenBytes) {
      this.#watch()
      return
    }
    this.#options.ping()
    // A program that was busy for so long has timers called before it reads what has come.
    this.#timer = clock.after(timeoutMs, () => setImmediate(() => this.#judge()))
  }

  #judge(): void {
    if (this.#timer === undefined) return // stopped
    this.#timer = undefined
    // The answer to the ping is traffic like any other.
    if (this.#options.bytesRead() === this.#seenBytes) this.#options.onDead()
    else this.#watch()
  }
}
