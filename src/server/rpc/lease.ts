// lease.ts: the Lease service. Grants and revocations go through the log; a renewal is a matter
// of the leader's clock alone.
import {
  LeaseGrantRequest,
  LeaseGrantResponse,
  LeaseKeepAliveRequest,
  LeaseKeepAliveResponse,
  LeaseLeasesResponse,
  LeaseRevokeResponse,
  LeaseTimeToLiveRequest,
  LeaseTimeToLiveResponse,
} from '../../api/gen/rpc.js'
import { EtcdError } from '../../api/rpc-errors.js'
import type { ServerCall, ServerStream } from '../../grpc/server.js'
import { checkLease } from '../permission.js'
import { requestField } from '../proposer.js'
import { leaseGrantCost } from '../quota.js'
import { type MethodTable, service, streaming, unary } from './handlers.js'
import type { ServiceParts } from './parts.js'

export function leaseService(parts: ServiceParts): MethodTable {
  return service('etcdserverpb.Lease', {
    LeaseGrant: unary((data, call) => grant(parts, data, call)),
    LeaseRevoke: unary((data, call) => revoke(parts, data, call)),
    LeaseKeepAlive: streaming((stream) => keepAlive(parts, stream)),
    LeaseTimeToLive: unary((data, call) => timeToLive(parts, data, call)),
    LeaseLeases: unary((_, call) => leases(parts, call)),
  })
}

async function grant(parts: ServiceParts, data: Buffer, call: ServerCall): Promise<Uint8Array> {
  const { ids, lessor, proposer, headers, access } = parts
  const request = LeaseGrantRequest.decode(data)
  lessor.checkTtl(Number(request.TTL))
  await parts.quotaCheck(leaseGrantCost(request))
  const id = request.ID === '0' ? ids.nextLease().toString() : request.ID
  const named = LeaseGrantRequest.encode({ ...request, ID: id }).finish()
  const who = await access.identify(call)
  const outcome = await proposer.propose(requestField.leaseGrant, named, { who, caller: call })
  if (outcome.kind !== 'leaseGrant') throw new Error(`${outcome.kind} is no outcome of a grant`)
  return LeaseGrantResponse.encode({
    header: headers.message(outcome.revision),
    ID: outcome.id.toString(),
    TTL: String(outcome.ttlSeconds),
    error: '',
  }).finish()
}

async function revoke(
  { proposer, headers, store, access }: ServiceParts,
  data: Buffer,
  call: ServerCall,
): Promise<Uint8Array> {
  const who = await access.identify(call)
  await proposer.propose(requestField.leaseRevoke, data, { who, caller: call })
  return LeaseRevokeResponse.encode({ header: headers.message(store.revision) }).finish()
}

/**
 * One answer for each request, in order; TTL 0 says that the lease is gone, which is no error. The
 * header is taken before the renewal, so that its revision is not newer than what the client knows.
 */
async function keepAlive(parts: ServiceParts, stream: ServerStream): Promise<void> {
  const { headers, store } = parts
  for await (const data of stream) {
    const { ID } = LeaseKeepAliveRequest.decode(data)
    const header = headers.message(store.revision)
    await checkKeys(parts, [BigInt(ID)], 'write', stream)
    const ttlSeconds = await parts.leases.renew(BigInt(ID), stream.signal)
    const TTL = String(ttlSeconds ?? 0)
    await stream.write(LeaseKeepAliveResponse.encode({ header, ID, TTL }).finish())
  }
}

async function timeToLive(
  parts: ServiceParts,
  data: Buffer,
  call: ServerCall,
): Promise<Uint8Array> {
  const { headers, store, auth } = parts
  const { ID, keys } = LeaseTimeToLiveRequest.decode(data)
  const { revision } = auth
  if (keys) await checkKeys(parts, [BigInt(ID)], 'read', call)
  const lease = await parts.leases.timeToLive(BigInt(ID), keys, call.signal)
  // The leader may have answered after the keys were closed to the user.
  if (keys && auth.isEnabled && auth.revision !== revision) throw new EtcdError('authOldRevision')
  return LeaseTimeToLiveResponse.encode({
    header: headers.message(store.revision),
    ID,
    TTL: String(lease?.remainingSeconds ?? -1),
    grantedTTL: String(lease?.ttlSeconds ?? 0),
    keys: keys ? [...(lease?.keys ?? [])] : [],
  }).finish()
}

async function leases(parts: ServiceParts, call: ServerCall): Promise<Uint8Array> {
  const { lessor, headers, store } = parts
  await checkKeys(parts, lessor.leases(), 'read', call)
  return LeaseLeasesResponse.encode({
    header: headers.message(store.revision),
    leases: lessor.leases().map((id) => ({ ID: id.toString() })),
  }).finish()
}

/** Those that only ask for the time of a lease need nothing but a name. @throws EtcdError */
async function checkKeys(
  parts: ServiceParts,
  ids: readonly bigint[],
  access: 'read' | 'write',
  call: ServerCall,
): Promise<void> {
  if (!parts.auth.isEnabled) return
  const who = await parts.access.identify(call)
  if (who === undefined) throw new EtcdError('userEmpty')
  for (const id of ids) checkLease(parts, id, access, who)
}
