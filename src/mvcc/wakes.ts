// wakes.ts: consumers that have something to take, woken together once the work that made it is
// done: all that one batch of writes has to tell goes to a client in one piece. A write may concern
// a thousand of them, so there is one microtask for all and no promise for each.

export class Wakes {
  #due: (() => void)[] = []

  /** `wake` is called soon, and not now. It must not throw. */
  add(wake: () => void): void {
    if (this.#due.length === 0) Promise.resolve().then(this.#run)
    this.#due.push(wake)
  }

  readonly #run = (): void => {
    const due = this.#due
    this.#due = []
    for (const wake of due) wake()
  }
}
