// member.ts: one raft member with a disk and a state machine in memory, for scripts and for the
// random network. Its driver does what the server's does, in the same order, but each part can be
// called alone, so that a test can stop in between.
import assert from 'node:assert/strict'
import {
  ConfChange,
  type ConfState,
  type Entry,
  EntryType,
  type Snapshot,
} from '../../src/api/gen/raft.js'
import { describeEntry } from '../../src/raft/describe.js'
import { type RaftConfig, RawNode, type Ready } from '../../src/raft/raw-node.js'
import { MemoryStorage } from '../../src/raft/storage.js'

export type MemberSettings = Partial<Omit<RaftConfig, 'id' | 'storage' | 'applied'>>

export class Member {
  readonly id: bigint
  readonly #settings: MemberSettings
  /** What is on disk: it outlives a crash. */
  readonly storage = new MemoryStorage()
  node: RawNode
  /** Descriptions of what was applied, the snapshot's included: the state machine. */
  applied: string[] = []
  appliedIndex = 0
  confState: ConfState

  constructor(
    id: bigint,
    start: { confState?: ConfState; index: number },
    settings: MemberSettings,
  ) {
    this.id = id
    this.#settings = settings
    if (start.index > 0) {
      const conf_state = start.confState
      const data = Buffer.from('[]')
      this.storage.applySnapshot({ data, metadata: { conf_state, index: start.index, term: 1 } })
      this.storage.setHardState({ term: 1, vote: 0n, commit: start.index })
    }
    this.confState = this.storage.initialState().confState
    this.node = this.#start()
  }

  /** A crash and a start: what was not in the storage is gone. */
  restart(): void {
    this.node = this.#start()
  }

  /** The first half of the driver's duty. */
  save(ready: Ready): void {
    if (ready.snapshot) this.storage.applySnapshot(ready.snapshot)
    this.storage.append(ready.entries)
    if (ready.hardState) this.storage.setHardState(ready.hardState)
  }

  /** The second half, after the messages were sent. */
  apply(ready: Ready): void {
    if (ready.snapshot) this.#restore(ready.snapshot)
    for (const entry of ready.committedEntries) this.#applyEntry(entry)
    this.node.advance(ready)
  }

  /** Of what is applied, without any note of it on the disk. */
  snapshot(): Snapshot {
    const { appliedIndex: index, confState: conf_state } = this
    const term = this.storage.term(index)
    assert(term !== undefined)
    return {
      data: Buffer.from(JSON.stringify(this.applied)),
      metadata: { conf_state, index, term },
    }
  }

  /** A snapshot of what is applied goes to the disk, then the log up to index is forgotten. */
  compact(index: number): void {
    assert(index <= this.appliedIndex)
    const { data = Buffer.alloc(0) } = this.snapshot()
    this.storage.createSnapshot(this.appliedIndex, this.confState, data)
    this.storage.compact(index)
  }

  #start(): RawNode {
    const snapshot = this.storage.snapshot()
    this.applied = []
    this.appliedIndex = 0
    this.confState = this.storage.initialState().confState
    if (snapshot) this.#restore(snapshot)
    return new RawNode({
      id: this.id,
      electionTicks: 3,
      heartbeatTicks: 1,
      storage: this.storage,
      applied: this.appliedIndex,
      messageBytesMax: 1 << 20,
      inflightMax: 256,
      checkQuorum: false,
      preVote: false,
      random: () => 0,
      ...this.#settings,
    })
  }

  #restore({ data, metadata }: NonNullable<Ready['snapshot']>): void {
    assert(metadata?.conf_state)
    this.applied = JSON.parse(data?.toString() ?? '[]') as string[]
    this.appliedIndex = metadata.index
    this.confState = metadata.conf_state
  }

  #applyEntry(entry: Entry): void {
    assert.equal(entry.Index, this.appliedIndex + 1, 'entries are applied in order, each once')
    this.appliedIndex = entry.Index
    this.applied.push(describeEntry(entry))
    if (entry.Type !== EntryType.EntryConfChange) return
    const change = ConfChange.decode(entry.Data ?? Buffer.alloc(0))
    // As a server does: what must not be is refused, alike on all members, by taking node 0.
    const isLastVoter =
      this.confState.voters.length === 1 && this.confState.voters[0] === change.node_id
    this.confState = this.node.applyConfChange(isLastVoter ? { ...change, node_id: 0n } : change)
  }
}
