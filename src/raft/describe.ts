// describe.ts: the one textual form of everything in raft, for traces, script
// goldens and the simulator.
//
//     1->2 MsgApp term=2 log=1/4 commit=4 [2/5 "put"]
//
// `log=1/4` is a position: term 1, index 4. An entry is position and data: text,
// else hexadecimal, an empty one ∅. Ids are hexadecimal, as in all of etcd.
import {
  ConfChange,
  ConfChangeType,
  type ConfState,
  type Entry,
  EntryType,
  type HardState,
  type Message,
  MessageType,
  type Snapshot,
} from '../api/gen/raft.js'

/** Longer data is cut, so that a line stays a line. */
const dataBytesMax = 48

const nameOf = (names: Readonly<Record<string, number>>): ((value: number) => string) => {
  const byValue = new Map(Object.entries(names).map(([name, value]) => [value, name]))
  return (value) => byValue.get(value) ?? `?${value}`
}

const messageTypeName = nameOf(MessageType)
const changeTypeName = nameOf(ConfChangeType)

export const describeId = (id: bigint): string => id.toString(16)

export const describeIds = (ids: readonly bigint[]): string => `(${ids.map(describeId).join(' ')})`

export function describeData(data: Uint8Array | undefined): string {
  if (data === undefined || data.length === 0) return '∅'
  const start = Buffer.from(data).subarray(0, dataBytesMax)
  const text = start.toString('latin1')
  const shown = /^[\x20-\x7e]*$/.test(text) ? JSON.stringify(text) : `0x${start.toString('hex')}`
  return data.length > dataBytesMax ? `${shown}+${data.length - dataBytesMax}` : shown
}

export function describeEntry(entry: Entry): string {
  const at = `${entry.Term}/${entry.Index}`
  if (entry.Type === EntryType.EntryNormal) return `${at} ${describeData(entry.Data)}`
  if (entry.Type !== EntryType.EntryConfChange) return `${at} ConfChangeV2`
  return `${at} ${describeConfChange(ConfChange.decode(entry.Data ?? Buffer.alloc(0)))}`
}

export const describeConfChange = (change: ConfChange): string =>
  `${changeTypeName(change.type)} ${describeId(change.node_id)}`

export const describeConfState = ({ voters, learners }: ConfState): string =>
  `voters=${describeIds(voters)}${learners.length > 0 ? ` learners=${describeIds(learners)}` : ''}`

export function describeSnapshot({ metadata }: Snapshot): string {
  if (metadata === undefined) return 'snapshot without metadata'
  const state = metadata.conf_state ? ` ${describeConfState(metadata.conf_state)}` : ''
  return `snapshot ${metadata.term}/${metadata.index}${state}`
}

export const describeHardState = ({ term, vote, commit }: HardState): string =>
  `term=${term}${vote === 0n ? '' : ` vote=${describeId(vote)}`} commit=${commit}`

export function describeMessage(message: Message): string {
  const { term, logTerm, index, commit, entries, snapshot, context } = message
  const parts = [
    `${describeId(message.from)}->${describeId(message.to)} ${messageTypeName(message.type)}`,
  ]
  if (term > 0) parts.push(`term=${term}`)
  if (logTerm > 0 || index > 0) parts.push(`log=${logTerm}/${index}`)
  if (message.reject) parts.push('reject')
  if (message.rejectHint > 0) parts.push(`hint=${message.rejectHint}`)
  if (commit > 0) parts.push(`commit=${commit}`)
  if (context && context.length > 0) parts.push(`context=${describeData(context)}`)
  if (entries.length > 0) parts.push(`[${entries.map(describeEntry).join(', ')}]`)
  if (snapshot?.metadata && snapshot.metadata.index > 0) parts.push(describeSnapshot(snapshot))
  return parts.join(' ')
}

/** What describeReady reads of a Ready; raw-node.ts has the whole of it. */
export interface DescribedReady {
  softState?: { leader: bigint; role: string }
  hardState?: HardState
  mustSync: boolean
  entries: readonly Entry[]
  snapshot?: Snapshot
  committedEntries: readonly Entry[]
  messages: readonly Message[]
  readStates: readonly { index: number; context: Buffer }[]
}

export function describeReady(ready: DescribedReady): string[] {
  const { softState, hardState, snapshot } = ready
  const lines: string[] = []
  if (softState) {
    const { role, leader } = softState
    lines.push(`now ${role}, leader ${leader === 0n ? 'unknown' : describeId(leader)}`)
  }
  const sync = ready.mustSync ? 'sync' : 'save'
  if (hardState) lines.push(`${sync} ${describeHardState(hardState)}`)
  if (snapshot) lines.push(`${sync} ${describeSnapshot(snapshot)}`)
  for (const entry of ready.entries) lines.push(`${sync} ${describeEntry(entry)}`)
  for (const message of ready.messages) lines.push(`send ${describeMessage(message)}`)
  for (const entry of ready.committedEntries) lines.push(`apply ${describeEntry(entry)}`)
  for (const { index, context } of ready.readStates) {
    lines.push(`read ${describeData(context)} at ${index}`)
  }
  return lines
}

/** What describeProgress reads; both Progress and its view in a Status fit. */
export interface DescribedProgress {
  state: string
  match: number
  next: number
  isLearner: boolean
  isPaused: boolean
  recentActive: boolean
  pendingSnapshot: number
  inflightCount: number
}

export function describeProgress(progress: DescribedProgress): string {
  const parts = [`${progress.state} match=${progress.match} next=${progress.next}`]
  if (progress.isLearner) parts.push('learner')
  if (progress.isPaused) parts.push('paused')
  if (progress.pendingSnapshot > 0) parts.push(`snapshot=${progress.pendingSnapshot}`)
  if (progress.inflightCount > 0) parts.push(`inflight=${progress.inflightCount}`)
  if (!progress.recentActive) parts.push('silent')
  return parts.join(' ')
}
