// raft-settings.ts: how the raft core of a member is set up: etcd's figures.
import { RawNode } from '../raft/raw-node.js'
import type { ServerConfig } from './config.js'
import type { Platform } from './platform.js'
import type { Recovered } from './recovery/recover.js'

/** Appends in flight to one follower, and the entries in one of them: etcd's figures. */
const inflightMax = 512
const messageBytesMax = 1024 * 1024
/** etcd has none: a follower that stands still could hold 512 MiB of the leader's log. */
const inflightBytesMax = 64 * messageBytesMax

export function newRaft(config: ServerConfig, recovered: Recovered, { random }: Platform): RawNode {
  return new RawNode({
    id: recovered.memberId,
    electionTicks: Math.ceil(config.electionTimeoutMs / config.heartbeatIntervalMs),
    heartbeatTicks: 1,
    storage: recovered.log,
    applied: recovered.snapshotIndex,
    messageBytesMax,
    inflightMax,
    inflightBytesMax,
    checkQuorum: true,
    preVote: config.preVote,
    random: (limit) => random.below(limit),
  })
}
