// new-transport.ts: etcd's peer protocol behind the PeerTransport interface.
import type { Clock } from '../../platform/clock.js'
import type { Log } from '../../platform/log.js'
import type { PeerHandlers, PeerTransport } from './transport.js'

export interface PeerTransportParts {
  localId: bigint
  clusterId: bigint
  /** Where this member is told to others to be. */
  peerUrls: readonly string[]
  electionTimeoutMs: number
  clock: Clock
  log: Log
  handlers: PeerHandlers
}

export function newPeerTransport(parts: PeerTransportParts): PeerTransport {
  throw new Error(`not written yet: ${parts.localId}`)
}
