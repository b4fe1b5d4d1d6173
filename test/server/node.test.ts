// The driver of the raft core: what becomes of proposals and reads while nobody leads, while a save
// takes its time and while the disk is full. Nothing may be proposed for a caller who was told
// already that there is no answer: it would take effect after its failure.
import { describe, expect, test } from 'vitest'
import {
  ConfChangeType,
  ConfState,
  type Entry,
  EntryType,
  type HardState,
  Message,
  MessageType,
} from '../../src/api/gen/raft.js'
import type { EtcdError } from '../../src/api/rpc-errors.js'
import { silentLog } from '../../src/platform/log.js'
import { RawNode } from '../../src/raft/raw-node.js'
import { MemoryStorage } from '../../src/raft/storage.js'
import { Node } from '../../src/server/node.js'
import { NoSpaceError } from '../../src/storage/errors.js'
import { codeOf } from '../support/error-code.js'
import { type ManualClock, newManualClock } from '../support/manual-clock.js'

const self = 1n
const other = 2n
const third = 3n
const heartbeatMs = 100
const electionTicks = 10
const requestTimeoutMs = 7_000

/** How the next saves end; each waits until the test says so, unless it is `saves` at once. */
class Disk {
  mode: 'saves' | 'waits' | 'full' = 'saves'
  readonly waiting: (() => void)[] = []
  saved: Entry[] = []
  /** Highest commit index that no power failure takes away. */
  durableCommit = 0

  async save(
    state: HardState | undefined,
    entries: readonly Entry[],
    sync: boolean,
  ): Promise<void> {
    if (this.mode === 'waits') await new Promise<void>((resolve) => this.waiting.push(resolve))
    if (this.mode === 'full') throw new NoSpaceError('no room')
    this.saved.push(...entries)
    if (sync && state !== undefined) this.durableCommit = state.commit
  }
}

class Driven implements AsyncDisposable {
  readonly clock: ManualClock = newManualClock()
  readonly disk = new Disk()
  readonly node: Node
  /** Entry by entry: its index, and up to where the disk knew then what is committed. */
  readonly applied: { index: number; durableCommit: number }[] = []
  readonly #sent: Message[] = []
  readonly #raft: RawNode

  constructor() {
    const log = new MemoryStorage()
    const conf_state = ConfState.fromPartial({ voters: [self, other, third] })
    log.applySnapshot({ data: Buffer.alloc(0), metadata: { conf_state, index: 1, term: 1 } })
    log.setHardState({ term: 1, vote: 0n, commit: 1 })
    this.#raft = new RawNode({
      id: self,
      electionTicks,
      heartbeatTicks: 1,
      storage: log,
      applied: 1,
      messageBytesMax: 1 << 20,
      inflightMax: 256,
      checkQuorum: true,
      preVote: true,
      random: () => 0,
    })
    const parts = {
      raft: this.#raft,
      log,
      wal: this.disk,
      clock: this.clock,
      logger: silentLog,
      apply: (entries: readonly Entry[]) => {
        const { durableCommit } = this.disk
        this.applied.push(...entries.map(({ Index }) => ({ index: Index, durableCommit })))
      },
      send: (messages: readonly Message[]) => void this.#sent.push(...messages),
      saveSnapshot: async () => {},
      applySnapshot: async () => {},
      onLeader: () => {},
      onApplied: () => {},
      onFatal: (error: Error) => {
        throw error
      },
    }
    const times = { heartbeatIntervalMs: heartbeatMs, requestTimeoutMs }
    this.node = new Node(parts, { ...times, sync: true }, 1)
    this.node.start()
  }

  get role() {
    return this.#raft.role
  }

  propose(text: string, more: { caller?: { signal: AbortSignal }; asLeader?: boolean } = {}) {
    const deadlineMs = this.clock.now() + requestTimeoutMs
    this.node.propose(Buffer.from(text), { deadlineMs, ...more })
  }

  /** What was passed on to the leader so far. */
  async forwarded(): Promise<string[]> {
    await settled()
    const proposals = this.#sent.filter(({ type }) => type === MessageType.MsgProp)
    return proposals.flatMap(({ entries }) => entries.map(({ Data }) => String(Data)))
  }

  /** Questions for an index to read at, to this member. */
  async asked(to: bigint): Promise<Message[]> {
    await settled()
    return this.#sent.filter((each) => each.type === MessageType.MsgReadIndex && each.to === to)
  }

  async sent(type: MessageType): Promise<number> {
    await settled()
    return this.#sent.filter((message) => message.type === type).length
  }

  hear(type: MessageType, more: Partial<Message> = {}): void {
    const message = Message.fromPartial({ type, to: self, from: other, term: 2 })
    this.node.step({ ...message, ...more })
  }

  async lead(): Promise<void> {
    this.node.campaign()
    await settled()
    this.hear(MessageType.MsgPreVoteResp)
    await settled()
    this.hear(MessageType.MsgVoteResp)
    await settled()
    expect(this.node.isLeader).toBe(true)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.disk.mode = 'saves'
    for (const go of this.disk.waiting.splice(0)) go()
    this.clock.advance(10_000)
    await this.node.close()
  }
}

