// The contract between the core and its driver. Protocol between members is in the scripts.
import { expect, test } from 'vitest'
import {
  ConfChange,
  ConfChangeType,
  ConfState,
  type Entry,
  EntryType,
  Message,
  MessageType,
} from '../../src/api/gen/raft.js'
import { type RaftConfig, RawNode, type Ready } from '../../src/raft/raw-node.js'
import { waitingReadsMax } from '../../src/raft/read-only.js'
import { MemoryStorage } from '../../src/raft/storage.js'

const stateOf = (...voters: bigint[]) => ConfState.fromPartial({ voters })

function storageOf(...voters: bigint[]): MemoryStorage {
  const storage = new MemoryStorage()
  storage.applySnapshot({ metadata: { conf_state: stateOf(...voters), index: 1, term: 1 } })
  storage.setHardState({ term: 1, vote: 0n, commit: 1 })
  return storage
}

const nodeOf = (storage: MemoryStorage, settings: Partial<RaftConfig> = {}): RawNode =>
  new RawNode({
    id: 1n,
    electionTicks: 10,
    heartbeatTicks: 1,
    storage,
    applied: 0,
    messageBytesMax: 1 << 20,
    inflightMax: 512,
    checkQuorum: true,
    preVote: true,
    random: () => 0,
    ...settings,
  })

/** The whole duty of a driver for one Ready. */
function drive(node: RawNode, storage: MemoryStorage): Ready {
  const ready = node.ready()
  if (ready.snapshot) storage.applySnapshot(ready.snapshot)
  storage.append(ready.entries)
  if (ready.hardState) storage.setHardState(ready.hardState)
  for (const { Type, Data } of ready.committedEntries) {
    if (Type === EntryType.EntryConfChange)
      node.applyConfChange(ConfChange.decode(Data ?? Buffer.alloc(0)))
  }
  node.advance(ready)
  return ready
}

function driveAll(node: RawNode, storage: MemoryStorage): Ready[] {
  const readys: Ready[] = []
  while (node.hasReady()) readys.push(drive(node, storage))
  return readys
}

const message = (fields: Partial<Message> & { type: MessageType }): Message => ({
  ...Message.fromPartial({ to: 1n, from: 2n }),
  ...fields,
})

const dataOf = (entries: readonly Entry[]): string[] =>
  entries.map(({ Data }) => String(Data ?? ''))

/** A leader of three with a committed entry of its term. */
function leaderOfThree(settings: Partial<RaftConfig> = {}): {
  node: RawNode
  storage: MemoryStorage
} {
  const storage = storageOf(1n, 2n, 3n)
  const node = nodeOf(storage, { preVote: false, ...settings })
  node.campaign()
  driveAll(node, storage)
  node.step(message({ type: MessageType.MsgVoteResp, term: 2 }))
  driveAll(node, storage)
  node.step(message({ type: MessageType.MsgAppResp, term: 2, index: 2 }))
  driveAll(node, storage)
  expect(node.status()).toMatchObject({ role: 'leader', term: 2, commit: 2, applied: 2 })
  return { node, storage }
}

test('a cluster of one elects itself and commits what was saved, not what was proposed', () => {
  const storage = storageOf(1n)
  const node = nodeOf(storage)
  for (let ticks = 0; ticks < 10; ticks++) node.tick()
  driveAll(node, storage)
  expect(node.status()).toMatchObject({ role: 'leader', term: 2, vote: 1n, commit: 2, applied: 2 })
  expect(node.propose(Buffer.from('a'))).toBe(true)
  const first = node.ready()
  expect(dataOf(first.entries)).toEqual(['a'])
  expect([first.mustSync, first.committedEntries, node.status().commit]).toEqual([true, [], 2])
  storage.append(first.entries)
  node.advance(first)
  expect(node.status().commit).toBe(3)
  const second = drive(node, storage)
  expect(dataOf(second.committedEntries)).toEqual(['a'])
  expect([second.mustSync, second.hardState?.commit]).toEqual([false, 3])
  expect([node.status().applied, node.hasReady()]).toEqual([3, false])
})

test('its own vote counts only after it was saved', () => {
  const storage = storageOf(1n)
  const node = nodeOf(storage, { preVote: false })
  node.campaign()
  const ready = node.ready()
  expect(ready.hardState).toEqual({ term: 2, vote: 1n, commit: 1 })
  expect(ready.mustSync).toBe(true)
  expect(node.status().role).toBe('candidate')
  node.advance(ready)
  expect(node.status().role).toBe('leader')
})

