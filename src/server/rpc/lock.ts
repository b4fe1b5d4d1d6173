// lock.ts: the Lock service: a lock that lives in the server, for clients that have no recipe of
// their own. The layout of the keys is that of etcd's clients, so that both exclude each other.
import { LockRequest, LockResponse, UnlockRequest, UnlockResponse } from '../../api/gen/lock.js'
import type { ServerCall } from '../../grpc/server.js'
import { asUnknown, callerFor, type Methods } from './caller.js'
import { claim, sessionLease, waitForTurn } from './claim.js'
import { type MethodTable, service, unary } from './handlers.js'
import type { ServiceParts } from './parts.js'

export function lockService({ store }: Pick<ServiceParts, 'store'>, methods: Methods): MethodTable {
  return service('v3lockpb.Lock', {
    Lock: unary((data, call) => asUnknown(lock(store, methods, { data, call }))),
    Unlock: unary((data, call) => asUnknown(unlock(methods, { data, call }))),
  })
}

interface Asked {
  data: Buffer
  call: ServerCall
}

async function lock(
  store: ServiceParts['store'],
  methods: Methods,
  { data, call }: Asked,
): Promise<Uint8Array> {
  const { name, lease: given } = LockRequest.decode(data)
  const caller = callerFor(methods, call)
  const lease = await sessionLease(caller, given)
  const claimed = await claim(caller, { name, lease, value: Buffer.alloc(0) })
  const { key, revision } = claimed
  if (claimed.owner === undefined || claimed.owner.create_revision === revision) {
    return LockResponse.encode({ header: claimed.header, key }).finish()
  }
  try {
    await waitForTurn(caller, store, { name, revision, signal: call.signal })
  } catch (error) {
    // Nobody waits for the lock any more, so nobody must wait behind it.
    await caller.deleteRange({ key })
    throw error
  }
  const { kvs, header } = await caller.range({ key })
  if (kvs.length === 0) throw new Error('mutex: session is expired')
  return LockResponse.encode({ header, key }).finish()
}

async function unlock(methods: Methods, { data, call }: Asked): Promise<Uint8Array> {
  const { key } = UnlockRequest.decode(data)
  const { header } = await callerFor(methods, call).deleteRange({ key })
  return UnlockResponse.encode({ header }).finish()
}