/** All that can go on without the clock has gone on. */
const settled = (): Promise<void> => new Promise(setImmediate)

describe('without a leader a proposal', () => {
  test('waits for one and then goes there', async () => {
    await using driven = new Driven()
    driven.propose('a')
    expect(await driven.forwarded()).toEqual([])
    driven.hear(MessageType.MsgHeartbeat)
    expect(await driven.forwarded()).toEqual(['a'])
    // Once, whatever else is heard.
    driven.hear(MessageType.MsgHeartbeat)
    driven.clock.advance(heartbeatMs)
    expect(await driven.forwarded()).toEqual(['a'])
  })

  test('goes nowhere after its deadline', async () => {
    await using driven = new Driven()
    driven.propose('early')
    driven.clock.advance(1_000)
    driven.propose('late')
    driven.clock.advance(requestTimeoutMs - 1_000)
    driven.hear(MessageType.MsgHeartbeat)
    expect(await driven.forwarded()).toEqual(['late'])
  })

  test('goes nowhere when its caller has gone', async () => {
    await using driven = new Driven()
    const gone = new AbortController()
    driven.propose('gone', { caller: gone })
    driven.propose('here', { caller: new AbortController() })
    gone.abort()
    driven.hear(MessageType.MsgHeartbeat)
    expect(await driven.forwarded()).toEqual(['here'])
  })
})

test('a follower passes nothing on while a save takes longer than callers wait', async () => {
  await using driven = new Driven()
  driven.disk.mode = 'waits'
  const entries = [{ Type: EntryType.EntryNormal, Term: 2, Index: 2, Data: Buffer.from('x') }]
  driven.hear(MessageType.MsgApp, { index: 1, logTerm: 1, entries })
  await settled()
  driven.propose('given up')
  driven.clock.advance(requestTimeoutMs - 1)
  driven.propose('in time')
  driven.clock.advance(1)
  driven.hear(MessageType.MsgHeartbeat)
  driven.disk.waiting.shift()?.()
  driven.disk.mode = 'saves'
  expect(await driven.forwarded()).toEqual(['in time'])
})

test('a read outlives its leader: the next one is asked', async () => {
  await using driven = new Driven()
  driven.hear(MessageType.MsgHeartbeat)
  await settled()
  let isAnswered = false
  const read = driven.node.linearizable().then(() => {
    isAnswered = true
  })
  expect(await driven.asked(other)).toHaveLength(1)
  driven.hear(MessageType.MsgHeartbeat, { from: third, term: 3 })
  const [question] = await driven.asked(third)
  expect(isAnswered).toBe(false)
  const answer = { from: third, term: 3, index: 1, entries: question?.entries ?? [] }
  driven.hear(MessageType.MsgReadIndexResp, answer)
  await read
})

test('a read that nobody leads to an answer ends with the time of a request', async () => {
  await using driven = new Driven()
  driven.hear(MessageType.MsgHeartbeat)
  await settled()
  const read = driven.node.linearizable().catch((error: EtcdError) => error.code)
  // Longer than an election takes: it knows no leader then.
  driven.clock.advance(2 * electionTicks * heartbeatMs)
  expect(driven.role).toBe('preCandidate')
  driven.clock.advance(requestTimeoutMs)
  expect(await read).toBe('timeout')
})

test('what a follower was about to pass on when its disk got stuck is dropped in the end', async () => {
  for (const [waitedMs, expected] of [
    [requestTimeoutMs - 1, ['passed on']],
    [requestTimeoutMs, []],
  ] as const) {
    await using driven = new Driven()
    driven.hear(MessageType.MsgHeartbeat)
    await settled()
    driven.disk.mode = 'waits'
    const entries = [{ Type: EntryType.EntryNormal, Term: 2, Index: 2, Data: Buffer.from('x') }]
    driven.hear(MessageType.MsgApp, { index: 1, logTerm: 1, entries })
    driven.propose('passed on')
    await settled()
    driven.clock.advance(waitedMs)
    driven.disk.waiting.shift()?.()
    driven.disk.mode = 'saves'
    expect(await driven.forwarded()).toEqual(expected)
  }
})

