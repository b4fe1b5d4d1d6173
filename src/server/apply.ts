// apply.ts: turns committed log entries into state. Deterministic: the same entries give the same
// state on every member, whatever its clock, and an entry refused here is refused everywhere.
// Whoever waits for a request on this member gets its outcome by the request's id.
//
// An entry at or below the index that the checkpoint already contains has had its effect; of
// those only membership changes go to raft again, which keeps its configuration elsewhere. They
// are checked against the membership of then, so that what was refused stays refused.
import type { Entry } from '../api/gen/raft.js'
import { ConfChange, EntryType } from '../api/gen/raft.js'
import { InternalRaftRequest, type LeaseCheckpointRequest } from '../api/gen/raft_internal.js'
import {
  AlarmRequest_AlarmAction as AlarmAction,
  type AlarmRequest,
  AlarmType,
  type DeleteRangeRequest,
  type LeaseGrantRequest,
  type PutRequest,
  type TxnRequest,
} from '../api/gen/rpc.js'
import { EtcdError } from '../api/rpc-errors.js'
import type { AuthStore } from '../auth/store.js'
import type { Identity } from '../auth/token.js'
import type { Lessor } from '../lease/lessor.js'
import type { WatchableStore } from '../mvcc/watchable-store.js'
import type { WriteTxn } from '../mvcc/write-txn.js'
import type { AlarmRecord, MemberRecord } from '../storage/schema.js'
import type { Alarms } from './alarm.js'
import { type AuthOutcome, applyAuth } from './apply-auth.js'
import type { Membership } from './membership/membership.js'
import { applyV2Request, decodeV2Request } from './membership/v2-request.js'
import type { Figures } from './metrics/figures.js'
import { checkLogged } from './permission.js'
import {
  checkPath,
  checkPut,
  choosePath,
  deleteOp,
  executePath,
  type OpResult,
  putOp,
  type TxnResult,
} from './txn.js'
import type { Wait } from './wait.js'

/** What a request gave; the service that proposed it makes the answer of it. */
export type Outcome =
  | { kind: 'operation'; revision: number; result: OpResult }
  | { kind: 'txn'; revision: number; result: TxnResult }
  | { kind: 'compaction'; revision: number; removed: Promise<void> }
  | { kind: 'leaseGrant'; revision: number; id: bigint; ttlSeconds: number }
  | { kind: 'alarm'; revision: number; alarms: AlarmRecord[] }
  | { kind: 'members'; members: MemberRecord[] }
  | (AuthOutcome & { revision: number })

export interface ApplierParts {
  store: WatchableStore
  lessor: Lessor
  auth: AuthStore
  alarms: Alarms
  membership: Membership
  wait: Wait<Outcome>
  /** Tells raft of a change; an id of 0n says that it has no effect. */
  applyConfChange(change: ConfChange): void
  /** Called when a change has taken effect in the membership. */
  onConfChange(change: ConfChange): void
  /** Removes what a compaction left behind, a little at a time; resolves when it is gone. */
  removeCompacted(): Promise<void>
  /** Takes note; nothing depends on it. */
  figures: ApplyFigures
}

export type ApplyFigures = Pick<
  Figures,
  'startApplying' | 'applied' | 'leaseGranted' | 'leasesRevoked'
>

export class Applier {
  readonly #parts: ApplierParts
  readonly #past: Membership
  /** Index of the last entry whose effect the state contains. */
  #index: number
  #term: number

  /** `past`: the membership where raft begins to hand out entries, at or before `consistent`. */
  constructor(parts: ApplierParts, consistent: { index: number; term: number }, past: Membership) {
    this.#parts = parts
    this.#past = past
    this.#index = consistent.index
    this.#term = consistent.term
  }

