// services.ts: the table of all methods that one member answers.
import type { Handler } from '../../grpc/server.js'
import { authService } from './auth.js'
import { clusterService } from './cluster.js'
import { electionService } from './election.js'
import { guarded } from './guard.js'
import { healthService } from './health.js'
import { kvService } from './kv.js'
import { leaseService } from './lease.js'
import { lockService } from './lock.js'
import { maintenanceService } from './maintenance.js'
import type { ServiceParts } from './parts.js'
import { watchService } from './watch.js'
import { wellFormed } from './well-formed.js'

export function services(parts: ServiceParts): ReadonlyMap<string, Handler> {
  const methods = [
    ...kvService(parts),
    ...watchService(parts),
    ...leaseService(parts),
    ...clusterService(parts),
    ...maintenanceService(parts),
    ...authService(parts),
  ]
  const own = new Map(methods.map(([path, handler]) => [path, guarded(parts, path, handler)]))
  const all = [
    ...own,
    ...lockService(parts, own),
    ...electionService(parts, own),
    ...healthService(),
  ] as const
  return new Map(all.map(([path, handler]) => [path, wellFormed(path, handler, parts.log)]))
}
