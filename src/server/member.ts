// member.ts: one member at work, without a network: state, log, raft and what runs beside them.
// It begins where recovery left off and is ready once it leads or knows who does, and has applied
// what the leader's first entry confirms.
import { type ConfChange, ConfChangeType } from '../api/gen/raft.js'
import { EtcdError } from '../api/rpc-errors.js'
import type { LeaseCheckpoint } from '../lease/lessor.js'
import type { RawNode } from '../raft/raw-node.js'
import { memberHex } from '../storage/schema.js'
import { Applier, type Outcome } from './apply.js'
import { type Cancellable, startBackground } from './background.js'
import { Remover } from './compactor.js'
import type { ServerConfig } from './config.js'
import { Handover } from './handover.js'
import { IndexWait } from './index-wait.js'
import { LeaderLeases } from './leader-leases.js'
import { Leaderless } from './leaderless.js'
import { Leadership } from './leadership.js'
import { writeCheckpoints } from './lease-checkpoints.js'
import { trimLog } from './log-trimmer.js'
import type { VersionMonitor } from './membership/cluster-version.js'
import { newVersionMonitor } from './membership/new-version-monitor.js'
import { Publication } from './membership/publication.js'
import { Reconfigurer } from './membership/reconfigure.js'
import { Figures } from './metrics/figures.js'
import { Node, type NodeParts } from './node.js'
import type { AskOptions } from './peer/client.js'
import type { PeerHandlers, PeerTransport } from './peer/transport.js'
import { peerHandlers } from './peer-handlers.js'
import { PeerLink } from './peer-link.js'
import type { Platform } from './platform.js'
import { Proposer } from './proposer.js'
import { DatabaseSize, quotaCheck } from './quota.js'
import { newRaft } from './raft-settings.js'
import { type Checkpointer, captureBuckets, type Position } from './recovery/checkpoint.js'
import { newCheckpointer } from './recovery/new-checkpointer.js'
import { installSnapshot, saveSnapshot } from './recovery/received-snapshot.js'
import type { Recovered } from './recovery/recover.js'
import { RequestIds } from './request-id.js'
import { Access } from './rpc/access.js'
import { Headers } from './rpc/header.js'
import type { ServiceParts } from './rpc/parts.js'
import { Wait } from './wait.js'

/** As etcd: how long a member that was removed goes on to listen. */
const removedGraceMs = 1_000
/** As etcd: five seconds and two elections. */
const requestTimeoutMs = (config: ServerConfig) => 5_000 + 2 * config.electionTimeoutMs

/** How a member meets others: the transport of raft, and the questions beside it. */
export interface Network {
  newTransport(handlers: PeerHandlers): PeerTransport
  ask: Partial<AskOptions>
}

/**
 * Runs from start() until close(). `service` is what the network gives requests to; those that come
 * before the member is ready wait.
 */
export class Member {
  readonly service: ServiceParts
  readonly ready: Promise<void>
  /** Resolves with the reason if the member cannot go on. */
  readonly failed: Promise<Error>
  readonly #config: ServerConfig
  readonly #recovered: Recovered
  readonly #platform: Platform
  readonly #peerAsk: Partial<AskOptions>
  readonly #figures: Figures
  readonly #wait = new Wait<Outcome>()
  readonly #applied = new IndexWait()
  readonly #leaderless = new Leaderless()
  readonly #raft: RawNode
  readonly #applier: Applier
  readonly #checkpointer: Checkpointer | undefined
  readonly #node: Node
  readonly #leases: LeaderLeases
  #timers: readonly Cancellable[] = []
  readonly #leadership: Leadership
  readonly #handover: Handover
  readonly #versions: VersionMonitor
  readonly #publication: Publication
  /** How others reach this member and it them; undefined for one that stays alone. */
  readonly transport: PeerTransport | undefined
  readonly #peers: PeerLink | undefined
  #isAbandoned = false
  #clientUrls: readonly string[] = []
  #fail: (error: Error) => void = () => {}

