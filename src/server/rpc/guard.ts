// guard.ts: what every call meets before its handler does. Calls that come before the member is
// ready wait for it. A learner answers hardly anything: what it has may be old. A client that asked
// for a leader is told at once when there is none, and its streams end when there has been none for
// a while, so that it can look for another member. While authentication is on, some methods are for
// users only, or for administrators.
import { EtcdError } from '../../api/rpc-errors.js'
import type { Handler, ServerCall, ServerStream, UnaryHandler } from '../../grpc/server.js'
import { streaming, unary } from './handlers.js'
import type { ServiceParts } from './parts.js'

/** Range is answered if it is serializable, which its handler sees. */
const learnerMethods: ReadonlySet<string> = new Set([
  '/etcdserverpb.KV/Range',
  '/etcdserverpb.Maintenance/Status',
  '/etcdserverpb.Maintenance/Snapshot',
])

export function guarded(parts: ServiceParts, path: string, handler: Handler): Handler {
  const { access } = parts
  const check = (call: ServerCall) => {
    if (parts.isLearner() && !learnerMethods.has(path)) {
      throw new EtcdError('notSupportedForLearner')
    }
    if (parts.node.leader === 0n && needsLeader(call)) throw new EtcdError('noLeader')
  }
  if (handler.kind === 'stream') {
    return streaming(async (stream) => {
      await parts.whenReady()
      check(stream)
      await access.check(path, stream)
      await withLeader(parts, stream, handler.handle(stream))
    })
  }
  // Most calls have nothing to wait for, and then do not: a promise is a part of a call's price.
  const handle: UnaryHandler = (request, call) => {
    check(call)
    const permitted = access.check(path, call)
    return permitted === undefined
      ? handler.handle(request, call)
      : permitted.then(() => handler.handle(request, call))
  }
  return unary((request, call) => {
    const ready = parts.whenReady()
    return ready === undefined ? handle(request, call) : ready.then(() => handle(request, call))
  })
}

function needsLeader({ metadata }: ServerCall): boolean {
  return metadata.hasleader === 'true'
}

/** Ends with the handler, or with the leader if the client asked for one. */
function withLeader(
  { leaderless }: ServiceParts,
  stream: ServerStream,
  handled: Promise<void>,
): Promise<void> {
  if (!needsLeader(stream)) return handled
  const { lost, forget } = leaderless.watch()
  return Promise.race([handled, lost]).finally(forget)
}
