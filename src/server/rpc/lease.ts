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
import type { ServerStream } from '../../grpc/server.js'
import { requestField } from '../proposer.js'
import { leaseGrantCost } from '../quota.js'
import { type MethodTable, service, streaming, unary } from './handlers.js'
import type { ServiceParts } from './parts.js'

export function leaseService(parts: ServiceParts): MethodTable {
  return service('etcdserverpb.Lease', {
    LeaseGrant: unary((data) => grant(parts, data)),
    LeaseRevoke: unary((data) => revoke(parts, data)),
    LeaseKeepAlive: streaming((stream) => keepAlive(parts, stream)),
    LeaseTimeToLive: unary((data) => timeToLive(parts, data)),
    LeaseLeases: unary(() => leases(parts)),
  })
}

async function grant(parts: ServiceParts, data: Buffer): Promise<Uint8Array> {
  const { ids, lessor, proposer, headers } = parts
  const request = LeaseGrantRequest.decode(data)
  lessor.checkTtl(Number(request.TTL))
  await parts.quotaCheck(leaseGrantCost(request))
  const id = request.ID === '0' ? ids.nextLease().toString() : request.ID
  const named = LeaseGrantRequest.encode({ ...request, ID: id }).finish()
  const outcome = await proposer.propose(requestField.leaseGrant, named)
  if (outcome.kind !== 'leaseGrant') throw new Error(`${outcome.kind} is no outcome of a grant`)
  return LeaseGrantResponse.encode({
    header: headers.message(outcome.revision),
    ID: outcome.id.toString(),
    TTL: String(outcome.ttlSeconds),
    error: '',
  }).finish()
}

async function revoke(
  { proposer, headers, store }: ServiceParts,
  data: Buffer,
): Promise<Uint8Array> {
  await proposer.propose(requestField.leaseRevoke, data)
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
    const ttlSeconds = await parts.leases.renew(BigInt(ID))
    const TTL = String(ttlSeconds ?? 0)
    await stream.write(LeaseKeepAliveResponse.encode({ header, ID, TTL }).finish())
  }
}

async function timeToLive(parts: ServiceParts, data: Buffer): Promise<Uint8Array> {
  const { headers, store } = parts
  const { ID, keys } = LeaseTimeToLiveRequest.decode(data)
  const lease = await parts.leases.timeToLive(BigInt(ID), keys)
  return LeaseTimeToLiveResponse.encode({
    header: headers.message(store.revision),
    ID,
    TTL: String(lease?.remainingSeconds ?? -1),
    grantedTTL: String(lease?.ttlSeconds ?? 0),
    keys: keys ? [...(lease?.keys ?? [])] : [],
  }).finish()
}

function leases({ lessor, headers, store }: ServiceParts): Uint8Array {
  return LeaseLeasesResponse.encode({
    header: headers.message(store.revision),
    leases: lessor.leases().map((id) => ({ ID: id.toString() })),
  }).finish()
}
