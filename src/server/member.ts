// member.ts: one member at work, without a network: state, log, raft and what runs beside them.
// It begins where recovery left off and is ready once it leads or knows who does, and has applied
// what the leader's first entry confirms.

import type { ConfChange } from '../api/gen/raft.js'
import {
  AlarmRequest_AlarmAction as AlarmAction,
  AlarmRequest,
  AlarmType,
  CompactionRequest,
} from '../api/gen/rpc.js'
import { EtcdError } from '../api/rpc-errors.js'
import type { Timer } from '../platform/clock.js'
import { RawNode } from '../raft/raw-node.js'
import { Applier, type Outcome } from './apply.js'
import { Checkpointer, captureBuckets } from './checkpoint.js'
import { autoCompact, Remover } from './compactor.js'
import { defaultQuotaBytes, type ServerConfig } from './config.js'
import { revokeExpired } from './expiry.js'
import { Node, type NodeParts } from './node.js'
import type { Platform } from './platform.js'
import { Proposer, requestField } from './proposer.js'
import { DatabaseSize, Quota } from './quota.js'
import type { Recovered } from './recover.js'
import { RequestIds } from './request-id.js'
import { Headers } from './rpc/header.js'
import type { ServiceParts } from './rpc/parts.js'
import { Wait } from './wait.js'

/** Appends in flight to one follower, and the entries in one of them: etcd's figures. */
const inflightMax = 512
const messageBytesMax = 1024 * 1024
/** How often requests that nobody answered are given up. */
const expireIntervalMs = 500
/** As etcd: how often watchers that are behind are told of what they missed. */
const watcherSyncMs = 100
/** As etcd: five seconds and two elections. */
const requestTimeoutMs = (config: ServerConfig) => 5_000 + 2 * config.electionTimeoutMs

/**
 * Runs from the constructor on until close(). `service` is what the network gives requests to;
 * it may do so once `ready` has resolved.
 */
export class Member {
  readonly service: ServiceParts
  readonly ready: Promise<void>
  /** Resolves with the reason if the member cannot go on. */
  readonly failed: Promise<Error>
  readonly #config: ServerConfig
  readonly #recovered: Recovered
  readonly #platform: Platform
  readonly #wait = new Wait<Outcome>()
  readonly #raft: RawNode
  readonly #applier: Applier
  readonly #checkpointer: Checkpointer | undefined
  readonly #node: Node
  readonly #timers: readonly (Timer | undefined)[]
  #becomeReady: () => void = () => {}
  #fail: (error: Error) => void = () => {}

  constructor(config: ServerConfig, recovered: Recovered, platform: Platform) {
    this.#config = config
    this.#recovered = recovered
    this.#platform = platform
    this.ready = new Promise((resolve) => {
      this.#becomeReady = resolve
    })
    this.failed = new Promise((resolve) => {
      this.#fail = resolve
    })
    this.#raft = newRaft(config, recovered, platform)
    this.#applier = this.#newApplier()
    this.#checkpointer = newCheckpointer(config, recovered, platform, this.#applier)
    this.#node = this.#newNode()
    this.service = this.#newService()
    this.#timers = this.#startTimers()
    this.#node.start()
    this.#campaignAlone()
  }

