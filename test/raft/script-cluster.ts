// script-cluster.ts: the commands of the scripts in fixtures/raft, on members in memory.
//
// Messages wait in one line, in the order in which they were sent, until a script delivers or
// drops them. Nothing happens by itself: no tick, no Ready, no delivery.
import assert from 'node:assert/strict'
import { ConfChangeType, ConfState, type Message, MessageType } from '../../src/api/gen/raft.js'
import {
  describeConfState,
  describeEntry,
  describeId,
  describeMessage,
  describeProgress,
  describeReady,
} from '../../src/raft/describe.js'
import type { Command } from './datadriven.js'
import { Member, type MemberSettings } from './member.js'

/** A script that goes on longer than this has members that never come to rest. */
const roundsMax = 100

export class ScriptCluster {
  readonly #members = new Map<bigint, Member>()
  #waiting: Message[] = []
  #printed: string[] = []
  #isQuiet = false

  run(command: Command): string[] {
    this.#printed = []
    const act = this.#commands[command.word]
    assert(act, `line ${command.line}: no command ${command.word}`)
    const isQuiet = this.#isQuiet
    act(command)
    return isQuiet && this.#isQuiet ? [] : this.#printed
  }

  readonly #commands: Readonly<Record<string, (command: Command) => void>> = {
    'add-nodes': (command) => this.#addNodes(command),
    quiet: () => {
      this.#isQuiet = true
    },
    loud: () => {
      this.#isQuiet = false
      this.#printed = []
    },
    campaign: ({ words }) => this.#member(words).node.campaign(),
    tick: ({ words }) => {
      for (let left = Number(words[1] ?? 1); left > 0; left--) this.#member(words).node.tick()
    },
    propose: ({ words }) => {
      for (const data of words.slice(1)) {
        const taken = this.#member(words).node.propose(Buffer.from(data))
        if (!taken) this.#printed.push('dropped')
      }
    },
    change: (command) => this.#change(command),
    read: ({ words }) => this.#member(words).node.readIndex(Buffer.from(words[1] ?? '')),
    transfer: ({ words }) => this.#member(words).node.transferLeader(idOf(words[1])),
    unreachable: ({ words }) => this.#member(words).node.reportUnreachable(idOf(words[1])),
    'report-snapshot': ({ words }) =>
      this.#member(words).node.reportSnapshot(idOf(words[1]), words[2] === 'ok'),
    compact: ({ words }) => this.#member(words).compact(Number(words[1])),
    restart: ({ words }) => {
      this.#member(words).restart()
      this.#printState(this.#member(words))
    },
    ready: ({ words }) => this.#ready(this.#member(words), ''),
    deliver: ({ words }) => this.#deliver(this.#member(words), ''),
    drop: (command) => this.#drop(command),
    send: (command) => this.#waiting.push(messageOf(command)),
    stabilize: ({ words }) => this.#stabilize(words.map(idOf)),
    status: ({ words }) => this.#status(this.#member(words)),
    state: ({ words }) => {
      for (const id of words.length > 0 ? words.map(idOf) : this.#members.keys()) {
        this.#printState(this.#memberOf(id))
      }
    },
    log: ({ words }) => {
      const { storage } = this.#member(words)
      this.#printed.push(`${storage.firstIndex() - 1} entries compacted`)
      const [lo, hi] = [storage.firstIndex(), storage.lastIndex() + 1]
      for (const entry of storage.entries(lo, hi, 1e9)) this.#printed.push(describeEntry(entry))
    },
    applied: ({ words }) => this.#printed.push(...this.#member(words).applied),
  }

  #addNodes({ words, values }: Command): void {
    const number = (key: string): number | undefined => {
      const value = values.get(key)?.[0]
      return value === undefined ? undefined : Number(value)
    }
    const voters = (values.get('voters') ?? []).map(idOf)
    const learners = (values.get('learners') ?? []).map(idOf)
    const confState = ConfState.fromPartial({ voters, learners })
    const settings: MemberSettings = {
      electionTicks: number('election') ?? 3,
      messageBytesMax: number('bytes') ?? 1 << 20,
      inflightMax: number('inflight') ?? 256,
      inflightBytesMax: number('inflight-bytes') ?? 1 << 30,
      checkQuorum: words.includes('check-quorum'),
      preVote: words.includes('pre-vote'),
      trace: (line) => this.#printed.push(`  ${line}`),
    }
    for (let left = Number(words[0]); left > 0; left--) {
      const id = BigInt(this.#members.size + 1)
      const member = new Member(id, { confState, index: number('index') ?? 0 }, settings)
      this.#members.set(id, member)
    }
  }

  #change({ words, values }: Command): void {
    const types: Readonly<Record<string, ConfChangeType>> = {
      add: ConfChangeType.ConfChangeAddNode,
      'add-learner': ConfChangeType.ConfChangeAddLearnerNode,
      remove: ConfChangeType.ConfChangeRemoveNode,
      update: ConfChangeType.ConfChangeUpdateNode,
    }
    const type = types[words[1] ?? '']
    assert(type !== undefined, `no change ${words[1]}`)
    const id = BigInt(values.get('id')?.[0] ?? 0)
    const change = { id, type, node_id: BigInt(`0x${words[2]}`) }
    if (!this.#member(words).node.proposeConfChange(change)) this.#printed.push('dropped')
  }

  #stabilize(ids: bigint[]): void {
    const members =
      ids.length > 0 ? ids.map((id) => this.#memberOf(id)) : [...this.#members.values()]
    for (let round = 0; round < roundsMax; round++) {
      let isBusy = false
      for (const member of members) {
        if (!member.node.hasReady()) continue
        isBusy = true
        this.#printed.push(`> ${describeId(member.id)} is ready`)
        this.#ready(member, '  ')
      }
      for (const member of members) {
        if (!this.#waiting.some(({ to }) => to === member.id)) continue
        isBusy = true
        this.#printed.push(`> ${describeId(member.id)} receives`)
        this.#deliver(member, '  ')
      }
      if (!isBusy) return
    }
    this.#printed.push(`no rest after ${roundsMax} rounds`)
  }

  #ready(member: Member, indent: string): void {
    if (!member.node.hasReady()) {
      this.#printed.push(`${indent}nothing to do`)
      return
    }
    const ready = member.node.ready()
    member.save(ready)
    // As a server does: a snapshot is cut from what is applied when it is sent, so that it knows
    // the member that it is for.
    const messages = ready.messages.map((message) =>
      message.type === MessageType.MsgSnap ? { ...message, snapshot: member.snapshot() } : message,
    )
    this.#waiting.push(...messages)
    this.#printed.push(...describeReady({ ...ready, messages }).map((line) => indent + line))
    member.apply(ready)
  }

  #deliver(member: Member, indent: string): void {
    const arriving = this.#waiting.filter(({ to }) => to === member.id)
    this.#waiting = this.#waiting.filter(({ to }) => to !== member.id)
    for (const message of arriving) {
      this.#printed.push(indent + describeMessage(message))
      member.node.step(message)
    }
  }

  #drop({ words, values }: Command): void {
    const from = values.get('from')?.map(idOf)
    const to = (values.get('to') ?? words).map(idOf)
    const isHit = (message: Message): boolean =>
      (from === undefined || from.includes(message.from)) &&
      (to.length === 0 || to.includes(message.to))
    for (const message of this.#waiting.filter(isHit)) {
      this.#printed.push(`lost ${describeMessage(message)}`)
    }
    this.#waiting = this.#waiting.filter((message) => !isHit(message))
  }

  #status(member: Member): void {
    for (const [id, view] of member.node.status().progress) {
      this.#printed.push(`${describeId(id)}: ${describeProgress(view)}`)
    }
  }

  #printState(member: Member): void {
    const { term, vote, role, leader, commit, applied, leadTransferee } = member.node.status()
    const transfer = leadTransferee === 0n ? '' : ` hands-over-to=${describeId(leadTransferee)}`
    this.#printed.push(
      [
        `${describeId(member.id)}: ${role} term=${term} vote=${describeId(vote)}`,
        `leader=${describeId(leader)} commit=${commit} applied=${applied}`,
        describeConfState(member.confState) + transfer,
      ].join(' '),
    )
  }

  #member(words: readonly string[]): Member {
    return this.#memberOf(idOf(words[0]))
  }

  #memberOf(id: bigint): Member {
    const member = this.#members.get(id)
    assert(member, `no member ${id}`)
    return member
  }
}

