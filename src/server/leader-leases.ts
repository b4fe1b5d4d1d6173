// leader-leases.ts: what only the leader knows of a lease: its time. Other members ask the leader
// for their clients.
import { EtcdError } from '../api/rpc-errors.js'
import type { Lessor } from '../lease/lessor.js'
import type { Membership } from './membership.js'
import type { Node } from './node.js'
import { type AskOptions, leaseTimeToLive, renewLease } from './peer/client.js'
import type { LeaseTtl } from './peer/transport.js'

export interface LeaderLeasesParts {
  memberId: bigint
  lessor: Lessor
  membership: Membership
  node: Node
  peerAsk: Partial<AskOptions>
}

export class LeaderLeases {
  readonly #parts: LeaderLeasesParts

  constructor(parts: LeaderLeasesParts) {
    this.#parts = parts
  }

  /** The TTL that begins anew; undefined: no such lease. @throws EtcdError noLeader, notLeader */
  renew(id: bigint): Promise<number | undefined> {
    const url = this.#leaderUrl()
    return url === undefined
      ? this.#parts.lessor.renew(id)
      : renewLease(url, id, this.#parts.peerAsk)
  }

  /** Undefined: no such lease. @throws EtcdError noLeader */
  async timeToLive(id: bigint, keys: boolean): Promise<LeaseTtl | undefined> {
    const url = this.#leaderUrl()
    return url === undefined
      ? this.#parts.lessor.timeToLive(id)
      : leaseTimeToLive(url, id, keys, this.#parts.peerAsk)
  }

  /** Undefined when this member leads. */
  #leaderUrl(): string | undefined {
    const { node, memberId, membership } = this.#parts
    if (node.leader === memberId) return undefined
    const url = membership.member(node.leader)?.peerUrls[0]
    if (url === undefined) throw new EtcdError('noLeader')
    return url
  }
}