test('a vote that was saved for an abandoned campaign does not count for the next', () => {
  const storage = storageOf(1n, 2n)
  const node = nodeOf(storage, { preVote: false })
  node.campaign()
  const ready = node.ready()
  node.step(message({ type: MessageType.MsgVoteResp, term: 9, reject: true })) // to term 9
  node.campaign()
  expect(node.status()).toMatchObject({ role: 'candidate', term: 10 })
  node.advance(ready)
  node.step(message({ type: MessageType.MsgVoteResp, term: 10 }))
  // One vote of two: the own vote for term 10 is not on disk.
  expect(node.status().role).toBe('candidate')
  drive(node, storage)
  expect(node.status().role).toBe('leader')
})

test('calls between ready() and advance() wait for the next Ready', () => {
  const { node, storage } = leaderOfThree()
  node.propose(Buffer.from('a'))
  const first = node.ready()
  node.propose(Buffer.from('b'))
  expect(node.hasReady()).toBe(false)
  expect(() => node.ready()).toThrow('before the last Ready was advanced')
  storage.append(first.entries)
  node.advance(first)
  expect(() => node.advance(first)).toThrow('another Ready')
  const second = drive(node, storage)
  expect([dataOf(first.entries), dataOf(second.entries)]).toEqual([['a'], ['b']])
})

test('a batch of proposals travels in one append to each member', () => {
  const { node, storage } = leaderOfThree()
  for (const data of ['a', 'b', 'c']) node.propose(Buffer.from(data))
  const { messages, entries } = drive(node, storage)
  expect(dataOf(entries)).toEqual(['a', 'b', 'c'])
  const sent = messages.map(({ to, type, entries: all }) => [to, type, dataOf(all).join('')])
  // 3 was never heard of: its probe with the leader's first entry is still unanswered.
  expect(sent).toEqual([[2n, MessageType.MsgApp, 'abc']])
})

test('what promises something is in the Ready that saves it', () => {
  const storage = storageOf(1n, 2n, 3n)
  const node = nodeOf(storage)
  const entry = { Type: EntryType.EntryNormal, Term: 4, Index: 2, Data: Buffer.from('a') }
  const fields = { type: MessageType.MsgApp, term: 4, logTerm: 1, index: 1, commit: 2 }
  node.step(message({ ...fields, entries: [entry] }))
  const ready = node.ready()
  expect(ready.hardState).toEqual({ term: 4, vote: 0n, commit: 2 })
  expect(ready.messages).toMatchObject([
    { type: MessageType.MsgAppResp, to: 2n, term: 4, index: 2 },
  ])
  // Committed, but not stable here before this Ready is saved.
  expect([dataOf(ready.entries), ready.committedEntries, ready.mustSync]).toEqual([['a'], [], true])
  storage.append(ready.entries)
  node.advance(ready)
  expect(dataOf(node.ready().committedEntries)).toEqual(['a'])
})

test('a vote in a term that is saved already is saved as well', () => {
  const storage = storageOf(1n, 2n, 3n)
  const node = nodeOf(storage)
  const fields = { type: MessageType.MsgVote, term: 5 }
  node.step(message({ ...fields, from: 2n, logTerm: 0, index: 0 })) // its log is too short
  expect(drive(node, storage).hardState).toEqual({ term: 5, vote: 0n, commit: 1 })
  node.step(message({ ...fields, from: 3n, logTerm: 1, index: 1 }))
  const { hardState, mustSync, messages } = drive(node, storage)
  expect([hardState, mustSync]).toEqual([{ term: 5, vote: 3n, commit: 1 }, true])
  expect(messages).toMatchObject([{ type: MessageType.MsgVoteResp, to: 3n, reject: false }])
})

test('a log that a bootstrap wrote is applied first, and makes the cluster', () => {
  const storage = new MemoryStorage()
  const ids = [0x11n, 0x1n, 0x8e9e05c52164694dn]
  storage.append(
    ids.map((node_id, at) => {
      const change = { id: 0n, type: ConfChangeType.ConfChangeAddNode, node_id }
      const Data = Buffer.from(ConfChange.encode(change).finish())
      return { Type: EntryType.EntryConfChange, Term: 1, Index: at + 1, Data }
    }),
  )
  storage.setHardState({ term: 1, vote: 0n, commit: 3 })
  const node = nodeOf(storage, { preVote: false })
  node.campaign() // must not: it may not be a member
  expect(node.status().role).toBe('follower')
  const [first] = driveAll(node, storage)
  expect(first?.committedEntries.map(({ Index }) => Index)).toEqual([1, 2, 3])
  node.campaign()
  const { messages } = drive(node, storage)
  expect(messages.map(({ to, term, index }) => [to, term, index])).toEqual([
    [0x11n, 2, 3],
    [0x8e9e05c52164694dn, 2, 3],
  ])
})