const idOf = (word: string | undefined): bigint => BigInt(`0x${word}`)

/** `send 2->1 MsgAppResp term=1 index=3 hint=2 reject`: as a foreign member may write it. */
function messageOf({ words, values }: Command): Message {
  const [route = '', name = '', ...flags] = words
  const [from, to] = route.split('->').map(idOf)
  const type = Object.entries(MessageType).find(([key]) => key === name)?.[1]
  assert(from !== undefined && to !== undefined && type !== undefined, `send ${words.join(' ')}`)
  const number = (key: string): number => Number(values.get(key)?.[0] ?? 0)
  const data = values
    .get('data')
    ?.map((text) => ({ Type: 0, Term: 0, Index: 0, Data: Buffer.from(text) }))
  const context = values.get('context')?.[0]
  return {
    type,
    to,
    from,
    term: number('term'),
    logTerm: number('log-term'),
    index: number('index'),
    entries: (data as Message['entries'] | undefined) ?? [],
    commit: number('commit'),
    reject: flags.includes('reject'),
    rejectHint: number('hint'),
    snapshot: snapshotOf(values),
    context: context === undefined ? undefined : Buffer.from(context),
  }
}

function snapshotOf(values: Command['values']): Message['snapshot'] {
  const [term, index] = (values.get('snapshot') ?? []).map(Number)
  if (term === undefined || index === undefined) return undefined
  const voters = (values.get('voters') ?? []).map(idOf)
  const conf_state = ConfState.fromPartial({ voters })
  return { data: Buffer.from('[]'), metadata: { conf_state, index, term } }
}
