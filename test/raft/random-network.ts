// random-network.ts: five members, a bad network and crashes, all from one seed.
//
// The network drops, repeats, reorders and partitions; members crash at any point of their
// driver's duty and lose what they had not saved. After every act the promises of raft are checked
// (check* below); after a while the faults stop, and then the cluster has to get on.
import assert from 'node:assert/strict'
import {
  ConfChangeType,
  ConfState,
  type HardState,
  type Message,
  MessageType,
} from '../../src/api/gen/raft.js'
import {
  describeConfState,
  describeEntry,
  describeId,
  describeMessage,
  describeProgress,
  describeReady,
} from '../../src/raft/describe.js'
import type { Ready } from '../../src/raft/raw-node.js'
import { Member } from './member.js'
import { seededRandom } from './seeded-random.js'

const inFlightMax = 400

/** A member, and how far its driver is with the Ready that is out. */
interface Driven {
  member: Member
  ready: Ready | undefined
  /** The messages of the Ready have left already. */
  isSent: boolean
  stage: 'taken' | 'saved' | 'sent'
}

interface PendingRead {
  /** The highest index that anybody had applied when the read was asked for. */
  floor: number
}

export class RandomNetwork {
  readonly #random: (limit: number) => number
  readonly #driven = new Map<bigint, Driven>()
  #flying: Message[] = []
  /** Members of different groups do not hear each other. */
  #group = new Map<bigint, number>()
  readonly #trace: string[] = []
  readonly #keepTrace: boolean
  #proposalCount = 0

  /** What was seen so far, to hold everything later against. */
  readonly #leaders = new Map<number, bigint>()
  readonly #votes = new Map<string, bigint>()
  readonly #checkedStates = new Map<bigint, HardState>()
  readonly #applied: string[] = []
  readonly #reads = new Map<string, PendingRead>()
  readCount = 0

