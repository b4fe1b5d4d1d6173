// permission.ts: what a user must be allowed for a request to happen, key by key. A transaction is
// looked at as a whole before anything of it runs, both branches of it, whichever will be taken.
//
//     read    ranges, compares, watches; what prev_kv shows
//     write   puts, deletes; every key of a lease, for whoever puts with it or revokes it
import type { InternalRaftRequest } from '../api/gen/raft_internal.js'
import type { DeleteRangeRequest, PutRequest, RequestOp, TxnRequest } from '../api/gen/rpc.js'
import type { AuthStore } from '../auth/store.js'
import type { Identity } from '../auth/token.js'
import type { Lessor } from '../lease/lessor.js'

export interface PermissionParts {
  auth: AuthStore
  lessor: Lessor
}

/** A request as clients write it; an end of no bytes is a single key. */
interface Keys {
  key: Buffer
  range_end: Buffer
}

const singleKey = Buffer.alloc(0)

/** For requests that come out of the log. @throws EtcdError */
export function checkLogged(
  parts: PermissionParts,
  request: InternalRaftRequest,
  who: Identity | undefined,
): void {
  if (!parts.auth.isEnabled) return
  if (request.put) checkPut(parts, request.put, who)
  if (request.delete_range) checkDelete(parts, request.delete_range, who)
  if (request.txn) checkTxn(parts, request.txn, who)
  if (request.lease_revoke) checkLease(parts, BigInt(request.lease_revoke.ID), 'write', who)
}

/** @throws EtcdError */
export function checkRead({ auth }: PermissionParts, keys: Keys, who: Identity | undefined): void {
  auth.check(who, 'read', { key: keys.key, end: keys.range_end })
}

/** @throws EtcdError */
export function checkTxn(
  parts: PermissionParts,
  request: TxnRequest,
  who: Identity | undefined,
): void {
  if (!parts.auth.isEnabled) return
  for (const compare of request.compare) checkRead(parts, compare, who)
  for (const op of request.success) checkOperation(parts, op, who)
  for (const op of request.failure) checkOperation(parts, op, who)
}

/** Every key of the lease; whoever has the role root may do as they like. @throws EtcdError */
export function checkLease(
  { auth, lessor }: PermissionParts,
  id: bigint,
  access: 'read' | 'write',
  who: Identity | undefined,
): void {
  if (auth.isRoot(who)) return
  for (const key of lessor.timeToLive(id)?.keys ?? []) {
    auth.check(who, access, { key, end: singleKey })
  }
}

function checkOperation(parts: PermissionParts, op: RequestOp, who: Identity | undefined): void {
  if (op.request_range) checkRead(parts, op.request_range, who)
  if (op.request_put) checkPut(parts, op.request_put, who)
  if (op.request_delete_range) checkDelete(parts, op.request_delete_range, who)
  if (op.request_txn) checkTxn(parts, op.request_txn, who)
}

/** Who cannot revoke a lease must not tie keys of others to it. */
function checkPut(parts: PermissionParts, request: PutRequest, who: Identity | undefined): void {
  const keys = { key: request.key, end: singleKey }
  parts.auth.check(who, 'write', keys)
  if (request.lease !== '0') checkLease(parts, BigInt(request.lease), 'write', who)
  if (request.prev_kv) parts.auth.check(who, 'read', keys)
}

function checkDelete(
  { auth }: PermissionParts,
  request: DeleteRangeRequest,
  who: Identity | undefined,
): void {
  const keys = { key: request.key, end: request.range_end }
  auth.check(who, 'write', keys)
  if (request.prev_kv) auth.check(who, 'read', keys)
}
