// read-rounds.ts: reads that must see every write acknowledged before them. Each asks raft for an
// index that is safe to read at, and waits until this member has applied up to there.
//
//     next     come while a question is under way; they share the next one
//     asked    share the question that is under way; it is repeated when its answer may be lost
//     known    have their index, and wait until it is applied
//
// Nobody waits for longer than a request may take. A question outlives its leader: the next one is
// asked. That is no danger, as whatever answer comes was found after the reads had begun.
import { EtcdError } from '../api/rpc-errors.js'
import type { Clock } from '../platform/clock.js'

/** A question may be repeated when its answer got lost: so often at the most. */
const askAgainMs = 500

export interface ReadRoundsParts {
  clock: Pick<Clock, 'now'>
  /** How long a read may wait. */
  requestTimeoutMs: number
  /** Passes a question on to raft; its answer brings the context back. */
  ask(context: Buffer): void
}

interface Batch {
  readonly startedMs: number
  readonly waiters: { resolve(): void; reject(error: Error): void }[]
}

export class ReadRounds {
  readonly #parts: ReadRoundsParts
  #next: Batch | undefined
  #asked: { batch: Batch; context: bigint; askedMs: number } | undefined
  #known: { index: number; batch: Batch }[] = []
  #applied: number
  #count = 0n
  #slow = 0
  #failed = 0

  constructor(parts: ReadRoundsParts, applied: number) {
    this.#parts = parts
    this.#applied = applied
  }

  /** Questions that took too long, and that were given up for another reason. */
  get figures(): { slow: number; failed: number } {
    return { slow: this.#slow, failed: this.#failed }
  }

  /** @throws EtcdError timeout, and what fail() is given */
  join(): Promise<void> {
    this.#next ??= { startedMs: this.#parts.clock.now(), waiters: [] }
    const { waiters } = this.#next
    const promise = new Promise<void>((resolve, reject) => waiters.push({ resolve, reject }))
    this.ask()
    return promise
  }

  /** Asks for those who wait for it, unless a question is under way. */
  ask(): void {
    if (this.#asked !== undefined || this.#next === undefined) return
    const batch = this.#next
    this.#next = undefined
    this.#asked = { batch, context: ++this.#count, askedMs: 0 }
    this.askAgain()
  }

  /** Repeats the question under way, if any. */
  askAgain(): void {
    if (this.#asked === undefined) return
    this.#asked.askedMs = this.#parts.clock.now()
    const context = Buffer.allocUnsafe(8)
    context.writeBigUInt64BE(this.#asked.context)
    this.#parts.ask(context)
  }

  /** An answer of raft. A late one, to a question that was repeated or given up, is for nobody. */
  answered(index: number, context: Buffer): void {
    const asked = this.#asked
    if (asked === undefined || context.readBigUInt64BE() !== asked.context) return
    this.#asked = undefined
    this.#known.push({ index, batch: asked.batch })
    this.applied(this.#applied)
  }

  /** Everything up to `index` is applied. */
  applied(index: number): void {
    this.#applied = index
    let first = this.#known[0]
    while (first !== undefined && first.index <= index) {
      for (const { resolve } of first.batch.waiters) resolve()
      this.#known.shift()
      first = this.#known[0]
    }
  }

  /** To be called now and then: gives up what took too long, repeats what may be lost. */
  tick(): void {
    const now = this.#parts.clock.now()
    const isOver = ({ startedMs }: Batch) => now - startedMs >= this.#parts.requestTimeoutMs
    this.#known = this.#known.filter(({ batch }) => {
      if (isOver(batch)) reject([batch], new EtcdError('timeout'))
      return !isOver(batch)
    })
    const asked = this.#asked
    if (asked === undefined) return
    if (isOver(asked.batch)) {
      this.#asked = undefined
      this.#slow++
      reject([asked.batch], new EtcdError('timeout'))
      this.ask()
    } else if (now - asked.askedMs >= askAgainMs) {
      this.askAgain()
    }
  }

  /** Ends all waiting. */
  fail(error: EtcdError): void {
    const batches = [this.#next, this.#asked?.batch, ...this.#known.map(({ batch }) => batch)]
    if (this.#asked !== undefined) this.#failed++
    this.#next = undefined
    this.#asked = undefined
    this.#known = []
    reject(batches, error)
  }
}

function reject(batches: readonly (Batch | undefined)[], error: EtcdError): void {
  for (const batch of batches) for (const waiter of batch?.waiters ?? []) waiter.reject(error)
}
