// linearizable.ts: is there an order of the operations on one key that explains all answers, and in
// which no operation comes before one that had ended when it began? The model is a register that
// may be absent. The search is that of Wing and Gong with Lowe's memory of what was tried: an
// operation without an answer may take effect at any later time, or as the last of all, which is
// the same as never.

/** What a client asked for. Every value is put once, so that an answer names the write it saw. */
export type Call =
  | { kind: 'put'; value: string }
  | { kind: 'get' }
  | { kind: 'delete' }
  /** Puts `value` if `expected` is there. */
  | { kind: 'swap'; expected: string | undefined; value: string }

/** What it was told. `before`: the value that was there. */
export interface Answer {
  before: string | undefined
  /** Of a swap: it took effect. */
  swapped?: boolean
}

export interface Operation {
  readonly call: Call
  /** Order of the call among all calls and answers. */
  readonly called: number
  /** Undefined: there was no answer, and it may have taken effect or not. */
  answered?: number
  answer?: Answer
}

export type Verdict = 'linearizable' | 'not linearizable' | 'undecided'

/** Steps after which the search gives up. */
const stepsMax = 500_000

export function checkRegister(all: readonly Operation[]): Verdict {
  const seen = new Set(all.flatMap(({ call, answer }) => [answer?.before, expectedBy(call)]))
  const operations = all
    .filter(({ call, answer }) => answer !== undefined || mayHaveBeenSeen(call, seen))
    .sort((a, b) => a.called - b.called)
  return new Search(operations).run()
}

/**
 * Of operations without an answer. A read says nothing. A value that nobody ever saw was put last
 * or was overwritten by something that was not answered either: both are as if it never was put.
 */
function mayHaveBeenSeen(call: Call, seen: ReadonlySet<string | undefined>): boolean {
  if (call.kind === 'get') return false
  return call.kind === 'delete' || seen.has(call.value)
}

const expectedBy = (call: Call): string | undefined =>
  call.kind === 'swap' ? call.expected : undefined

class Search {
  readonly #operations: readonly Operation[]
  readonly #isDone: boolean[]
  readonly #tried = new Set<string>()
  /** Answered operations that have no place yet. */
  #missing: number
  #steps = 0

  constructor(operations: readonly Operation[]) {
    this.#operations = operations
    this.#isDone = operations.map(() => false)
    this.#missing = operations.filter(({ answer }) => answer !== undefined).length
  }

  run(): Verdict {
    const path: { at: number; before: string | undefined; next: number }[] = []
    let state: string | undefined
    let from = 0
    while (this.#missing > 0) {
      if (++this.#steps > stepsMax) return 'undecided'
      const at = this.#nextCandidate(from, state)
      if (at !== undefined) {
        path.push({ at, before: state, next: at + 1 })
        this.#set(at, true)
        state = after(this.#of(at).call, state)
        from = 0
        if (this.#isNew(state)) continue
      }
      const last = path.pop()
      if (last === undefined) return 'not linearizable'
      this.#set(last.at, false)
      state = last.before
      from = last.next
    }
    return 'linearizable'
  }

  /** The next operation that may come now: nothing that is still missing ended before it began. */
  #nextCandidate(from: number, state: string | undefined): number | undefined {
    let endsFirst = Number.POSITIVE_INFINITY
    for (const [at, operation] of this.#operations.entries()) {
      if (this.#isDone[at]) continue
      if (operation.called > endsFirst) return undefined
      if (at >= from && explains(operation, state)) return at
      endsFirst = Math.min(endsFirst, operation.answered ?? Number.POSITIVE_INFINITY)
    }
    return undefined
  }

  #isNew(state: string | undefined): boolean {
    let first = this.#isDone.indexOf(false)
    if (first < 0) first = this.#isDone.length
    const done = this.#isDone.slice(first).map((is) => (is ? '1' : '0'))
    const name = `${first} ${done.join('').replace(/0+$/, '')} ${state}`
    if (this.#tried.has(name)) return false
    this.#tried.add(name)
    return true
  }

  #set(at: number, isDone: boolean): void {
    this.#isDone[at] = isDone
    if (this.#of(at).answer !== undefined) this.#missing += isDone ? -1 : 1
  }

  #of(at: number): Operation {
    const operation = this.#operations[at]
    if (operation === undefined) throw new Error(`no operation ${at}`)
    return operation
  }
}

function explains({ call, answer }: Operation, state: string | undefined): boolean {
  if (answer === undefined) return true
  if (call.kind === 'swap') {
    if (answer.swapped !== (state === call.expected)) return false
    return answer.swapped || answer.before === state
  }
  return answer.before === state
}

function after(call: Call, state: string | undefined): string | undefined {
  if (call.kind === 'put') return call.value
  if (call.kind === 'delete') return undefined
  if (call.kind === 'swap') return state === call.expected ? call.value : state
  return state
}