test('a member with a committed change that it has not applied does not campaign', () => {
  const storage = storageOf(1n, 2n)
  const change = { id: 0n, type: ConfChangeType.ConfChangeRemoveNode, node_id: 1n }
  const Data = Buffer.from(ConfChange.encode(change).finish())
  storage.append([{ Type: EntryType.EntryConfChange, Term: 1, Index: 2, Data }])
  storage.setHardState({ term: 1, vote: 0n, commit: 2 })
  const node = nodeOf(storage)
  for (let ticks = 0; ticks < 40; ticks++) node.tick()
  expect(node.status().role).toBe('follower')
  driveAll(node, storage) // it is no member any more
  for (let ticks = 0; ticks < 40; ticks++) node.tick()
  expect(node.hasReady()).toBe(false)
})

test('a restart goes on from what was saved, and applies nothing twice', () => {
  const { node, storage } = leaderOfThree()
  node.propose(Buffer.from('a'))
  driveAll(node, storage)
  const again = nodeOf(storage, { applied: 2 })
  const { term, vote, role, commit, applied } = again.status()
  expect({ term, vote, role, commit, applied }).toEqual({
    term: 2,
    vote: 1n,
    role: 'follower',
    commit: 2,
    applied: 2,
  })
  expect(again.hasReady()).toBe(false)
  // It voted for itself in term 2: nobody else gets that vote.
  again.step(message({ type: MessageType.MsgVote, term: 2, logTerm: 9, index: 9 }))
  expect(drive(again, storage).messages).toMatchObject([{ reject: true, term: 2 }])
})

test('a commit index that lags behind what was applied is raised, and saved again', () => {
  const storage = storageOf(1n)
  storage.append([{ Type: EntryType.EntryNormal, Term: 1, Index: 2, Data: Buffer.from('a') }])
  const node = nodeOf(storage, { applied: 2 })
  const ready = drive(node, storage)
  expect([ready.hardState?.commit, ready.committedEntries]).toEqual([2, []])
})

test('committed entries come in portions, and none is lost between them', () => {
  const storage = storageOf(1n)
  const node = nodeOf(storage, { messageBytesMax: 40 })
  node.campaign()
  driveAll(node, storage)
  for (const data of ['a', 'b', 'c', 'd', 'e']) node.propose(Buffer.from(data))
  const portions = driveAll(node, storage).map(({ committedEntries }) => dataOf(committedEntries))
  expect(portions.filter((each) => each.length > 0)).toEqual([['a', 'b'], ['c', 'd'], ['e']])
})

test('a proposal without a leader is dropped, with one it is passed on', () => {
  const storage = storageOf(1n, 2n, 3n)
  const node = nodeOf(storage)
  expect(node.propose(Buffer.from('a'))).toBe(false)
  node.readIndex(Buffer.from('r'))
  expect(node.hasReady()).toBe(false)
  node.step(message({ type: MessageType.MsgHeartbeat, term: 4 }))
  expect(node.propose(Buffer.from('a'))).toBe(true)
  node.readIndex(Buffer.from('r'))
  const { messages } = drive(node, storage)
  // Neither carries a term: the leader of any term may take them.
  expect(messages.slice(1)).toMatchObject([
    { type: MessageType.MsgProp, from: 1n, to: 2n, term: 0, entries: [{ Data: Buffer.from('a') }] },
    {
      type: MessageType.MsgReadIndex,
      from: 1n,
      to: 2n,
      term: 0,
      entries: [{ Data: Buffer.from('r') }],
    },
  ])
  node.campaign()
  expect(node.propose(Buffer.from('a'))).toBe(false)
})

test('a leader with too much not applied drops proposals, but one of any size is let in', () => {
  const storage = storageOf(1n)
  const node = nodeOf(storage, { uncommittedBytesMax: 10 })
  node.campaign()
  driveAll(node, storage)
  expect(node.propose(Buffer.alloc(100))).toBe(true)
  expect(node.propose(Buffer.alloc(1))).toBe(false)
  expect(node.propose(Buffer.alloc(0))).toBe(true)
  driveAll(node, storage)
  expect(node.propose(Buffer.alloc(1))).toBe(true)
})

