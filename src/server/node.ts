// node.ts: acts on the world for the raft core: the clock ticks it, requests are proposed to it,
// and what it asks for is done here. One loop takes one Ready after the other.
//
// The order inside a Ready is the safety argument. A message may promise only what is already on
// disk, so saving comes before sending; only a leader sends first, because what it promises counts
// itself by advance() alone. Committed entries were saved with an earlier Ready, so they are
// applied while this one is on its way to the disk: the answers of one batch of writes go out
// during the sync of the next. All that arrives meanwhile goes out with the next sync.
//
// A change of the membership takes effect only when the disk knows that it is committed, which
// costs a sync of its own. Other entries are committed anew after a crash, by the same members. But
// of four members whose leader was removed and has gone, two that forget it wait for a third.
import {
  type ConfChange,
  type ConfState,
  type Entry,
  EntryType,
  type Message,
  MessageType,
  type Snapshot,
} from '../api/gen/raft.js'
import { EtcdError } from '../api/rpc-errors.js'
import type { Clock, Timer } from '../platform/clock.js'
import type { Log } from '../platform/log.js'
import type { RawNode, Ready, SoftState, Status } from '../raft/raw-node.js'
import type { MemoryStorage } from '../raft/storage.js'
import type { Wal } from '../storage/wal/writer.js'
import { ReadRounds } from './read-rounds.js'

export interface NodeParts {
  raft: RawNode
  /** What raft reads back; filled here after each save. */
  log: MemoryStorage
  wal: Pick<Wal, 'save'>
  clock: Clock
  logger: Log
  /** Puts committed entries into effect, synchronously and in order. */
  apply(entries: readonly Entry[]): void
  /** Hands messages to other members; returns at once, and may lose them. */
  send(messages: readonly Message[]): void
  /** Keeps a leader's snapshot in the log, before it takes effect. */
  saveSnapshot(snapshot: Snapshot): Promise<void>
  /** Replaces the whole state by the snapshot that was saved. */
  applySnapshot(snapshot: Snapshot): Promise<void>
  /** Called when the leader changes, before anything of the new term applies. 0n: none known. */
  onLeader(leader: bigint, isLeader: boolean): void
  /** Called after entries were applied, with the index reached. */
  onApplied(index: number): void
  /** The log failed or the state is wrong: the member cannot go on. */
  onFatal(error: Error): void
}

export interface NodeOptions {
  heartbeatIntervalMs: number
  /** How long a read may wait for a quorum. */
  requestTimeoutMs: number
  /** False: acknowledge before the log is on disk. */
  sync: boolean
}

/** Pause before a save is tried again when the disk is full. */
const fullDiskRetryMs = 500

/** Until when, and for whom, a proposal may wait for a leader. */
export interface ProposalTerms {
  deadlineMs: number
  /** Who waits for the outcome. Its signal is only looked at in need: to make one costs. */
  caller?: { readonly signal: AbortSignal } | undefined
  /** What only a leader may want: it neither waits nor is it passed on to another one. */
  asLeader?: boolean | undefined
}

export class Node {
  readonly #parts: NodeParts
  readonly #options: NodeOptions
  #ticker: Timer | undefined
  #applied: number
  /** Up to where the disk knows what is committed, at least. */
  #durableCommit: number
  /** Proposals that no leader has taken yet. As many as requests may wait: each belongs to one. */
  #held: (ProposalTerms & { take(): boolean })[] = []
  /** A Ready is out. */
  #isHandling = false
  /** The save under way waits for room; until there is some, this member is as good as cut off. */
  #isDiskFull = false
  #wake: () => void = () => {}
  #stopping = false
  #hasFailed = false
  #leader = 0n
  #leadersSeen = 0
  #isLeader = false
  readonly #reads: ReadRounds
  #running: Promise<void> = Promise.resolve()

  constructor(parts: NodeParts, options: NodeOptions, applied: number) {
    this.#parts = parts
    this.#options = options
    this.#applied = applied
    const { clock, raft, log } = parts
    this.#durableCommit = log.initialState().hardState.commit
    const ask = (context: Buffer) => {
      raft.readIndex(context)
      this.#wake()
    }
    this.#reads = new ReadRounds({ clock, ...options, ask }, applied)
  }

  /** Begins to act. Not done by the constructor, because `apply` and its like may need the node. */
  start(): void {
    const { clock } = this.#parts
    this.#ticker = clock.every(this.#options.heartbeatIntervalMs, () => this.#tick())
    this.#running = this.#run()
  }

  /** Index of the last entry that was handed to `apply`. */
  get applied(): number {
    return this.#applied
  }

