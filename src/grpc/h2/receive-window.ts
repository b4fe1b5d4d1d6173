// receive-window.ts: how much a peer may still send, on a stream or on the whole connection. What
// was received is given back when it is no longer held, and the peer is told when half a window
// came together: few frames, and it never has to stop.

export class ReceiveWindow {
  readonly #size: number
  /** Invariant: left + what is held + givenBack = size. */
  #left: number
  #givenBack = 0

  constructor(size: number) {
    this.#size = size
    this.#left = size
  }

  /** False: the peer sent more than it may. */
  take(bytes: number): boolean {
    this.#left -= bytes
    return this.#left >= 0
  }

  /** What to tell the peer that it may send in addition; 0: nothing yet. */
  giveBack(bytes: number): number {
    this.#givenBack += bytes
    if (this.#givenBack < this.#size / 2) return 0
    const more = this.#givenBack
    this.#left += more
    this.#givenBack = 0
    return more
  }
}
