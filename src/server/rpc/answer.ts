// answer.ts: outcomes of key-value operations as encoded answers.
import type { RangeRequest } from '../../api/gen/rpc.js'
import type { RangeResult } from '../range.js'
import type { OpResult, TxnResult } from '../txn.js'
import { operationHeader } from './header.js'
import {
  deleteRangeResponse,
  fieldSize,
  keyOnly,
  putResponse,
  rangeResponse,
  writeField,
  writeNumber,
} from './wire.js'

export function rangeAnswer(
  header: Uint8Array | undefined,
  request: Pick<RangeRequest, 'keys_only'>,
  { items, more, count }: RangeResult,
): Buffer {
  return rangeResponse(header, { kvs: request.keys_only ? items.map(keyOnly) : items, more, count })
}

/** The answer of one operation; `header` stands in front of it. */
export function operationAnswer(header: Uint8Array, result: OpResult): Buffer {
  switch (result.kind) {
    case 'range':
      return rangeAnswer(header, result.request, result.result)
    case 'put':
      return putResponse(header, result.prev)
    case 'deleteRange':
      return deleteRangeResponse(header, result.deleted, result.prevs)
    case 'txn':
      return txnAnswer(header, result.result)
  }
}

/** TxnResponse{1 header, 2 succeeded, 3 responses}. */
export function txnAnswer(header: Uint8Array, { succeeded, responses }: TxnResult): Buffer {
  const ops = responses.map(responseOp)
  let size = fieldSize(header.length) + (succeeded ? 2 : 0)
  for (const op of ops) size += fieldSize(op.length)
  const out = Buffer.allocUnsafe(size)
  let at = writeNumber(out, writeField(out, 0, 0x0a, header), 0x10, succeeded ? 1 : 0)
  for (const op of ops) at = writeField(out, at, 0x1a, op)
  return out
}

/** Tags of ResponseOp's oneof: range 1, put 2, delete_range 3, txn 4. */
const opTags = { range: 0x0a, put: 0x12, deleteRange: 0x1a, txn: 0x22 } as const

function responseOp(result: OpResult): Buffer {
  // A nested transaction has an empty header, every other operation one with a revision.
  const header = result.kind === 'txn' ? Buffer.alloc(0) : operationHeader(result.revision)
  const answer = operationAnswer(header, result)
  const out = Buffer.allocUnsafe(fieldSize(answer.length))
  writeField(out, 0, opTags[result.kind], answer)
  return out
}

/** About how large the answer will be: its pairs, which are what makes answers large. */
export function rangeBytes({ items }: RangeResult): number {
  return items.reduce((sum, { size }) => sum + size, 0)
}

/** The same of a transaction: its ranges, at any depth. */
export function txnBytes({ responses }: TxnResult): number {
  return responses.reduce((sum, result) => {
    if (result.kind === 'range') return sum + rangeBytes(result.result)
    return result.kind === 'txn' ? sum + txnBytes(result.result) : sum
  }, 0)
}