  constructor(seed: number, options: { keepTrace?: boolean } = {}) {
    this.#random = seededRandom(seed)
    this.#keepTrace = options.keepTrace ?? false
    const all = [1n, 2n, 3n, 4n, 5n]
    const voters = this.#random(2) === 0 ? all : all.slice(0, 3)
    const learners: bigint[] = []
    const confState = ConfState.fromPartial({ voters, learners })
    const preVote = this.#random(3) > 0
    const checkQuorum = this.#random(3) > 0
    for (const id of all) {
      const index = voters.includes(id) ? 2 : 0
      const member = new Member(
        id,
        { confState, index },
        {
          electionTicks: 10,
          messageBytesMax: [1, 100, 1 << 20][this.#random(3)] ?? 1,
          inflightMax: 1 + this.#random(4),
          inflightBytesMax: [1, 100, 1 << 20][this.#random(3)] ?? 1,
          checkQuorum,
          preVote,
          random: this.#random,
          ...(this.#keepTrace ? { trace: (line) => this.#note(() => line) } : {}),
        },
      )
      this.#driven.set(id, { member, ready: undefined, isSent: false, stage: 'taken' })
    }
    this.#applied.push('', '') // what the first snapshot stands for
  }

  get trace(): string {
    return this.#trace.join('\n')
  }

  get appliedCount(): number {
    return this.#applied.length
  }

  describeMembers(): string {
    const lines: string[] = []
    for (const { member } of this.#driven.values()) {
      const { role, term, leader, commit, applied, progress } = member.node.status()
      const state = `${role} term=${term} leader=${leader} commit=${commit} applied=${applied}`
      const conf = describeConfState(member.confState)
      lines.push(`${describeId(member.id)} ${state} ${conf}`)
      for (const [id, view] of progress) lines.push(`  ${describeId(id)} ${describeProgress(view)}`)
    }
    return lines.join('\n')
  }

  /** That many random acts, with faults. */
  disturb(acts: number): void {
    for (let left = acts; left > 0; left--) {
      this.#act()
      this.#check()
    }
  }

  /** No faults any more: within a bounded time everybody applies something new. */
  settle(): void {
    this.#group.clear()
    const last = `last-${this.#proposalCount}`
    let isProposed = false
    for (let round = 0; round < 400; round++) {
      for (const driven of this.#driven.values()) {
        driven.member.node.tick()
        this.#driveThrough(driven)
      }
      for (const message of this.#flying.splice(0)) this.#arrive(message)
      for (const driven of this.#driven.values()) this.#driveThrough(driven)
      this.#check()
      const leader = this.#leader()
      if (!leader) continue
      const hasLast = (member: Member): boolean =>
        member.applied.some((line) => line.includes(last))
      const { voters, learners } = leader.confState
      const everybody = [...voters, ...learners].map((id) => this.#of(id).member)
      if (everybody.every(hasLast)) return
      // A proposal may be lost with the leader that took it, so it is repeated now and then.
      if (!isProposed || round % 50 === 49) isProposed = leader.node.propose(Buffer.from(last))
    }
    assert.fail(`the faults are over, but not everybody got on:\n${this.describeMembers()}`)
  }

  #act(): void {
    const dice = this.#random(100)
    const driven = this.#anyone()
    if (dice < 35) this.#some(() => this.#advance(this.#anyone()))
    else if (dice < 70) this.#some(() => this.#arriveOne())
    else if (dice < 79) driven.member.node.tick()
    else if (dice < 84) this.#propose(driven)
    else if (dice < 90) this.#read(driven)
    else if (dice < 92) this.#changeMembers()
    else if (dice < 93) driven.member.node.transferLeader(this.#anyone().member.id)
    else if (dice < 94) driven.member.node.reportUnreachable(this.#anyone().member.id)
    else if (dice < 96) this.#compact(driven)
    else if (dice < 97) this.#partition()
    else if (dice < 98) this.#crash(driven)
    else for (const { member } of this.#driven.values()) member.node.tick()
  }

  #some(act: () => void): void {
    for (let left = 1 + this.#random(4); left > 0; left--) act()
  }

  /** One step of the driver's duty. */
  #advance(driven: Driven): void {
    const { member, ready, stage } = driven
    if (!ready) {
      if (!member.node.hasReady()) return
      const taken = member.node.ready()
      driven.ready = taken
      driven.stage = 'taken'
      driven.isSent = false
      // A leader's messages promise nothing: they may leave while it saves (dissertation 10.2.1).
      if (member.node.status().role === 'leader' && this.#random(2) === 0) this.#send(driven, taken)
      this.#note(() =>
        describeReady(taken)
          .map((line) => `${describeId(member.id)} ${line}`)
          .join('\n'),
      )
    } else if (stage === 'taken') {
      member.save(ready)
      driven.stage = 'saved'
    } else if (stage === 'saved') {
      if (!driven.isSent) this.#send(driven, ready)
      driven.stage = 'sent'
    } else {
      driven.ready = undefined
      member.apply(ready)
      this.#checkReads(ready)
    }
  }

  #send(driven: Driven, ready: Ready): void {
    const { member } = driven
    driven.isSent = true
    // As etcd's server does: a snapshot is cut from what is applied when it is sent, so that it
    // knows the member that it is for.
    for (const message of ready.messages) {
      checkPromise(member, message)
      const isSnap = message.type === MessageType.MsgSnap
      this.#flying.push(isSnap ? { ...message, snapshot: member.snapshot() } : message)
    }
    while (this.#flying.length > inFlightMax) this.#lose(this.#takeFlying())
  }

  #driveThrough(driven: Driven): void {
    while (driven.ready || driven.member.node.hasReady()) this.#advance(driven)
  }

  #arriveOne(): void {
    if (this.#flying.length === 0) return
    const message = this.#takeFlying()
    const fate = this.#random(10)
    if (fate === 0) this.#lose(message)
    else if (fate === 1) this.#flying.push(message, message)
    else this.#arrive(message)
  }

  #arrive(message: Message): void {
    const { from, to, type } = message
    if (this.#groupOf(from) !== this.#groupOf(to)) {
      this.#lose(message)
      return
    }
    this.#note(() => `arrives ${describeMessage(message)}`)
    this.#of(to).member.node.step(message)
    if (type === MessageType.MsgSnap) this.#of(from).member.node.reportSnapshot(to, true)
  }

  /** The transport notices the loss of a snapshot, as it goes over a connection of its own. */
  #lose({ from, to, type }: Message): void {
    if (type === MessageType.MsgSnap) this.#of(from).member.node.reportSnapshot(to, false)
  }

  #propose({ member }: Driven): void {
    member.node.propose(Buffer.from(`put-${this.#proposalCount++}`))
  }

  #read({ member }: Driven): void {
    const name = `read-${this.#reads.size}`
    const floor = this.#applied.length
    this.#reads.set(name, { floor })
    member.node.readIndex(Buffer.from(name))
  }

  #changeMembers(): void {
    const leader = this.#leader()
    if (!leader) return
    const types = [
      ConfChangeType.ConfChangeAddNode,
      ConfChangeType.ConfChangeAddNode,
      ConfChangeType.ConfChangeAddLearnerNode,
      ConfChangeType.ConfChangeRemoveNode,
    ]
    const type = types[this.#random(types.length)] ?? ConfChangeType.ConfChangeAddNode
    const node_id = this.#anyone().member.id
    const isVoterLost = type !== ConfChangeType.ConfChangeAddNode
    if (isVoterLost && leader.confState.voters.length <= 2) return
    leader.node.proposeConfChange({ id: 0n, type, node_id })
  }

  #compact({ member, ready }: Driven): void {
    if (ready || member.appliedIndex <= member.storage.firstIndex()) return
    const { storage, appliedIndex } = member
    member.compact(appliedIndex - this.#random(appliedIndex - storage.firstIndex()))
  }

  #partition(): void {
    this.#group.clear()
    if (this.#random(2) === 0) return
    for (const id of this.#driven.keys()) this.#group.set(id, this.#random(2))
  }

  #crash(driven: Driven): void {
    this.#note(() => `${describeId(driven.member.id)} crashes`)
    driven.ready = undefined
    driven.member.restart()
  }

  #check(): void {
    for (const { member } of this.#driven.values()) {
      this.#checkLeader(member)
      this.#checkVote(member)
      this.#checkApplied(member)
    }
  }

  /** Election safety (raft §5.2), and leader completeness (§5.4). */
  #checkLeader(member: Member): void {
    const { role, term } = member.node.status()
    if (role !== 'leader' || this.#leaders.get(term) === member.id) return
    const other = this.#leaders.get(term)
    assert.equal(other, undefined, `${other} and ${member.id} both lead term ${term}`)
    this.#leaders.set(term, member.id)
    // Its log is in the storage, apart from the entry that it has just added.
    const { storage } = member
    for (let index = storage.firstIndex(); index <= this.#applied.length; index++) {
      const entry =
        index <= storage.lastIndex() ? storage.entries(index, index + 1, 1)[0] : undefined
      const own = entry && describeEntry(entry)
      assert.equal(own, this.#applied[index - 1], `leader ${member.id} of term ${term} at ${index}`)
    }
  }

  /** One vote a term, over all crashes (raft §5.2). */
  #checkVote({ id, storage }: Member): void {
    const { hardState } = storage.initialState()
    if (hardState.vote === 0n || this.#checkedStates.get(id) === hardState) return
    this.#checkedStates.set(id, hardState)
    const { term, vote } = hardState
    const known = this.#votes.get(`${id} ${term}`)
    assert(known === undefined || known === vote, `${id} voted for ${known} and ${vote} in ${term}`)
    this.#votes.set(`${id} ${term}`, vote)
  }

  /** State machine safety (raft §5.4.3): at one index all apply the same. */
  #checkApplied({ id, applied, appliedIndex }: Member): void {
    const first = appliedIndex - applied.length
    for (let index = Math.max(this.#applied.length, first); index < appliedIndex; index++) {
      this.#applied[index] = applied[index - first] ?? ''
    }
    const last = applied.length - 1
    if (last < 0) return
    // The newest is enough: this runs after every act, and whole logs are compared at the end.
    assert.equal(applied[last], this.#applied[appliedIndex - 1], `${id} applied at ${appliedIndex}`)
  }

  /** Linearizable reads: what anybody had applied before the question is in the answer. */
  #checkReads({ readStates }: Ready): void {
    for (const { index, context } of readStates) {
      const read = this.#reads.get(context.toString())
      assert(read && index >= read.floor, `stale ${context.toString()}: ${index} < ${read?.floor}`)
      this.readCount++
    }
  }

  /** Log matching (raft §5.3): equal term at one index, equal entries up to it. */
  checkLogs(): void {
    const logs = [...this.#driven.values()].map(({ member }) => member)
    for (const one of logs) {
      const first = one.appliedIndex - one.applied.length
      assert.deepEqual(one.applied, this.#applied.slice(first, one.appliedIndex), `${one.id}`)
      for (const other of logs) checkMatching(one, other)
    }
  }

  #leader(): Member | undefined {
    const leaders = [...this.#driven.values()]
      .map(({ member }) => member)
      .filter(({ node }) => node.status().role === 'leader')
    return leaders.sort((a, b) => b.node.status().term - a.node.status().term)[0]
  }

  #anyone(): Driven {
    return this.#of(BigInt(1 + this.#random(this.#driven.size)))
  }

  #of(id: bigint): Driven {
    const driven = this.#driven.get(id)
    assert(driven)
    return driven
  }

  #groupOf(id: bigint): number {
    return this.#group.get(id) ?? 0
  }

  #takeFlying(): Message {
    const [message] = this.#flying.splice(this.#random(this.#flying.length), 1)
    assert(message)
    return message
  }

