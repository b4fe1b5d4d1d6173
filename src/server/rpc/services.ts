// services.ts: the table of all methods that one member answers.
import { EtcdError } from '../../api/rpc-errors.js'
import type { Handler, ServerCall, UnaryHandler } from '../../grpc/server.js'
import { clusterService } from './cluster.js'
import { streaming, unary } from './handlers.js'
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
  ]
  return new Map([
    ...methods.map(([path, handler]) => [path, guarded(parts, handler)] as const),
    ...healthService(),
  ])
}

/**
 * Requests that come before the member is ready wait for it. A client that asked for a leader is
 * told at once when there is none.
 */
function guarded({ node, whenReady }: ServiceParts, handler: Handler): Handler {
  const check = ({ metadata }: ServerCall) => {
    if (metadata.hasleader === 'true' && node.leader === 0n) throw new EtcdError('noLeader')
  }
  if (handler.kind === 'unary') {
    const handle: UnaryHandler = (request, call) => {
      check(call)
      return handler.handle(request, call)
    }
    return unary((request, call) => {
      const ready = whenReady()
      return ready === undefined ? handle(request, call) : ready.then(() => handle(request, call))
    })
  }
  return streaming(async (stream) => {
    await whenReady()
    check(stream)
    return handler.handle(stream)
  })
}