test('a membership change waits as a proposal does, and no longer', async () => {
  await using driven = new Driven()
  const change = { id: 0n, type: ConfChangeType.ConfChangeAddNode, node_id: 7n, context: undefined }
  const gone = new AbortController()
  const deadlineMs = driven.clock.now() + requestTimeoutMs
  driven.node.proposeConfChange(change, { deadlineMs, caller: gone })
  driven.node.proposeConfChange(change, { deadlineMs })
  gone.abort()
  driven.hear(MessageType.MsgHeartbeat)
  expect(await driven.forwarded()).toHaveLength(1)
})

test('a membership change takes effect once the disk knows that it is committed', async () => {
  await using driven = new Driven()
  const entry = (Index: number, Type: EntryType) => ({ Type, Term: 2, Index, Data: Buffer.of() })
  const entries = [entry(2, EntryType.EntryNormal), entry(3, EntryType.EntryConfChange)]
  driven.hear(MessageType.MsgApp, { index: 1, logTerm: 1, entries })
  await settled()
  driven.hear(MessageType.MsgHeartbeat, { commit: 2 })
  await settled()
  // What is only written is committed anew after a crash, so it need not wait for the disk.
  expect(driven.applied).toEqual([{ index: 2, durableCommit: 1 }])
  driven.disk.mode = 'waits'
  driven.hear(MessageType.MsgHeartbeat, { commit: 3 })
  await settled()
  expect(driven.applied).toHaveLength(1)
  driven.disk.waiting.shift()?.()
  await settled()
  expect(driven.applied.slice(1)).toEqual([{ index: 3, durableCommit: 3 }])
})

describe('with a full disk', () => {
  test('a follower refuses proposals, answers nobody, and goes on once there is room', async () => {
    await using driven = new Driven()
    driven.disk.mode = 'full'
    const entry = (Index: number) => ({
      Type: EntryType.EntryNormal,
      Term: 2,
      Index,
      Data: Buffer.from('x'),
    })
    driven.hear(MessageType.MsgApp, { index: 1, logTerm: 1, entries: [entry(2)] })
    expect(await driven.sent(MessageType.MsgAppResp)).toBe(0)
    expect(codeOf(() => driven.propose('refused'))).toBe('noSpace')
    driven.hear(MessageType.MsgApp, { index: 2, logTerm: 2, entries: [entry(3)] })
    driven.clock.advance(60_000)
    await settled()
    expect(driven.disk.saved).toEqual([])
    // Nor does it disturb the others by wishing to lead.
    expect(driven.role).toBe('follower')
    driven.disk.mode = 'saves'
    driven.clock.advance(500)
    await settled()
    expect(driven.disk.saved.map(({ Index }) => Index)).toEqual([2])
    expect(await driven.sent(MessageType.MsgAppResp)).toBe(1)
    driven.hear(MessageType.MsgHeartbeat)
    driven.propose('taken')
    expect(await driven.forwarded()).toEqual(['taken'])
  })

  test('a leader refuses proposals, and gives up leading', async () => {
    await using driven = new Driven()
    await driven.lead()
    driven.disk.mode = 'full'
    driven.propose('on the way')
    await settled()
    expect(codeOf(() => driven.propose('refused'))).toBe('noSpace')
    for (let tick = 0; tick < 2 * electionTicks; tick++) {
      driven.clock.advance(heartbeatMs)
      driven.hear(MessageType.MsgHeartbeatResp)
      driven.hear(MessageType.MsgHeartbeatResp, { from: third })
    }
    // The answers would have kept it a leader who can do nothing.
    expect(driven.role).toBe('follower')
    driven.disk.mode = 'saves'
    driven.clock.advance(500)
    await settled()
    expect(driven.node.isLeader).toBe(false)
  })
})

test('what only a leader may want is not kept for another one', async () => {
  await using driven = new Driven()
  expect(codeOf(() => driven.propose('x', { asLeader: true }))).toBe('notLeader')
  await driven.lead()
  driven.propose('x', { asLeader: true })
  driven.node.transferLeader(other)
  expect(codeOf(() => driven.propose('y', { asLeader: true }))).toBe('notLeader')
  driven.hear(MessageType.MsgHeartbeat, { term: 3 })
  expect(await driven.forwarded()).toEqual([])
})