  #note(line: () => string): void {
    if (this.#keepTrace) this.#trace.push(line())
  }
}

/** What a message promises is on disk when it leaves (raft figure 2: persistent state). */
function checkPromise({ storage }: Member, { type, to, term, index, reject }: Message): void {
  const { hardState } = storage.initialState()
  // A message of an older term was made, and outdated, within one Ready.
  if (reject || term !== hardState.term) return
  if (type === MessageType.MsgVoteResp) {
    assert.equal(hardState.vote, to, `vote for ${to} in term ${term} is not saved`)
  }
  if (type === MessageType.MsgAppResp) {
    assert(index <= storage.lastIndex(), `acknowledged ${index}, saved ${storage.lastIndex()}`)
  }
}

function checkMatching(one: Member, other: Member): void {
  const lo = Math.max(one.storage.firstIndex(), other.storage.firstIndex())
  let hi = Math.min(one.storage.lastIndex(), other.storage.lastIndex())
  while (hi >= lo && one.storage.term(hi) !== other.storage.term(hi)) hi--
  if (hi < lo) return
  const linesOf = ({ storage }: Member): string[] =>
    storage.entries(lo, hi + 1, 1e9).map(describeEntry)
  assert.deepEqual(linesOf(one), linesOf(other), `logs of ${one.id} and ${other.id} up to ${hi}`)
}
