// wait.ts: who waits for which request. A proposal is registered under its request id before it
// goes into the log; when the entry is applied here, the applier hands its outcome to the id.
// On other members nobody waits for that id, and the outcome is dropped. An outcome that does not
// come in time is given up, though the entry may still be applied later.

interface Waiter<T> {
  readonly deadlineMs: number
  resolve(outcome: T): void
  reject(error: Error): void
}

export class Wait<T> {
  /** In the order of registration, which is the order of deadlines: all wait equally long. */
  readonly #waiters = new Map<bigint, Waiter<T>>()
  #givenUp = 0

  /** Requests registered and not yet answered. */
  get size(): number {
    return this.#waiters.size
  }

  /** Requests given up so far. */
  get givenUpCount(): number {
    return this.#givenUp
  }

  register(id: bigint, deadlineMs: number): Promise<T> {
    return new Promise((resolve, reject) => this.#waiters.set(id, { deadlineMs, resolve, reject }))
  }

  resolve(id: bigint, outcome: T): void {
    this.#take(id)?.resolve(outcome)
  }

  reject(id: bigint, error: Error): void {
    this.#take(id)?.reject(error)
  }

  /** Gives up those whose time has come; `reason` says why, given when one had its deadline. */
  expire(nowMs: number, reason: (deadlineMs: number) => Error): void {
    for (const [id, { deadlineMs }] of this.#waiters) {
      if (deadlineMs > nowMs) return
      this.#givenUp++
      this.reject(id, reason(deadlineMs))
    }
  }

  rejectAll(error: Error): void {
    for (const id of [...this.#waiters.keys()]) this.reject(id, error)
  }

  #take(id: bigint): Waiter<T> | undefined {
    const waiter = this.#waiters.get(id)
    this.#waiters.delete(id)
    return waiter
  }
}