  /** Position up to which the state stands; a checkpoint taken now carries it. */
  get position(): { index: number; term: number } {
    return { index: this.#index, term: this.#term }
  }

  /** The state was replaced by one that contains everything up to here. */
  jumpTo({ index, term }: { index: number; term: number }): void {
    this.#index = index
    this.#term = term
  }

  apply(entries: readonly Entry[]): void {
    this.#parts.figures.startApplying()
    for (const entry of entries) {
      const isNew = entry.Index > this.#index
      if (entry.Type === EntryType.EntryConfChange) this.#confChange(entry, isNew)
      else if (isNew && entry.Data !== undefined && entry.Data.length > 0)
        this.#normal(entry.Data, entry.Index)
      if (isNew) {
        this.#index = entry.Index
        this.#term = entry.Term
      }
    }
  }

  #normal(data: Buffer, index: number): void {
    const old = decodeV2Request(data)
    if (old !== undefined) {
      applyV2Request(old, this.#parts.membership)
      this.#parts.wait.resolve(BigInt(old.ID), this.#done())
      return
    }
    const request = InternalRaftRequest.decode(data)
    const id = BigInt(request.header?.ID ?? request.ID)
    const { wait, figures } = this.#parts
    try {
      wait.resolve(id, this.#request(request, index))
      figures.applied(operationOf(request), true)
    } catch (error) {
      if (!(error instanceof EtcdError)) throw error
      wait.reject(id, error)
      // As etcd: what names a compacted revision was not refused.
      figures.applied(operationOf(request), error.code === 'compacted')
    }
  }

  #confChange(entry: Entry, isNew: boolean): void {
    const { applyConfChange, wait } = this.#parts
    const membership = isNew ? this.#parts.membership : this.#past
    const change = ConfChange.decode(entry.Data ?? Buffer.alloc(0))
    try {
      membership.check(change)
    } catch (error) {
      if (!(error instanceof EtcdError)) throw error
      applyConfChange({ ...change, node_id: 0n })
      wait.reject(change.id, error)
      return
    }
    applyConfChange(change)
    membership.apply(change)
    if (!isNew) return
    this.#parts.onConfChange(change)
    wait.resolve(change.id, { kind: 'members', members: membership.list() })
  }

  /** As in etcd, alarms refuse first: CORRUPT, then NOSPACE; then permissions, then the store. */
  #request(request: InternalRaftRequest, index: number): Outcome {
    const who = proposerOf(request)
    this.#checkAlarms(request)
    checkLogged(this.#parts, request, who)
    if (request.put) return this.#put(request.put)
    if (request.delete_range) return this.#deleteRange(request.delete_range)
    if (request.txn) return this.#txn(request.txn)
    if (request.compaction) return this.#compact(Number(request.compaction.revision))
    if (request.lease_grant) return this.#grant(request.lease_grant)
    if (request.lease_revoke) return this.#revoke(BigInt(request.lease_revoke.ID))
    if (request.alarm) return this.#alarm(request.alarm)
    if (request.lease_checkpoint) return this.#checkpointLeases(request.lease_checkpoint)
    const outcome = applyAuth(this.#parts.auth, request, { who, index })
    if (outcome !== undefined) return { ...outcome, revision: this.#parts.store.revision }
    if (request.cluster_version_set) {
      this.#parts.membership.agreedVersion = request.cluster_version_set.ver
    }
    if (request.downgrade_info_set) {
      const { enabled, ver } = request.downgrade_info_set
      this.#parts.membership.downgrade = { enabled, targetVersion: enabled ? ver : '' }
    }
    if (request.cluster_member_attr_set?.member_attributes) {
      const { member_ID, member_attributes: given } = request.cluster_member_attr_set
      this.#parts.membership.publish(BigInt(member_ID), {
        name: given.name,
        clientUrls: given.client_urls,
      })
    }
    return this.#done()
  }

  #put(request: PutRequest): Outcome {
    checkPut(this.#parts.store, request, this.#parts.lessor)
    return this.#write((txn) => putOp(txn, request))
  }

  #deleteRange(request: DeleteRangeRequest): Outcome {
    return this.#write((txn) => deleteOp(txn, request))
  }

  #write(operation: (txn: WriteTxn) => OpResult): Outcome {
    const txn = this.#parts.store.begin()
    const result = operation(txn)
    this.#end(txn)
    return { kind: 'operation', revision: this.#parts.store.revision, result }
  }

