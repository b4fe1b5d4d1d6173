// checks.ts: what a request must satisfy before it may enter the log, whatever the state. Texts
// and order are etcd's; a refused request has changed nothing.
import type { DeleteRangeRequest, PutRequest, RequestOp, TxnRequest } from '../../api/gen/rpc.js'
import { EtcdError } from '../../api/rpc-errors.js'
import { checkRange } from '../range.js'

/** @throws EtcdError emptyKey, valueProvided, leaseProvided */
export function checkPutRequest(request: PutRequest): void {
  if (request.key.length === 0) throw new EtcdError('emptyKey')
  if (request.ignore_value && request.value.length > 0) throw new EtcdError('valueProvided')
  if (request.ignore_lease && request.lease !== '0') throw new EtcdError('leaseProvided')
}

/** @throws EtcdError emptyKey */
export function checkDeleteRequest(request: DeleteRangeRequest): void {
  if (request.key.length === 0) throw new EtcdError('emptyKey')
}

/**
 * @param opsMax operations a list may hold; what one level uses its nested ones cannot
 * @throws EtcdError tooManyOps, emptyKey, duplicateKey and those of the operations
 */
export function checkTxnRequest(request: TxnRequest, opsMax: number): void {
  checkOperations(request, opsMax)
  changedKeys(request.success)
  changedKeys(request.failure)
}

function checkOperations(request: TxnRequest, opsMax: number): void {
  const { compare, success, failure } = request
  const used = Math.max(compare.length, success.length, failure.length)
  if (used > opsMax) throw new EtcdError('tooManyOps')
  for (const { key } of compare) if (key.length === 0) throw new EtcdError('emptyKey')
  for (const op of success) checkOperation(op, opsMax - used)
  for (const op of failure) checkOperation(op, opsMax - used)
}

function checkOperation(op: RequestOp, opsMax: number): void {
  if (op.request_range) checkRange(op.request_range)
  else if (op.request_put) checkPutRequest(op.request_put)
  else if (op.request_delete_range) checkDeleteRequest(op.request_delete_range)
  else if (op.request_txn) checkOperations(op.request_txn, opsMax)
  else throw new EtcdError('keyNotFound')
}

/** Keys that a list of operations puts, and intervals that it deletes. */
interface Changes {
  puts: Set<string>
  deletes: Interval[]
}

/** Bytes as latin1 text, so that comparison is by unsigned byte. `end` undefined: one key. */
interface Interval {
  begin: string
  end: string | undefined
}

/**
 * No key may be put twice, or put and deleted, in one run of a transaction. The two branches of
 * a nested transaction exclude each other, so they may touch the same keys. An open-ended delete
 * (`\0`) covers nothing here, as in etcd.
 * @throws EtcdError duplicateKey
 */
function changedKeys(ops: readonly RequestOp[]): Changes {
  const puts = new Set<string>()
  const deletes: Interval[] = ops.flatMap((op) =>
    op.request_delete_range ? [interval(op.request_delete_range)] : [],
  )
  const claim = (key: string) => {
    if (puts.has(key) || deletes.some((each) => covers(each, key))) {
      throw new EtcdError('duplicateKey')
    }
  }
  for (const { request_txn: nested } of ops) {
    if (nested === undefined) continue
    const success = changedKeys(nested.success)
    const failure = changedKeys(nested.failure)
    const both = new Set([...success.puts, ...failure.puts])
    for (const key of both) claim(key)
    for (const key of both) puts.add(key)
    deletes.push(...success.deletes, ...failure.deletes)
  }
  for (const { request_put: put } of ops) {
    if (put === undefined) continue
    const key = put.key.toString('latin1')
    claim(key)
    puts.add(key)
  }
  return { puts, deletes }
}

function interval(request: DeleteRangeRequest): Interval {
  const end = request.range_end.length > 0 ? request.range_end.toString('latin1') : undefined
  return { begin: request.key.toString('latin1'), end }
}

function covers({ begin, end }: Interval, key: string): boolean {
  return end === undefined ? key === begin : begin <= key && key < end
}
