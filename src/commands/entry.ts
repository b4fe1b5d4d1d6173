// entry.ts: what the table of commands says about each of them.
import type { Defined } from './context.js'

/** Headings of help, in its order. */
export const groups = [
  'Key-value commands',
  'Cluster maintenance commands',
  'Concurrency commands',
  'Authentication commands',
  'Utility commands',
  'Server commands',
] as const

export interface Entry {
  readonly name: string
  readonly summary: string
  readonly group: (typeof groups)[number]
  /** etcdctl has no such word. */
  readonly isOurs?: boolean
  load(): Promise<Defined>
}
