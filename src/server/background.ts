// background.ts: what a member does by itself, by the clock.
import {
  AlarmRequest_AlarmAction as AlarmAction,
  AlarmRequest,
  AlarmType,
  CompactionRequest,
} from '../api/gen/rpc.js'
import type { WatchableStore } from '../mvcc/watchable-store.js'
import type { Clock, Timer } from '../platform/clock.js'
import type { Outcome } from './apply.js'
import { autoCompact } from './compactor.js'
import { checkPeriodically } from './corruption.js'
import { revokeExpired } from './expiry.js'
import { checkpointLeases } from './lease-checkpoints.js'
import { type AskOptions, peerHashKv } from './peer/client.js'
import type { PeerHashKv } from './peer/transport.js'
import { requestField } from './proposer.js'
import type { ServiceParts } from './rpc/parts.js'
import type { Wait } from './wait.js'

export interface Cancellable {
  cancel(): void
}

export interface BackgroundParts extends ServiceParts {
  wait: Wait<Outcome>
  /** Why a request with this deadline was not answered. */
  timeoutReason(deadlineMs: number): Error
  versions: Cancellable
}

/** How often requests that nobody answered are given up. */
const expireIntervalMs = 500
/** As etcd: how often watchers that are behind are told of what they missed. */
const watcherSyncMs = 100

export function startBackground(parts: BackgroundParts): readonly Cancellable[] {
  const { clock, wait, config, node, store, leaderless, versions } = parts
  const timers = [
    clock.every(expireIntervalMs, () => wait.expire(clock.now(), parts.timeoutReason)),
    clock.every(config.electionTimeoutMs, () => leaderless.look(node.leader !== 0n)),
    syncRegularly(store, clock),
    versions,
    revokeExpired(parts),
    config.leaseCheckpoint ? checkpointLeases(parts) : undefined,
    autoCompact(config, {
      ...parts,
      revision: () => store.revision,
      isLeader: () => node.isLeader,
      compact: (revision) => compact(parts, revision),
    }),
    checkPeriodically({
      ...parts,
      intervalMs: config.corruptCheckTimeMs,
      isLeader: () => node.isLeader,
      members: () => parts.membership.list(),
      hashKv: (revision) => ({ revision: store.revision, ...store.hashKv(revision) }),
      ask: ({ peerUrls }, revision) => askHash(peerUrls, revision, parts.peerAsk),
      alarm: (id) => raiseCorrupt(parts, id),
    }),
  ]
  return timers.filter((timer) => timer !== undefined)
}

/** Goes on while watchers are behind, with a turn for others after each round. */
function syncRegularly(store: WatchableStore, clock: Clock): Cancellable {
  let next: Timer | undefined
  let isCancelled = false
  const soon = () => {
    if (isCancelled) return
    next ??= clock.after(0, () => {
      next = undefined
      if (store.syncWatchers()) soon()
    })
  }
  store.onBehind(soon)
  const ticker = clock.every(watcherSyncMs, soon)
  return {
    cancel() {
      isCancelled = true
      ticker.cancel()
      next?.cancel()
    },
  }
}

function compact({ proposer }: BackgroundParts, revision: number): Promise<unknown> {
  const request = CompactionRequest.encode({ revision: String(revision), physical: false })
  return proposer.propose(requestField.compaction, request.finish())
}

function raiseCorrupt({ proposer }: BackgroundParts, id: bigint): Promise<unknown> {
  const request = AlarmRequest.encode({
    action: AlarmAction.ACTIVATE,
    memberID: id.toString(),
    alarm: AlarmType.CORRUPT,
  })
  return proposer.propose(requestField.alarm, request.finish())
}

/** A member that is away, behind or ahead has nothing to compare. */
export async function askHash(
  urls: readonly string[],
  revision: number,
  options: Partial<AskOptions>,
): Promise<PeerHashKv | undefined> {
  for (const url of urls) {
    try {
      return await peerHashKv(url, revision, options)
    } catch {
      // The next URL may be the one that is reachable.
    }
  }
  return undefined
}
