// parts.ts: what the services of one member share.
import type { AuthStore } from '../../auth/store.js'
import type { Lessor } from '../../lease/lessor.js'
import type { WatchableStore } from '../../mvcc/watchable-store.js'
import type { Clock } from '../../platform/clock.js'
import type { Log } from '../../platform/log.js'
import type { Bucket } from '../../storage/bbolt/writer.js'
import type { Alarms } from '../alarm.js'
import type { ServerConfig } from '../config.js'
import type { LeaderLeases } from '../leader-leases.js'
import type { Leaderless } from '../leaderless.js'
import type { Membership } from '../membership/membership.js'
import type { Reconfigurer } from '../membership/reconfigure.js'
import type { Figures } from '../metrics/figures.js'
import type { Node } from '../node.js'
import type { AskOptions } from '../peer/client.js'
import type { Proposer } from '../proposer.js'
import type { DatabaseSize, QuotaCheck } from '../quota.js'
import type { RequestIds } from '../request-id.js'
import type { Access } from './access.js'
import type { Headers } from './header.js'

export interface ServiceParts {
  config: ServerConfig
  memberId: bigint
  store: WatchableStore
  lessor: Lessor
  auth: AuthStore
  access: Access
  alarms: Alarms
  membership: Membership
  node: Node
  proposer: Proposer
  reconfigurer: Reconfigurer
  ids: RequestIds
  headers: Headers
  leases: LeaderLeases
  /** How other members are asked: with which certificate. */
  peerAsk: Partial<AskOptions>
  /** Gives leadership to another voter. @throws EtcdError notLeader, badLeaderTransferee */
  handOver(to: bigint): Promise<void>
  leaderless: Leaderless
  isLearner(): boolean
  /** Requests wait for it; undefined once there is nothing to wait for. */
  whenReady(): Promise<void> | undefined
  size: DatabaseSize
  /** What is counted and timed beside the work. */
  figures: Figures
  clock: Clock
  log: Log
  /** Asked before a request of that cost goes into the log. */
  quotaCheck: QuotaCheck
  /** The database as it is now, for a snapshot. */
  capture(): readonly Bucket[]
}
