// member.ts: one member at work, without a network: state, log, raft and what runs beside them.
// It begins where recovery left off and is ready once it leads or knows who does, and has applied
// what the leader's first entry confirms.
import {
  AlarmRequest_AlarmAction as AlarmAction,
  AlarmRequest,
  AlarmType,
  CompactionRequest,
} from '../api/gen/rpc.js'
import { EtcdError } from '../api/rpc-errors.js'
import { RawNode } from '../raft/raw-node.js'
import { Applier, type Outcome } from './apply.js'
import { Checkpointer, captureBuckets } from './checkpoint.js'
import { autoCompact, Remover } from './compactor.js'
import { defaultQuotaBytes, type ServerConfig } from './config.js'
import { revokeExpired } from './expiry.js'
import { Node } from './node.js'
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

export interface Member {
  readonly service: ServiceParts
  /** Resolves when requests can be served. */
  readonly ready: Promise<void>
  /** Resolves with the reason if the member cannot go on. */
  readonly failed: Promise<Error>
  /** Stops taking part, and writes a last checkpoint unless the member failed. */
  close(): Promise<void>
}

export function startMember(
  config: ServerConfig,
  recovered: Recovered,
  platform: Platform,
): Member {
  const { clock, log } = platform
  const { state, memberId, clusterId } = recovered
  const { store, lessor, membership } = state
  const raft = newRaft(config, recovered, platform)
  const wait = new Wait<Outcome>()
  const remover = new Remover(store, clock)
  const applier = new Applier(
    {
      ...state,
      wait,
      applyConfChange: (change) => raft.applyConfChange(change),
      removeCompacted: () => remover.remove(),
    },
    recovered.consistent,
  )
  const checkpointer = newCheckpointer(config, recovered, platform, applier)
  const failed = deferred<Error>()
  const ready = deferred<void>()

  /** A single voter has nobody to wait for, once the log has told it that it is one. */
  const campaignAlone = () => {
    if (node.leader === 0n && membership.list().length <= 1) node.campaign()
  }
  const onApplied = () => {
    campaignAlone()
    if (node.leader === 0n || applier.position.term < raft.status().term) return
    // Leases run once all entries of former terms are applied: one of them may renew a lease.
    if (node.isLeader && !lessor.isPrimary) lessor.promote(config.electionTimeoutMs)
    ready.resolve()
  }
  const node: Node = new Node(
    {
      raft,
      log: recovered.log,
      wal: recovered.wal,
      clock,
      logger: log,
      apply(entries) {
        applier.apply(entries)
        checkpointer?.onApplied(entries)
      },
      send: () => {},
      onLeadership(isLeader) {
        if (!isLeader) lessor.demote()
        log.info(isLeader ? 'became leader' : 'lost leadership', { term: raft.status().term })
      },
      onApplied,
      onFatal: failed.resolve,
    },
    {
      heartbeatIntervalMs: config.heartbeatIntervalMs,
      requestTimeoutMs: requestTimeoutMs(config),
      sync: !config.unsafeNoFsync,
    },
    recovered.snapshotIndex,
  )
  const ids = new RequestIds(memberId, clock.wall())
  const proposer = new Proposer(
    { node, wait, ids, clock },
    { requestBytesMax: config.maxRequestBytes, timeoutMs: requestTimeoutMs(config) },
  )
  const size = new DatabaseSize(() => store.bytes)
  const service: ServiceParts = {
    config,
    memberId,
    ...state,
    node,
    proposer,
    ids,
    headers: new Headers({ memberId, clusterId }, () => raft.status().term),
    size,
    clock,
    log,
    quotaCheck: quotaCheck(config, { size, proposer, memberId }),
    capture: () => captureBuckets(state, applier.position),
  }
  const timers = [
    clock.every(expireIntervalMs, () => wait.expire(clock.now())),
    clock.every(watcherSyncMs, () => store.syncWatchers()),
    revokeExpired({ lessor, proposer, clock, log }),
    autoCompact(config, {
      clock,
      log,
      revision: () => store.revision,
      isLeader: () => node.isLeader,
      compact: (revision) => proposer.propose(requestField.compaction, compaction(revision)),
    }),
  ]
  node.start()
  campaignAlone()
  const close = async () => {
    for (const timer of timers) timer?.cancel()
    await node.close()
    wait.rejectAll(new EtcdError('stopped'))
    if (!node.hasFailed) await checkpointer?.close()
  }
  return { service, ready: ready.promise, failed: failed.promise, close }
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

interface Deferred<T> {
  promise: Promise<T>
  resolve(value: T): void
}

function deferred<T>(): Deferred<T> {
  let resolve: (value: T) => void = () => {}
  const promise = new Promise<T>((settle) => {
    resolve = settle
  })
  return { promise, resolve: (value) => resolve(value) }
}
