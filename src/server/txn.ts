// txn.ts: what a TxnRequest does to the store. Three steps, each for the whole transaction before
// the next begins: checkTxn refuses what is malformed whatever the state; choosePath evaluates
// every compare, nested ones too, against the state before; then either all chosen operations
// can run, or none does.
import {
  type Compare,
  type DeleteRangeRequest,
  type PutRequest,
  type RangeRequest,
  type RequestOp,
  Compare_CompareResult as Result,
  Compare_CompareTarget as Target,
  type TxnRequest,
} from '../api/gen/rpc.js'
import { EtcdError } from '../api/rpc-errors.js'
import type { Stored } from '../mvcc/key-index.js'
import type { WriteTxn } from '../mvcc/write-txn.js'
import { executeRange, type RangeResult, type Reader, rangeEnd } from './range.js'

/** What one executed operation gives; the tree has the shape of the TxnResponse. */
export type OpResult =
  | { kind: 'range'; request: RangeRequest; revision: number; result: RangeResult }
  | { kind: 'put'; revision: number; prev: Stored | undefined }
  | { kind: 'deleteRange'; revision: number; deleted: number; prevs: Stored[] }
  | { kind: 'txn'; result: TxnResult }

export interface TxnResult {
  succeeded: boolean
  responses: OpResult[]
}

/** The branches chosen by the compares: one for each transaction, outer before inner. */
export interface Path {
  succeeded: boolean
  /** For each operation of the chosen branch: the path of a nested transaction, else undefined. */
  nested: (Path | undefined)[]
}

/** What operations need to know besides the store. */
export interface Leases {
  has(id: bigint): boolean
}

/** No operation of either branch writes, and none is a transaction. */
export function isReadOnly(request: TxnRequest): boolean {
  const ranges = (ops: readonly RequestOp[]) => ops.every((op) => op.request_range !== undefined)
  return ranges(request.success) && ranges(request.failure)
}

/** Every range may be answered locally; true of a transaction without operations. */
export function isSerializable(request: TxnRequest): boolean {
  const local = (ops: readonly RequestOp[]) =>
    ops.every((op) => op.request_range === undefined || op.request_range.serializable)
  return local(request.success) && local(request.failure)
}

export function choosePath(reader: Reader, request: TxnRequest): Path {
  const succeeded = request.compare.every((compare) => holds(reader, compare))
  const ops = succeeded ? request.success : request.failure
  const nested = ops.map((op) => (op.request_txn ? choosePath(reader, op.request_txn) : undefined))
  return { succeeded, nested }
}

/**
 * Checks the operations that will run against the state; nothing has run yet. As in etcd all puts
 * come before all ranges, so that of several errors the same one is reported.
 * @throws EtcdError
 */
export function checkPath(
  reader: Reader & { revision: number; compactRevision: number },
  request: TxnRequest,
  path: Path,
  leases: Leases,
): void {
  const ops = [...chosenOps(request, path)]
  for (const { request_put: put } of ops) {
    if (put === undefined) continue
    checkIgnored(reader, put)
    checkLease(put, leases)
  }
  for (const { request_range: range } of ops) if (range) checkRevision(reader, range)
}

/** All operations on the path, those of nested transactions in the place of the transaction. */
function* chosenOps(request: TxnRequest, path: Path): Generator<RequestOp> {
  const ops = path.succeeded ? request.success : request.failure
  for (const [index, op] of ops.entries()) {
    const nested = path.nested[index]
    if (op.request_txn && nested) yield* chosenOps(op.request_txn, nested)
    else yield op
  }
}

/** Runs a checked path in order. A range after a put of the same transaction sees it. */
export function executePath(txn: WriteTxn, request: TxnRequest, path: Path): TxnResult {
  const ops = path.succeeded ? request.success : request.failure
  const responses = ops.map((op, index): OpResult => {
    if (op.request_range) return rangeOp(txn, op.request_range)
    if (op.request_put) return putOp(txn, op.request_put)
    if (op.request_delete_range) return deleteOp(txn, op.request_delete_range)
    const nested = path.nested[index]
    if (op.request_txn === undefined || nested === undefined) throw new EtcdError('keyNotFound')
    return { kind: 'txn', result: executePath(txn, op.request_txn, nested) }
  })
  return { succeeded: path.succeeded, responses }
}

