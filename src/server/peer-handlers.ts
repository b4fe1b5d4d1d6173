// peer-handlers.ts: what a member does with what others tell or ask it.
import { etcdVersion } from '../api/version.js'
import type { Files } from '../platform/files.js'
import type { MemberRecord } from '../storage/schema.js'
import type { LeaderLeases } from './leader-leases.js'
import { undecidedVersion } from './membership/cluster-version.js'
import type { Figures } from './metrics/figures.js'
import type { Node } from './node.js'
import type { PeerHandlers } from './peer/transport.js'
import type { State } from './recovery/checkpoint.js'
import { receiveDatabase } from './recovery/received-snapshot.js'

export interface PeerHandlerParts {
  state: State
  node: Node
  /** Undefined: nothing is kept on disk, so no snapshot can be taken. */
  snapDir: string | undefined
  files: Files
  promote(id: bigint): Promise<MemberRecord[]>
  leases: Pick<LeaderLeases, 'renewHere' | 'timeToLiveHere'>
  onRemoved(): void
  figures: Pick<Figures, 'timed' | 'databasesReceived'>
}

export function peerHandlers(parts: PeerHandlerParts): PeerHandlers {
  const { node, snapDir, files, leases, figures } = parts
  const { membership, store } = parts.state
  return {
    step: (message) => node.step(message),
    isRemoved: (id) => membership.isRemoved(id),
    isKnown: (id) => membership.member(id) !== undefined,
    reportUnreachable: (id) => node.reportUnreachable(id),
    reportSnapshot: (id, ok) => node.reportSnapshot(id, ok),
    onRemoved: () => parts.onRemoved(),
    async receiveSnapshot(message, body) {
      if (snapDir === undefined) throw new Error('this member has no directory')
      await figures.timed(figures.databasesReceived, () =>
        receiveDatabase(snapDir, message, body, files),
      )
    },
    members: () => membership.list(),
    version: () => ({
      etcdserver: etcdVersion,
      etcdcluster: membership.agreedVersion ?? undecidedVersion,
      storage: membership.storageVersion,
    }),
    isDowngradeEnabled: () => membership.downgrade?.enabled ?? false,
    promote: (id) => parts.promote(id),
    renewLease: (id) => leases.renewHere(id),
    async leaseTimeToLive(id, keys) {
      const lease = await leases.timeToLiveHere(id)
      return lease && { ...lease, keys: keys ? lease.keys : [] }
    },
    hashKv: (revision) => ({ revision: store.revision, ...store.hashKv(revision) }),
  }
}
