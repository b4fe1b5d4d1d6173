// new-version-monitor.ts: the version monitor of a member, and what it asks of the rest.
import { clusterVersion, etcdVersion } from '../../api/version.js'
import type { Clock } from '../../platform/clock.js'
import type { Log } from '../../platform/log.js'
import type { Node } from '../node.js'
import { type AskOptions, askVersion } from '../peer/client.js'
import type { Proposer } from '../proposer.js'
import { VersionMonitor } from './cluster-version.js'
import type { Membership } from './membership.js'
import { publishVersion } from './publisher.js'

interface Around {
  memberId: bigint
  membership: Membership
  node: Node
  proposer: Proposer
  peerAsk: Partial<AskOptions>
  /** How long a member may take to say its version. */
  requestTimeoutMs: number
  clock: Clock
  log: Log
  /** The version that all would agree on if nobody held them back. */
  newest: string
}

export function newVersionMonitor(around: Around): VersionMonitor {
  const { memberId, membership, node, proposer, peerAsk, requestTimeoutMs } = around
  const own = { etcdserver: etcdVersion, etcdcluster: clusterVersion, storage: clusterVersion }
  const monitor = new VersionMonitor({
    clock: around.clock,
    log: around.log,
    isLeader: () => node.isLeader,
    members: () => membership.list(),
    newest: around.newest,
    agreed: () => membership.agreedVersion,
    downgrade: () => membership.downgrade,
    ask: async ({ id, peerUrls }) =>
      id === memberId ? own : askVersion(peerUrls, requestTimeoutMs, peerAsk),
    propose: (version) => publishVersion(proposer, version),
  })
  membership.onDowngrade(() => monitor.check())
  return monitor
}