/** Runs a read-only transaction on the store itself. */
export function executeReads(
  reader: Reader & { revision: number },
  request: TxnRequest,
  path: Path,
): TxnResult {
  const ops = path.succeeded ? request.success : request.failure
  const responses = ops.map((op): OpResult => {
    if (op.request_range === undefined) throw new EtcdError('keyNotFound')
    return rangeOp(reader, op.request_range)
  })
  return { succeeded: path.succeeded, responses }
}

/**
 * A put that is a transaction of its own. etcd looks for the lease first here, and last in a
 * transaction.
 * @throws EtcdError leaseNotFound, keyNotFound
 */
export function checkPut(reader: Reader, request: PutRequest, leases: Leases): void {
  checkLease(request, leases)
  checkIgnored(reader, request)
}

function checkLease(request: PutRequest, leases: Leases): void {
  const lease = BigInt(request.lease)
  if (lease !== 0n && !leases.has(lease)) throw new EtcdError('leaseNotFound')
}

/** ignore_value and ignore_lease keep what the key has; the key must exist then. */
function checkIgnored(reader: Reader, request: PutRequest): void {
  if (!request.ignore_value && !request.ignore_lease) return
  if (current(reader, request.key) === undefined) throw new EtcdError('keyNotFound')
}

export function putOp(txn: WriteTxn, request: PutRequest): OpResult {
  const needsPrev = request.prev_kv || request.ignore_value || request.ignore_lease
  const prev = needsPrev ? current(txn, request.key) : undefined
  const value = request.ignore_value && prev ? prev.value : request.value
  const lease = request.ignore_lease && prev ? prev.lease : BigInt(request.lease)
  txn.put(request.key, value, lease)
  return { kind: 'put', revision: txn.revision, prev: request.prev_kv ? prev : undefined }
}

export function deleteOp(txn: WriteTxn, request: DeleteRangeRequest): OpResult {
  const deleted = txn.deleteRange(request.key, rangeEnd(request.range_end))
  return {
    kind: 'deleteRange',
    revision: txn.revision,
    deleted: deleted.length,
    prevs: request.prev_kv ? deleted : [],
  }
}

function rangeOp(reader: Reader & { revision: number }, request: RangeRequest): OpResult {
  const result = executeRange(reader, request)
  return { kind: 'range', request, revision: reader.revision, result }
}

function current(reader: Reader, key: Buffer): Stored | undefined {
  return reader.range(key, undefined, {}).items[0]
}

/** Unlike a plain range, a negative revision below the compact revision is an error here. */
function checkRevision(
  store: { revision: number; compactRevision: number },
  request: RangeRequest,
): void {
  const revision = Number(request.revision)
  if (revision === 0) return
  if (revision > store.revision) throw new EtcdError('futureRevision')
  if (revision < store.compactRevision) throw new EtcdError('compacted')
}

/** A compare holds when it holds for every key of its interval; no key counts as an absent key. */
function holds(reader: Reader, compare: Compare): boolean {
  const { items } = reader.range(compare.key, rangeEnd(compare.range_end), {})
  if (items.length > 0) return items.every((item) => holdsFor(item, compare))
  return compare.target !== Target.VALUE && holdsFor(absent, compare)
}

const absent = {
  version: 0,
  createRevision: 0,
  main: 0,
  lease: 0n,
  value: Buffer.alloc(0),
} as const

type Compared = Pick<Stored, 'version' | 'createRevision' | 'main' | 'lease' | 'value'>

function holdsFor(item: Compared, compare: Compare): boolean {
  const sign = difference(item, compare)
  switch (compare.result) {
    case Result.EQUAL:
      return sign === 0
    case Result.NOT_EQUAL:
      return sign !== 0
    case Result.GREATER:
      return sign > 0
    case Result.LESS:
      return sign < 0
    default:
      return true
  }
}

/** Below, at or above 0, as the item's side is smaller, equal or greater. */
function difference(item: Compared, compare: Compare): number {
  switch (compare.target) {
    case Target.VERSION:
      return item.version - Number(compare.version ?? '0')
    case Target.CREATE:
      return item.createRevision - Number(compare.create_revision ?? '0')
    case Target.MOD:
      return item.main - Number(compare.mod_revision ?? '0')
    case Target.VALUE:
      return Buffer.compare(item.value, compare.value ?? absent.value)
    case Target.LEASE: {
      const lease = BigInt(compare.lease ?? '0')
      return item.lease === lease ? 0 : item.lease < lease ? -1 : 1
    }
    default:
      return 0
  }
}
