// guard.ts: what every call meets before its handler does. Calls that come before the member is
// ready wait for it. A learner answers hardly anything: what it has may be old. A client that asked
// for a leader is told at once when there is none, and its streams end when there has been none for
// a while, so that it can look for another member.
import { EtcdError } from '../../api/rpc-errors.js'
import type { Handler, ServerCall, ServerStream } from '../../grpc/server.js'
import { streaming, unary } from './handlers.js'
import type { ServiceParts } from './parts.js'

/** Range is answered if it is serializable, which its handler sees. */
const learnerMethods: ReadonlySet<string> = new Set([
  '/etcdserverpb.KV/Range',
  '/etcdserverpb.Maintenance/Status',
  '/etcdserverpb.Maintenance/Snapshot',
])

export function guarded(parts: ServiceParts, path: string, handler: Handler): Handler {
  const check = (call: ServerCall) => {
    if (parts.isLearner() && !learnerMethods.has(path)) {
      throw new EtcdError('notSupportedForLearner')
    }
    if (needsLeader(call) && parts.node.leader === 0n) throw new EtcdError('noLeader')
  }
  if (handler.kind === 'stream') {
    return streaming(async (stream) => {
      await parts.whenReady()
      check(stream)
      await withLeader(parts, stream, handler.handle(stream))
    })
  }
  return unary((request, call) => {
    const ready = parts.whenReady()
    if (ready !== undefined) {
      return ready.then(() => {
        check(call)
        return handler.handle(request, call)
      })
    }
    check(call)
    return handler.handle(request, call)
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
