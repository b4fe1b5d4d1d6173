// services.ts: the table of all methods that one member answers.
import type { Handler } from '../../grpc/server.js'
import { authService } from './auth.js'
import { clusterService } from './cluster.js'
import { guarded } from './guard.js'
import { healthService } from './health.js'
import { kvService } from './kv.js'
import { leaseService } from './lease.js'
import { maintenanceService } from './maintenance.js'
import type { ServiceParts } from './parts.js'
import { watchService } from './watch.js'

export function services(parts: ServiceParts): ReadonlyMap<string, Handler> {
  const methods = [
    ...kvService(parts),
    ...watchService(parts),
    ...leaseService(parts),
    ...clusterService(parts),
    ...maintenanceService(parts),
    ...authService(parts),
  ]
  return new Map([
    ...methods.map(([path, handler]) => [path, guarded(parts, path, handler)] as const),
    ...healthService(),
  ])
}
