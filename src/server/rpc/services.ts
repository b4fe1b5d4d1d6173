// services.ts: what the services of one member share, and the table of all of them.
import { EtcdError } from '../../api/rpc-errors.js'
import type { Handler, ServerCall } from '../../grpc/server.js'
import type { Lessor } from '../../lease/lessor.js'
import type { WatchableStore } from '../../mvcc/watchable-store.js'
import type { Clock } from '../../platform/clock.js'
import type { Log } from '../../platform/log.js'
import type { Bucket } from '../../storage/bbolt/writer.js'
import type { Alarms } from '../alarm.js'
import type { ServerConfig } from '../config.js'
import type { Membership } from '../membership.js'
import type { Node } from '../node.js'
import type { Proposer } from '../proposer.js'
import type { DatabaseSize } from '../quota.js'
import type { RequestIds } from '../request-id.js'
import { clusterService } from './cluster.js'
import { streaming, unary } from './handlers.js'
import type { Headers } from './header.js'
import { healthService } from './health.js'
import { kvService } from './kv.js'
import { leaseService } from './lease.js'
import { maintenanceService } from './maintenance.js'
import { watchService } from './watch.js'

export interface ServiceParts {
  config: ServerConfig
  memberId: bigint
  store: WatchableStore
  lessor: Lessor
  alarms: Alarms
  membership: Membership
  node: Node
  proposer: Proposer
  ids: RequestIds
  headers: Headers
  size: DatabaseSize
  clock: Clock
  log: Log
  /**
   * Lets a request of that cost pass, or raises the NOSPACE alarm and refuses it.
   * @throws EtcdError noSpace
   */
  quotaCheck(costBytes: number): Promise<void> | undefined
  /** The database as it is now, for a snapshot. */
  capture(): readonly Bucket[]
}

export function services(parts: ServiceParts): ReadonlyMap<string, Handler> {
  const methods = [
    ...kvService(parts),
    ...watchService(parts),
    ...leaseService(parts),
    ...clusterService(parts),
    ...maintenanceService(parts),
  ]
  return new Map([
    ...methods.map(([path, handler]) => [path, guarded(parts, handler)] as const),
    ...healthService(),
  ])
}

/** A client that asked for a leader is told at once when there is none. */
function guarded({ node }: ServiceParts, handler: Handler): Handler {
  const check = ({ metadata }: ServerCall) => {
    if (metadata.hasleader === 'true' && node.leader === 0n) throw new EtcdError('noLeader')
  }
  if (handler.kind === 'unary') {
    return unary((request, call) => {
      check(call)
      return handler.handle(request, call)
    })
  }
  return streaming((stream) => {
    check(stream)
    return handler.handle(stream)
  })
}