  #txn(request: TxnRequest): Outcome {
    const { store, lessor } = this.#parts
    const path = choosePath(store, request)
    checkPath(store, request, path, lessor)
    const txn = store.begin()
    const result = executePath(txn, request, path)
    this.#end(txn)
    return { kind: 'txn', revision: store.revision, result }
  }

  /** A key belongs to the lease of its latest put. Without leases there is nothing to tell. */
  #end(txn: WriteTxn): void {
    const { lessor } = this.#parts
    const changes = txn.end()
    if (lessor.size === 0) return
    for (const { key, lease, tombstone } of changes) lessor.attach(tombstone ? 0n : lease, key)
  }

  #compact(revision: number): Outcome {
    const { store, removeCompacted } = this.#parts
    store.compact(revision)
    return { kind: 'compaction', revision: store.revision, removed: removeCompacted() }
  }

  #grant(request: LeaseGrantRequest): Outcome {
    const { store, lessor, figures } = this.#parts
    const id = BigInt(request.ID)
    const { ttlSeconds } = lessor.grant(id, Number(request.TTL))
    figures.leaseGranted(ttlSeconds)
    return { kind: 'leaseGrant', revision: store.revision, id, ttlSeconds }
  }

  /** All keys of the lease go in one transaction, in key order: one revision. */
  #revoke(id: bigint): Outcome {
    this.#parts.lessor.revoke(id)
    this.#parts.figures.leasesRevoked.add()
    return this.#done()
  }

  /** As etcd: those before one that is gone are taken. */
  #checkpointLeases({ checkpoints }: LeaseCheckpointRequest): Outcome {
    for (const { ID, remaining_TTL } of checkpoints) {
      const remainingTtlSeconds = Number(remaining_TTL)
      this.#parts.lessor.checkpoint({ id: BigInt(ID), remainingTtlSeconds })
    }
    return this.#done()
  }

  #alarm(request: AlarmRequest): Outcome {
    const { alarms, store } = this.#parts
    const alarm = { memberId: BigInt(request.memberID), alarm: request.alarm }
    const changed =
      request.action === AlarmAction.GET
        ? alarms.list(request.alarm)
        : request.action === AlarmAction.ACTIVATE
          ? alarms.activate(alarm)
          : alarms.deactivate(alarm)
    return { kind: 'alarm', revision: store.revision, alarms: changed }
  }

  #checkAlarms(request: InternalRaftRequest): void {
    const { alarms } = this.#parts
    const { put, delete_range, txn, compaction, lease_grant, lease_revoke } = request
    if (put || delete_range || txn || compaction || lease_grant || lease_revoke) {
      if (alarms.isActive(AlarmType.CORRUPT)) throw new EtcdError('corrupt')
    }
    if (put || lease_grant || (txn && hasPut(txn))) {
      if (alarms.isActive(AlarmType.NOSPACE)) throw new EtcdError('noSpace')
    }
  }

  #done(): Outcome {
    return { kind: 'done', revision: this.#parts.store.revision }
  }
}

/** As etcd names it where it says how long applying takes. */
function operationOf(request: InternalRaftRequest): string {
  // The most frequent ones first.
  if (request.put) return 'Put'
  if (request.txn) return 'Txn'
  for (const [field, operation] of Object.entries(operations)) {
    if (request[field as keyof InternalRaftRequest] !== undefined) return operation
  }
  return 'Unknown'
}

const operations = {
  delete_range: 'DeleteRange',
  compaction: 'Compaction',
  lease_grant: 'LeaseGrant',
  lease_revoke: 'LeaseRevoke',
  lease_checkpoint: 'LeaseCheckpoint',
  alarm: 'Alarm',
  authenticate: 'Authenticate',
  auth_enable: 'AuthEnable',
  auth_disable: 'AuthDisable',
  auth_user_add: 'AuthUserAdd',
  auth_user_delete: 'AuthUserDelete',
  auth_user_change_password: 'AuthUserChangePassword',
  auth_user_grant_role: 'AuthUserGrantRole',
  auth_user_get: 'AuthUserGet',
  auth_user_revoke_role: 'AuthUserRevokeRole',
  auth_user_list: 'AuthUserList',
  auth_role_add: 'AuthRoleAdd',
  auth_role_grant_permission: 'AuthRoleGrantPermission',
  auth_role_get: 'AuthRoleGet',
  auth_role_revoke_permission: 'AuthRoleRevokePermission',
  auth_role_delete: 'AuthRoleDelete',
  auth_role_list: 'AuthRoleList',
  cluster_version_set: 'ClusterVersionSet',
  cluster_member_attr_set: 'ClusterMemberAttrSet',
  downgrade_info_set: 'DowngradeInfoSet',
} as const satisfies Partial<Record<keyof InternalRaftRequest, string>>

/** Undefined: whoever it was had not logged in. */
function proposerOf({ header }: InternalRaftRequest): Identity | undefined {
  const revision = Number(header?.auth_revision ?? 0)
  return revision === 0 ? undefined : { user: header?.username ?? '', revision }
}

function hasPut(request: TxnRequest): boolean {
  return [...request.success, ...request.failure].some(
    (op) =>
      op.request_put !== undefined || (op.request_txn !== undefined && hasPut(op.request_txn)),
  )
}
