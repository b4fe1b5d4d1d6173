// row.ts: the shape of a row of differences, and what rows are made of.
import type { Case, Outcome } from './recording.js'
import { asText } from './text.js'

export interface Row {
  reason: string
  applies(one: Case): boolean
  /** Changes the recorded outcome. */
  recorded?(outcome: Outcome, one: Case): Outcome
  /** Changes the outcome of the replay. */
  now?(outcome: Outcome, one: Case): Outcome
}

export const inText =
  (change: (text: string) => string) =>
  (outcome: Outcome): Outcome => {
    const text = asText(outcome.stdout)
    const changed = change(text)
    return changed === text ? outcome : { ...outcome, stdout: Buffer.from(changed) }
  }

export const inError =
  (change: (text: string) => string) =>
  (outcome: Outcome): Outcome => ({ ...outcome, stderr: change(outcome.stderr) })

/** The outcome is another altogether. */
export const instead =
  ({ exit = 0, stdout = '', stderr = '' }: { exit?: number; stdout?: string; stderr?: string }) =>
  (): Outcome => ({ exit, stdout: Buffer.from(stdout), stderr })

export const isCommand =
  (...words: string[]) =>
  ({ argv }: Case): boolean =>
    words.every((word, at) => argv[at] === word)