  /** Stops taking part, and writes a last checkpoint unless the member failed. */
  async close(): Promise<void> {
    for (const timer of this.#timers) timer?.cancel()
    await this.#node.close()
    this.#wait.rejectAll(new EtcdError('stopped'))
    if (!this.#node.hasFailed) await this.#checkpointer?.close()
  }

  /** A single voter has nobody to wait for, once the log has told it that it is one. */
  #campaignAlone(): void {
    const { membership } = this.#recovered.state
    if (this.#node.leader === 0n && membership.list().length <= 1) this.#node.campaign()
  }

  #onApplied(): void {
    this.#campaignAlone()
    const { lessor } = this.#recovered.state
    if (this.#node.leader === 0n || this.#applier.position.term < this.#raft.status().term) return
    // Leases run once all entries of former terms are applied: one of them may renew a lease.
    if (this.#node.isLeader && !lessor.isPrimary) lessor.promote(this.#config.electionTimeoutMs)
    this.#becomeReady()
  }

  #onLeadership(isLeader: boolean): void {
    if (!isLeader) this.#recovered.state.lessor.demote()
    const { term } = this.#raft.status()
    this.#platform.log.info(isLeader ? 'became leader' : 'lost leadership', { term })
  }

  #newApplier(): Applier {
    const { state, consistent } = this.#recovered
    const remover = new Remover(state.store, this.#platform.clock)
    const parts = {
      ...state,
      wait: this.#wait,
      applyConfChange: (change: ConfChange) => {
        this.#raft.applyConfChange(change)
      },
      removeCompacted: () => remover.remove(),
    }
    return new Applier(parts, consistent)
  }

  #newNode(): Node {
    const { wal, log, snapshotIndex } = this.#recovered
    const { clock, log: logger } = this.#platform
    const parts: NodeParts = {
      raft: this.#raft,
      log,
      wal,
      clock,
      logger,
      apply: (entries) => {
        this.#applier.apply(entries)
        this.#checkpointer?.onApplied(entries)
      },
      send: () => {},
      onLeadership: (isLeader) => this.#onLeadership(isLeader),
      onApplied: () => this.#onApplied(),
      onFatal: (error) => this.#fail(error),
    }
    const { heartbeatIntervalMs, unsafeNoFsync } = this.#config
    const timeouts = { heartbeatIntervalMs, requestTimeoutMs: requestTimeoutMs(this.#config) }
    return new Node(parts, { ...timeouts, sync: !unsafeNoFsync }, snapshotIndex)
  }

  #newService(): ServiceParts {
    const { state, memberId, clusterId } = this.#recovered
    const { clock, log } = this.#platform
    const config = this.#config
    const node = this.#node
    const ids = new RequestIds(memberId, clock.wall())
    const proposer = new Proposer(
      { node, wait: this.#wait, ids, clock },
      { requestBytesMax: config.maxRequestBytes, timeoutMs: requestTimeoutMs(config) },
    )
    const size = new DatabaseSize(() => state.store.bytes)
    return {
      config,
      memberId,
      ...state,
      node,
      proposer,
      ids,
      headers: new Headers({ memberId, clusterId }, () => this.#raft.status().term),
      size,
      clock,
      log,
      quotaCheck: quotaCheck(config, { size, proposer, memberId }),
      capture: () => captureBuckets(state, this.#applier.position),
    }
  }

  #startTimers(): (Timer | undefined)[] {
    const { clock, log } = this.#platform
    const { store, lessor } = this.#recovered.state
    const { proposer } = this.service
    const compact = (revision: number) =>
      proposer.propose(requestField.compaction, compaction(revision))
    return [
      clock.every(expireIntervalMs, () => this.#wait.expire(clock.now())),
      clock.every(watcherSyncMs, () => store.syncWatchers()),
      revokeExpired({ lessor, proposer, clock, log }),
      autoCompact(this.#config, {
        clock,
        log,
        revision: () => store.revision,
        isLeader: () => this.#node.isLeader,
        compact,
      }),
    ]
  }
}

function newRaft(config: ServerConfig, recovered: Recovered, { random }: Platform): RawNode {
  return new RawNode({
    id: recovered.memberId,
    electionTicks: Math.ceil(config.electionTimeoutMs / config.heartbeatIntervalMs),
    heartbeatTicks: 1,
    storage: recovered.log,
    applied: recovered.snapshotIndex,
    messageBytesMax,
    inflightMax,
    checkQuorum: true,
    preVote: config.preVote,
    random: (limit) => random.below(limit),
  })
}

/** Undefined when nothing is kept on disk. */
function newCheckpointer(
  config: ServerConfig,
  { snapDir, state, wal, log, consistent }: Recovered,
  { files, clock, log: logger }: Platform,
  applier: Applier,
): Checkpointer | undefined {
  if (snapDir === undefined) return undefined
  return new Checkpointer(
    { state, snapDir, wal, log, files, clock, logger, position: () => applier.position },
    { entriesMin: config.snapshotCount, catchUpEntries: config.snapshotCatchupEntries },
    consistent.index,
  )
}

/** A request without room raises the alarm for this member, then is refused. */
function quotaCheck(
  config: ServerConfig,
  parts: { size: DatabaseSize; proposer: Proposer; memberId: bigint },
): ServiceParts['quotaCheck'] {
  const quota = new Quota(config.quotaBackendBytes || defaultQuotaBytes, parts.size)
  const alarm = AlarmRequest.encode({
    action: AlarmAction.ACTIVATE,
    memberID: parts.memberId.toString(),
    alarm: AlarmType.NOSPACE,
  }).finish()
  return (costBytes) => {
    if (quota.hasRoomFor(costBytes)) return undefined
    return parts.proposer.propose(requestField.alarm, alarm).then(() => {
      throw new EtcdError('noSpace')
    })
  }
}

function compaction(revision: number): Uint8Array {
  return CompactionRequest.encode({ revision: String(revision), physical: false }).finish()
}
