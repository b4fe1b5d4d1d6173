// outlet.ts: finds connections that let nothing out: the client takes nothing of what waits for
// it, and says nothing either. What it says would not be heard once much waits, since
// h2/server-connection.ts stops reading then, so not even its hanging up is noticed. So who has
// been silent for a while is sent a ping. Whether it is answered does not matter here
// (keepalive.ts): only that it leaves.
//
// One ping for each silence: a connection that was found sound is asked again when something came.
import type { Clock, Timer } from '../platform/clock.js'

/** A broken connection stays for twice to three times this. */
const intervalMs = 60_000

export interface OutletOptions {
  readonly clock: Clock
  bytesRead(): number
  bytesWritten(): number
  ping(): void
  onStuck(): void
}

export class Outlet {
  readonly #options: OutletOptions
  readonly #timer: Timer
  #seenBytes = -1
  /** Bytes read when it was last found sound. */
  #soundBytes = -1
  /** Bytes written when a ping was handed over that has to leave. */
  #writtenAtPing: number | undefined

  constructor(options: OutletOptions) {
    this.#options = options
    this.#timer = options.clock.every(intervalMs, () => this.#check())
  }

  stop(): void {
    this.#timer.cancel()
  }

  #check(): void {
    const { bytesRead, bytesWritten, ping, onStuck } = this.#options
    const read = bytesRead()
    if (this.#writtenAtPing !== undefined) {
      if (this.#writtenAtPing === bytesWritten()) {
        onStuck()
        return
      }
      this.#writtenAtPing = undefined
      this.#soundBytes = read
    } else if (read === this.#seenBytes && read !== this.#soundBytes) {
      this.#writtenAtPing = bytesWritten()
      ping()
    }
    this.#seenBytes = read
  }
}
