// new-version-monitor.ts: the version monitor of a member, and what it asks of the rest.
import { clusterVersion, etcdVersion } from '../../api/version.js'
import type { ServerConfig } from '../config.js'
import type { Node } from '../node.js'
import { type AskOptions, askVersion } from '../peer/client.js'
import type { Platform } from '../platform.js'
import type { Proposer } from '../proposer.js'
import { VersionMonitor } from './cluster-version.js'
import type { Membership } from './membership.js'
import { publishVersion } from './publisher.js'

interface Around {
  node: Node
  proposer: Proposer
  peerAsk: Partial<AskOptions>
  /** How long a member may take to say its version. */
  timeoutMs: number
}

export function newVersionMonitor(
  config: ServerConfig,
  { memberId, membership }: { memberId: bigint; membership: Membership },
  { clock, log }: Platform,
  { node, proposer, peerAsk, timeoutMs }: Around,
): VersionMonitor {
  const own = { etcdserver: etcdVersion, etcdcluster: clusterVersion, storage: clusterVersion }
  const monitor = new VersionMonitor({
    clock,
    log,
    isLeader: () => node.isLeader,
    members: () => membership.list(),
    newest: config.maxClusterVersion,
    agreed: () => membership.agreedVersion,
    downgrade: () => membership.downgrade,
    ask: async ({ id, peerUrls }) =>
      id === memberId ? own : askVersion(peerUrls, timeoutMs, peerAsk),
    propose: (version) => publishVersion(proposer, version),
  })
  membership.onDowngrade(() => monitor.check())
  return monitor
}