  constructor(config: ServerConfig, recovered: Recovered, platform: Platform, network?: Network) {
    this.#peerAsk = network?.ask ?? {}
    this.#config = config
    this.#recovered = recovered
    this.#platform = platform
    this.#figures = new Figures(platform.clock, config.heartbeatIntervalMs)
    this.failed = new Promise((resolve) => {
      this.#fail = resolve
    })
    recovered.state.auth.endLoginsUpTo(recovered.log.lastIndex())
    this.#raft = newRaft(config, recovered, platform)
    this.#applier = this.#newApplier()
    this.#checkpointer = newCheckpointer(config, recovered, platform, {
      applier: this.#applier,
      figures: this.#figures,
    })
    this.#node = this.#newNode()
    this.#leases = this.#newLeases()
    this.transport = network?.newTransport(this.#newPeerHandlers())
    this.#peers = this.#linkPeers()
    this.#leadership = new Leadership(this.#around())
    this.#handover = new Handover(this.#around())
    this.service = this.#newService()
    this.#publication = new Publication({
      ...this.#around(),
      name: config.name,
      proposer: this.service.proposer,
      retryMs: config.heartbeatIntervalMs,
    })
    this.ready = this.#publication.ready
    this.#versions = newVersionMonitor({
      ...this.#around(),
      newest: config.maxClusterVersion,
      proposer: this.service.proposer,
    })
  }

  /** What parts of a member are made with; those that are made before the transport lack it. */
  #around() {
    const { memberId, state } = this.#recovered
    const { clock, log } = this.#platform
    const { heartbeatIntervalMs, electionTimeoutMs } = this.#config
    return {
      ...state,
      memberId,
      node: this.#node,
      transport: this.transport,
      peerAsk: this.#peerAsk,
      clock,
      log,
      heartbeatIntervalMs,
      electionTimeoutMs,
      requestTimeoutMs: requestTimeoutMs(this.#config),
    }
  }

  #newLeases(): LeaderLeases {
    const write = (one: LeaseCheckpoint) => writeCheckpoints(this.service, [one])
    const writeCheckpoint = this.#config.leaseCheckpoint ? write : undefined
    return new LeaderLeases({ ...this.#around(), writeCheckpoint })
  }

  /** Begins to take part. `clientUrls` is where clients are told to come. */
  start(clientUrls: readonly string[]): void {
    this.#clientUrls = clientUrls
    this.#timers = this.#startTimers()
    this.#node.start()
    this.#campaignAlone()
  }

  /** Stops taking part, and writes a last checkpoint unless the member failed. */
  async close(): Promise<void> {
    for (const timer of this.#timers) timer.cancel()
    if (!this.#isAbandoned) await this.#handover.beforeStop()
    await this.transport?.close()
    await this.#node.close()
    this.#wait.rejectAll(new EtcdError('stopped'))
    await (this.#node.hasFailed || this.#isAbandoned
      ? this.#checkpointer?.idle()
      : this.#checkpointer?.close())
  }

  /** From now on close() tells nobody and saves nothing. */
  abandon(): void {
    this.#isAbandoned = true
  }

  /** A single voter has nobody to wait for, once the log has told it that it is one. */
  #campaignAlone(): void {
    const { membership } = this.#recovered.state
    if (this.#node.leader === 0n && membership.size <= 1) this.#node.campaign()
  }

  #onApplied(): void {
    this.#applied.reached(this.#node.applied)
    this.#campaignAlone()
    this.#takeUpWork()
  }

  /** What a member does once it knows its leader and has applied an entry of the leader's term. */
  #takeUpWork(): void {
    const { lessor } = this.#recovered.state
    if (this.#node.leader === 0n || this.#applier.position.term < this.#raft.term) return
    // Leases run once all entries of former terms are applied: one of them may renew a lease.
    if (this.#node.isLeader && !lessor.isPrimary) {
      lessor.promote(this.#config.electionTimeoutMs)
      this.#versions.check()
    }
    this.#publication.attempt(this.#clientUrls)
  }

  #onLeader(leader: bigint, isLeader: boolean): void {
    this.#leadership.onLeader(leader)
    this.#figures.lateHeartbeats.onLeader()
    if (!isLeader) this.#recovered.state.lessor.demote()
    const { term } = this.#raft
    const fields = { term, 'leader-member-id': memberHex(leader) }
    this.#platform.log.info(isLeader ? 'became leader' : 'leader changed', fields)
    // After a restart there may be nothing left to apply.
    this.#takeUpWork()
  }

  #onConfChange(change: ConfChange): void {
    const { memberId } = this.#recovered
    this.#peers?.onConfChange(change)
    const isRemoved = change.type === ConfChangeType.ConfChangeRemoveNode
    if (isRemoved && change.node_id === memberId) this.#onRemoved()
  }

  /** Leaves time for the last messages, so that the others learn what was committed. */
  #onRemoved(): void {
    this.#platform.clock.after(removedGraceMs, () => {
      this.#fail(new Error('the member has been permanently removed from the cluster'))
    })
  }

  #linkPeers(): PeerLink | undefined {
    const { transport } = this
    if (transport === undefined) return undefined
    const { state, memberId, remotes } = this.#recovered
    const position = () => this.#applier.position
    const reportSnapshot = (id: bigint, ok: boolean) => this.#node.reportSnapshot(id, ok)
    const link = new PeerLink({ memberId, state, transport, position, reportSnapshot })
    link.connectRemotes(remotes)
    return link
  }

  #newPeerHandlers(): PeerHandlers {
    return peerHandlers({
      ...this.#recovered,
      node: this.#node,
      leases: this.#leases,
      files: this.#platform.files,
      figures: this.#figures,
      promote: (id) => this.service.reconfigurer.promote(id),
      onRemoved: () => this.#onRemoved(),
    })
  }

  /** A leader's snapshot has replaced state and database. */
  #onInstalled(position: Position): void {
    this.#applier.jumpTo(position)
    this.#checkpointer?.jumpTo(position.index)
    this.#peers?.connectAll()
  }

  #newApplier(): Applier {
    const { state, consistent } = this.#recovered
    const remover = new Remover(state.store, this.#platform.clock, this.#figures)
    const parts = {
      ...state,
      wait: this.#wait,
      applyConfChange: (change: ConfChange) => {
        this.#raft.applyConfChange(change)
      },
      onConfChange: (change: ConfChange) => this.#onConfChange(change),
      removeCompacted: () => remover.remove(),
      figures: this.#figures,
    }
    return new Applier(parts, consistent, this.#recovered.past)
  }

  #newNode(): Node {
    const { state, wal, log, snapshotIndex } = this.#recovered
    const { snapshotCatchupEntries } = this.#config
    const { clock, log: logger } = this.#platform
    const parts: NodeParts = {
      raft: this.#raft,
      log,
      wal,
      clock,
      logger,
      apply: (entries) => {
        // Not behind them: until they are applied, raft may ask for any of these entries. After a
        // stop between two steps of a checkpoint the state is ahead of them.
        const before = (entries[0]?.Index ?? 1) - 1
        trimLog(log, before, state.membership, snapshotCatchupEntries)
        this.#applier.apply(entries)
        this.#checkpointer?.onApplied(entries)
      },
      send: (messages) => {
        this.#figures.lateHeartbeats.onSend(messages)
        this.#peers?.send(messages)
      },
      saveSnapshot: async (snapshot) => {
        await this.#checkpointer?.idle()
        await saveSnapshot(snapshot, this.#recovered, this.#platform)
      },
      applySnapshot: async (snapshot) => {
        this.#figures.snapshotsBeingApplied++
        this.#onInstalled(await installSnapshot(snapshot, this.#recovered, this.#platform))
        this.#figures.snapshotsBeingApplied--
      },
      onLeader: (leader, isLeader) => this.#onLeader(leader, isLeader),
      onApplied: () => this.#onApplied(),
      onFatal: (error) => {
        // Nothing is applied any more: whoever waits for it would wait until the time is out.
        this.#wait.rejectAll(new EtcdError('stopped'))
        this.#fail(error)
      },
    }
    const { heartbeatIntervalMs, unsafeNoFsync } = this.#config
    const timeouts = { heartbeatIntervalMs, requestTimeoutMs: requestTimeoutMs(this.#config) }
    return new Node(parts, { ...timeouts, sync: !unsafeNoFsync }, snapshotIndex)
  }

  #newService(): ServiceParts {
    const { state, memberId, clusterId } = this.#recovered
    const config = this.#config
    const around = this.#around()
    const { node, clock, membership } = around
    const ids = new RequestIds(memberId, clock.wall())
    const proposer = new Proposer(
      { node, wait: this.#wait, ids, clock },
      { requestBytesMax: config.maxRequestBytes, timeoutMs: around.requestTimeoutMs },
    )
    const size = new DatabaseSize(() => state.store.bytes)
    return {
      ...around,
      config,
      access: new Access({
        ...state,
        applied: this.#applied,
        isCertificateChecked: config.clientCertAuth,
      }),
      proposer,
      reconfigurer: new Reconfigurer({ ...around, proposer }),
      ids,
      leases: this.#leases,
      handOver: (to) => this.#handover.to(to),
      leaderless: this.#leaderless,
      isLearner: () => membership.member(memberId)?.isLearner ?? false,
      whenReady: () => (this.#publication.isReady ? undefined : this.ready),
      headers: new Headers({ memberId, clusterId }, () => this.#raft.term),
      size,
      figures: this.#figures,
      quotaCheck: quotaCheck(config, { size, proposer, memberId }),
      capture: () => captureBuckets(state, this.#applier.position),
    }
  }

  #startTimers(): readonly Cancellable[] {
    return startBackground({
      ...this.service,
      wait: this.#wait,
      timeoutReason: (deadlineMs) => this.#leadership.timeoutReason(deadlineMs),
      versions: this.#versions,
    })
  }
}