  get isLeader(): boolean {
    return this.#isLeader
  }

  /** 0n: none known. */
  get leader(): bigint {
    return this.#leader
  }

  /** How often there was another leader than before, the first one included. */
  get leadersSeen(): number {
    return this.#leadersSeen
  }

  /** Rounds of the quorum that took too long, and that were given up for another reason. */
  get readFigures(): { slow: number; failed: number } {
    return this.#reads.figures
  }

  /** It stopped by itself, because it could not go on. */
  get hasFailed(): boolean {
    return this.#hasFailed
  }

  status(): Status {
    return this.#parts.raft.status()
  }

  /**
   * Without a leader, or while it is being replaced, the proposal waits for the next one until its
   * deadline on the clock, or until its caller has gone: nothing is proposed for somebody who was
   * told already that there is no answer.
   * @throws EtcdError stopped; noSpace while the disk is full; notLeader for a leader's own matter
   */
  propose(data: Buffer, terms: ProposalTerms): void {
    this.#offer(() => this.#parts.raft.propose(data), terms)
  }

  /** As propose(). */
  proposeConfChange(change: ConfChange, terms: ProposalTerms): void {
    this.#offer(() => this.#parts.raft.proposeConfChange(change), terms)
  }

  applyConfChange(change: ConfChange): ConfState {
    return this.#parts.raft.applyConfChange(change)
  }

  campaign(): void {
    this.#parts.raft.campaign()
    this.#wake()
  }

  /** A message from another member. What contradicts the log ends this member, not the caller. */
  step(message: Message): void {
    // Answers would have to wait for the disk; raft survives the loss, and its leader sends again.
    if (this.#stopping || this.#isDiskFull) return
    try {
      this.#parts.raft.step(message)
    } catch (error) {
      this.#failWith(error as Error)
    }
    this.#wake()
  }

  transferLeader(to: bigint): void {
    this.#parts.raft.transferLeader(to)
    this.#wake()
  }

  reportUnreachable(id: bigint): void {
    this.#parts.raft.reportUnreachable(id)
    this.#wake()
  }

  reportSnapshot(id: bigint, ok: boolean): void {
    this.#parts.raft.reportSnapshot(id, ok)
    this.#wake()
  }

  /**
   * Resolves when a read from the local state sees every write acknowledged before the call.
   * Reads that come together share one round of the quorum.
   * @throws EtcdError timeout, stopped
   */
  linearizable(): Promise<void> {
    if (this.#stopping) return Promise.reject(new EtcdError('stopped'))
    return this.#reads.join()
  }

  /** Stops the loop after the Ready under way. Whoever waits is told that the server stopped. */
  async close(): Promise<void> {
    this.#stopping = true
    this.#ticker?.cancel()
    this.#wake()
    await this.#running
    this.#reads.fail(new EtcdError('stopped'))
  }

  #tick(): void {
    const { raft } = this.#parts
    // With a full disk a leader finds out that nobody answers; others have nothing to ask for.
    if (!this.#isDiskFull || raft.role === 'leader') raft.tick()
    this.#reads.tick()
    this.#wake()
  }

  async #run(): Promise<void> {
    const { raft } = this.#parts
    try {
      while (!this.#stopping) {
        this.#proposeHeld()
        if (raft.hasReady()) {
          this.#isHandling = true
          await this.#handle(raft.ready())
          this.#isHandling = false
        } else await new Promise<void>((resolve) => (this.#wake = resolve))
      }
    } catch (error) {
      this.#failWith(error as Error)
    }
  }

  #failWith(error: Error): void {
    if (this.#hasFailed) return
    this.#stopping = true
    this.#hasFailed = true
    this.#ticker?.cancel()
    this.#reads.fail(new EtcdError('stopped'))
    this.#parts.onFatal(error)
  }

  /** `take` gives the proposal to raft; false: it does not take it. */
  #offer(take: () => boolean, terms: ProposalTerms): void {
    if (this.#stopping) throw new EtcdError('stopped')
    if (this.#isDiskFull) throw new EtcdError('noSpace')
    const isLeader = this.#parts.raft.role === 'leader'
    if (terms.asLeader === true && !isLeader) throw new EtcdError('notLeader')
    // What a follower passes on leaves with the next Ready. Until the one under way is saved, which
    // may take until the disk has room again, it is better kept here, where it can be given up.
    const isTaken = (isLeader || !this.#isHandling) && take()
    if (!isTaken && terms.asLeader === true) throw new EtcdError('notLeader')
    if (!isTaken) this.#held.push({ ...terms, take })
    this.#wake()
  }

  /** Those for whom nobody waits any more are given up; the others go to the leader, if any. */
  #proposeHeld(): void {
    if (this.#held.length === 0) return
    const now = this.#parts.clock.now()
    this.#held = this.#held.filter(({ take, deadlineMs, caller }) => {
      if (deadlineMs <= now || caller?.signal.aborted === true) return false
      return this.#leader === 0n || !take()
    })
  }

  async #handle(ready: Ready): Promise<void> {
    const { raft, log, send, clock } = this.#parts
    const startedMs = clock.now()
    if (ready.softState) this.#onSoftState(ready.softState)
    for (const { index, context } of ready.readStates) this.#reads.answered(index, context)
    const { messages } = ready
    if (this.#isLeader && messages.length > 0) send(messages)
    const { snapshot } = ready
    if (snapshot) await this.#saveUntilRoom(() => this.#parts.saveSnapshot(snapshot))
    const changesMembers = lastChange(ready.committedEntries) > this.#durableCommit
    const saved = this.#save(changesMembers ? this.#withCommit(ready) : ready)
    if (changesMembers) await saved
    if (ready.snapshot === undefined) this.#apply(ready.committedEntries)
    if (saved !== undefined) await saved
    if (ready.snapshot) await this.#applySnapshot(ready.snapshot, ready.committedEntries)
    if (ready.hardState) log.setHardState(ready.hardState)
    if (ready.entries.length > 0) log.append(ready.entries)
    const isLate = clock.now() - startedMs >= this.#options.requestTimeoutMs
    if (!this.#isLeader && messages.length > 0) send(isLate ? lasting(messages) : messages)
    raft.advance(ready)
    this.#reads.ask()
  }

  /** The state jumps to the snapshot; what a leader committed since comes after it. */
  async #applySnapshot(snapshot: Snapshot, entries: readonly Entry[]): Promise<void> {
    this.#parts.log.applySnapshot(snapshot)
    await this.#parts.applySnapshot(snapshot)
    this.#applied = snapshot.metadata?.index ?? this.#applied
    this.#apply(entries)
    this.#parts.onApplied(this.#applied)
    this.#reads.applied(this.#applied)
  }

  /** Undefined when there is nothing to save, so that reads alone never wait for a turn. */
  #save({ hardState, entries, mustSync }: Saved): Promise<void> | undefined {
    if (hardState === undefined && entries.length === 0) return undefined
    return this.#saveUntilRoom(async () => {
      await this.#parts.wal.save(hardState, entries, mustSync && this.#options.sync)
      if (mustSync && hardState !== undefined) this.#durableCommit = hardState.commit
    })
  }

