// index-wait.ts: who waits until this member has applied an entry of the log.

interface Waiter {
  readonly index: number
  resolve(): void
}

export class IndexWait {
  readonly #waiters = new Set<Waiter>()
  #applied = 0

  /** Everything up to `index` is applied. */
  reached(index: number): void {
    this.#applied = index
    for (const waiter of [...this.#waiters]) {
      if (waiter.index > index) continue
      this.#waiters.delete(waiter)
      waiter.resolve()
    }
  }

  /** Resolves when the index is applied, or when the signal says that nobody cares any more. */
  wait(index: number, signal: AbortSignal): Promise<void> {
    if (index <= this.#applied || signal.aborted) return Promise.resolve()
    return new Promise((resolve) => {
      const waiter = { index, resolve }
      this.#waiters.add(waiter)
      signal.addEventListener(
        'abort',
        () => {
          this.#waiters.delete(waiter)
          resolve()
        },
        { once: true },
      )
    })
  }
}
