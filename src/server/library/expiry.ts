// expiry.ts: what the server does by itself within half a second, done now: leases that
// have run out are revoked, and this resolves when they are gone.
import { LeaseRevokeRequest } from '../../api/gen/rpc.js'
import { EtcdError } from '../../api/rpc-errors.js'
import { requestField } from '../proposer.js'
import type { ServiceParts } from '../rpc/parts.js'

export async function expireLeases(parts: ServiceParts): Promise<void> {
  for (;;) {
    // Each is reported once, so the server's own watch over leases does not see these.
    const ids = parts.lessor.expired()
    if (ids.length === 0) return
    await Promise.all(ids.map((id) => revoke(parts, id)))
  }
}

async function revoke({ proposer, auth }: ServiceParts, id: bigint): Promise<void> {
  const request = LeaseRevokeRequest.encode({ ID: id.toString() }).finish()
  try {
    await proposer.propose(requestField.leaseRevoke, request, { who: auth.rootIdentity })
  } catch (error) {
    // A client was faster.
    if (!(error instanceof EtcdError && error.code === 'leaseNotFound')) throw error
  }
}