  /** What was committed before may have been saved without a sync. */
  #withCommit({ hardState, entries }: Ready): Saved {
    const state = hardState ?? this.#parts.log.initialState().hardState
    return { hardState: state, entries, mustSync: true }
  }

  /** A full disk loses nothing and may get room again; any other failure ends the member. */
  async #saveUntilRoom(save: () => Promise<void>): Promise<void> {
    for (;;) {
      try {
        await save()
        this.#isDiskFull = false
        return
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'ENOSPC' || this.#stopping) throw error
        this.#isDiskFull = true
        this.#parts.logger.error('no space left for the log; waiting for room', {
          error: (error as Error).message,
        })
        await new Promise<void>((resolve) => this.#parts.clock.after(fullDiskRetryMs, resolve))
      }
    }
  }

  #apply(entries: readonly Entry[]): void {
    const last = entries.at(-1)
    if (last === undefined) return
    this.#parts.apply(entries)
    this.#applied = last.Index
    this.#parts.onApplied(last.Index)
    this.#reads.applied(this.#applied)
  }

  #onSoftState({ leader, role }: SoftState): void {
    this.#isLeader = role === 'leader'
    if (leader === this.#leader) return
    this.#leader = leader
    if (leader !== 0n) this.#leadersSeen++
    this.#parts.onLeader(leader, this.#isLeader)
    // What the last leader was asked may have died with it.
    if (leader !== 0n) this.#reads.askAgain()
  }
}

type Saved = Pick<Ready, 'hardState' | 'entries' | 'mustSync'>

/** Index of the last change of the membership; 0 without one. */
function lastChange(entries: readonly Entry[]): number {
  return entries.findLast(({ Type }) => Type === EntryType.EntryConfChange)?.Index ?? 0
}

/** Without proposals that were passed on: their callers know by now that there is no answer. */
function lasting(messages: readonly Message[]): readonly Message[] {
  return messages.filter(({ type }) => type !== MessageType.MsgProp)
}