test('messages that cannot come from another member are ignored', () => {
  const { node } = leaderOfThree()
  const before = node.status()
  const local = [
    MessageType.MsgHup,
    MessageType.MsgBeat,
    MessageType.MsgUnreachable,
    MessageType.MsgSnapStatus,
    MessageType.MsgCheckQuorum,
  ]
  for (const type of local) node.step(message({ type, term: 9 }))
  const newer = 19 as MessageType // a storage thread's message of 3.6; no number of ours
  node.step(message({ type: newer, term: 9 }))
  node.step(message({ type: MessageType.MsgHeartbeat, term: 9, from: 0n })) // a link heartbeat
  node.step(message({ type: MessageType.MsgVoteResp, term: 9, from: 1n })) // from itself
  node.step(message({ type: MessageType.MsgAppResp, term: 9, from: 77n })) // from a stranger
  expect(node.status()).toEqual(before)
  expect(node.hasReady()).toBe(false)
})

test('a message that is bound to a term but has none is ignored', () => {
  const node = nodeOf(storageOf(1n, 2n, 3n))
  for (const type of [MessageType.MsgApp, MessageType.MsgHeartbeat, MessageType.MsgTimeoutNow]) {
    node.step(message({ type, logTerm: 1, index: 1, commit: 1 }))
  }
  expect(node.hasReady()).toBe(false)
})

test('a membership change of node 0 has no effect, and the next one is admitted', () => {
  const { node, storage } = leaderOfThree()
  const change = { id: 1n, type: ConfChangeType.ConfChangeAddNode, node_id: 4n }
  node.proposeConfChange(change)
  node.proposeConfChange({ ...change, node_id: 5n })
  const { entries } = drive(node, storage)
  // The second one was replaced, as the first was not applied.
  expect(entries.map(({ Type }) => Type)).toEqual([
    EntryType.EntryConfChange,
    EntryType.EntryNormal,
  ])
  node.step(message({ type: MessageType.MsgAppResp, term: 2, index: 4 }))
  const ready = node.ready()
  expect(ready.committedEntries).toHaveLength(2)
  expect(node.applyConfChange({ ...change, node_id: 0n }).voters).toEqual([1n, 2n, 3n])
  node.advance(ready)
  node.proposeConfChange({ ...change, node_id: 6n })
  expect(drive(node, storage).entries[0]?.Type).toBe(EntryType.EntryConfChange)
})

test('the joint form of a membership change, which etcd stops at, never enters the log', () => {
  const { node, storage } = leaderOfThree()
  const entry = { Type: EntryType.EntryConfChangeV2, Term: 0, Index: 0, Data: Buffer.from([1]) }
  node.step(message({ type: MessageType.MsgProp, entries: [entry] }))
  expect(drive(node, storage).entries).toMatchObject([
    { Type: EntryType.EntryNormal, Data: undefined },
  ])
})

test('a single voter does not answer reads before an entry of its term is committed', () => {
  // Its commit index on disk may lag behind what it acknowledged in its last life.
  const storage = storageOf(1n)
  storage.append([{ Type: EntryType.EntryNormal, Term: 1, Index: 2, Data: Buffer.from('a') }])
  const node = nodeOf(storage, { preVote: false })
  node.campaign()
  drive(node, storage)
  expect(node.status()).toMatchObject({ role: 'leader', commit: 1 })
  node.readIndex(Buffer.from('r'))
  const reads = driveAll(node, storage).flatMap(({ readStates }) => readStates)
  expect(reads).toEqual([{ index: 3, context: Buffer.from('r') }])
  node.readIndex(Buffer.from('s'))
  expect(drive(node, storage).readStates).toEqual([{ index: 3, context: Buffer.from('s') }])
})

test('reads beyond the limit of those that wait are dropped, not piled up', () => {
  const { node, storage } = leaderOfThree()
  for (let count = 0; count < waitingReadsMax + 5; count++) node.readIndex(Buffer.from('r'))
  const context = drive(node, storage).messages[0]?.context
  node.step(message({ type: MessageType.MsgHeartbeatResp, term: 2, context }))
  expect(drive(node, storage).readStates).toHaveLength(waitingReadsMax)
})

test('settings that cannot work are refused', () => {
  const storage = storageOf(1n)
  expect(() => nodeOf(storage, { id: 0n })).toThrow('nobody')
  expect(() => nodeOf(storage, { heartbeatTicks: 10 })).toThrow('must exceed')
  expect(() => nodeOf(storage, { heartbeatTicks: 0 })).toThrow('must exceed')
  expect(() => nodeOf(storage, { inflightMax: 0 })).toThrow('room for one append')
})

test('election timeouts are drawn from one to two times the setting', () => {
  const limits: number[] = []
  const storage = storageOf(1n, 2n)
  const random = (limit: number): number => limits.push(limit) && 9
  const node = nodeOf(storage, { random, preVote: false })
  expect(limits).toEqual([10])
  for (let ticks = 0; ticks < 18; ticks++) node.tick()
  expect(node.status().role).toBe('follower')
  node.tick()
  expect(node.status().role).toBe('candidate')
})
