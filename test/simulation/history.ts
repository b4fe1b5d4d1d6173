// history.ts: what clients asked, when, and what they were told. Some promises are held against
// each answer as it comes: revisions rise with real time, and no two writes have the same one.
// Whether an order of all operations explains the answers is looked at when everything is over.
import assert from 'node:assert/strict'
import { type Answer, type Call, checkRegister, type Operation } from './linearizable.js'

/** A write that a client was told of. */
export interface Acknowledged {
  key: string
  /** Undefined: it deleted the key. */
  value: string | undefined
  revision: number
}

interface Asked extends Operation {
  readonly key: string
  /** Every answer to a later call must have at least this revision. */
  readonly floor: number
}

export class History {
  readonly acknowledged: Acknowledged[] = []
  readonly counts = { answered: 0, unanswered: 0, undecided: 0 }
  /** The highest revision that anybody was told of. */
  newest = 0
  readonly #byKey = new Map<string, Asked[]>()
  readonly #writers = new Map<number, string>()
  #order = 0

  begin(key: string, call: Call): Asked {
    const asked = { key, call, called: this.#order++, floor: this.newest }
    this.#byKey.set(key, [...(this.#byKey.get(key) ?? []), asked])
    this.counts.unanswered++
    return asked
  }

  end(asked: Asked, answer: Answer, revision: number): void {
    const { key, call, floor } = asked
    asked.answered = this.#order++
    asked.answer = answer
    this.counts.unanswered--
    this.counts.answered++
    const told = `${call.kind} ${key} was answered at revision ${revision}`
    assert(revision >= floor, `${told} after an answer at ${floor}`)
    this.newest = Math.max(this.newest, revision)
    if (!isWrite(call, answer)) return
    const text = `${call.kind} ${key} ${'value' in call ? call.value : ''}`
    const other = this.#writers.get(revision)
    assert(other === undefined, `${text} and ${other} both have revision ${revision}`)
    this.#writers.set(revision, text)
    const value = 'value' in call ? call.value : undefined
    this.acknowledged.push({ key, value, revision })
  }

  check(): void {
    for (const [key, operations] of this.#byKey) {
      const verdict = checkRegister(operations)
      if (verdict === 'undecided') this.counts.undecided++
      assert(verdict !== 'not linearizable', `${key} is not linearizable:\n${lines(operations)}`)
    }
  }
}

function isWrite(call: Call, { before, swapped }: Answer): boolean {
  if (call.kind === 'delete') return before !== undefined
  return call.kind === 'put' || swapped === true
}

function lines(operations: readonly Asked[]): string {
  return operations
    .map(({ call, called, answered, answer }) => {
      const asked = Object.values(call).join(' ')
      const told = answer === undefined ? '?' : `${answer.before ?? '-'} ${answer.swapped ?? ''}`
      return `  ${called}..${answered ?? ''} ${asked} → ${told}`
    })
    .join('\n')
}
