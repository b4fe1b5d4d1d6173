// kv.ts: the KV service: reads from the local store once it is known to be fresh, writes through
// the log.
import {
  CompactionRequest,
  CompactionResponse,
  DeleteRangeRequest,
  PutRequest,
  RangeRequest,
  TxnRequest,
} from '../../api/gen/rpc.js'
import { EtcdError } from '../../api/rpc-errors.js'
import type { ServerCall, ServerStream } from '../../grpc/server.js'
import type { Outcome } from '../apply.js'
import { checkRead, checkTxn } from '../permission.js'
import { requestField } from '../proposer.js'
import { putCost, txnCost } from '../quota.js'
import { checkRange, executeRange } from '../range.js'
import { checkPath, choosePath, executeReads, isReadOnly, isSerializable } from '../txn.js'
import { operationAnswer, rangeAnswer, rangeBytes, txnAnswer, txnBytes } from './answer.js'
import { checkDeleteRequest, checkPutRequest, checkTxnRequest } from './checks.js'
import { type MethodTable, service, streaming, unary } from './handlers.js'
import type { ServiceParts } from './parts.js'
import { rangeChunks } from './range-stream.js'
import { fieldSize, writeField } from './wire.js'

export function kvService(parts: ServiceParts): MethodTable {
  return service('etcdserverpb.KV', {
    Range: unary((data, call) => range(parts, RangeRequest.decode(data), call)),
    RangeStream: streaming((stream) => rangeStream(parts, stream)),
    Put: unary((data, call) => put(parts, data, call)),
    DeleteRange: unary((data, call) => deleteRange(parts, data, call)),
    Txn: unary((data, call) => txn(parts, data, call)),
    Compact: unary((data, call) => compact(parts, data, call)),
  })
}

async function range(
  parts: ServiceParts,
  request: RangeRequest,
  call: ServerCall,
): Promise<Buffer> {
  checkRange(request)
  if (!request.serializable) {
    if (parts.isLearner()) throw new EtcdError('notSupportedForLearner')
    await parts.node.linearizable()
  }
  checkRead(parts, request, await parts.access.identify(call))
  const result = executeRange(parts.store, request)
  const header = parts.headers.encoded(parts.store.revision)
  // What was found are references; the answer is a copy of all of it.
  const waits = request.keys_only ? undefined : call.roomFor?.(rangeBytes(result))
  if (waits !== undefined) await waits
  return rangeAnswer(header, request, result)
}

async function rangeStream(parts: ServiceParts, stream: ServerStream): Promise<void> {
  for await (const data of stream) {
    const request = RangeRequest.decode(data)
    checkRange(request)
    const chunks = rangeChunks(parts.store, request, parts.config.maxRequestBytes)
    if (!request.serializable) await parts.node.linearizable()
    const who = await parts.access.identify(stream)
    checkRead(parts, request, who)
    for (const { result, isLast } of chunks) {
      const header = isLast ? parts.headers.encoded(parts.store.revision) : undefined
      await stream.write(streamResponse(rangeAnswer(header, request, result)))
    }
    // What was sent last may have been closed to the user meanwhile.
    if (who !== undefined && who.revision !== parts.auth.revision) {
      throw new EtcdError('authOldRevision')
    }
    return
  }
}

/** RangeStreamResponse{1 range_response}. */
function streamResponse(answer: Uint8Array): Buffer {
  const out = Buffer.allocUnsafe(fieldSize(answer.length))
  writeField(out, 0, 0x0a, answer)
  return out
}

async function put(parts: ServiceParts, data: Buffer, call: ServerCall): Promise<Buffer> {
  const request = PutRequest.decode(data)
  // Most calls have nothing to wait for, and then do not: an await is a part of a call's price.
  const room = parts.quotaCheck(putCost(request))
  if (room !== undefined) await room
  checkPutRequest(request)
  const identity = parts.access.identify(call)
  const who = identity instanceof Promise ? await identity : identity
  return operation(
    parts,
    await parts.proposer.propose(requestField.put, data, { who, caller: call }),
  )
}

async function deleteRange(parts: ServiceParts, data: Buffer, call: ServerCall): Promise<Buffer> {
  checkDeleteRequest(DeleteRangeRequest.decode(data))
  const who = await parts.access.identify(call)
  return operation(
    parts,
    await parts.proposer.propose(requestField.deleteRange, data, { who, caller: call }),
  )
}

function operation(parts: ServiceParts, outcome: Outcome): Buffer {
  if (outcome.kind !== 'operation') throw new Error(`${outcome.kind} is no outcome of a write`)
  return operationAnswer(parts.headers.encoded(outcome.revision), outcome.result)
}

async function txn(parts: ServiceParts, data: Buffer, call: ServerCall): Promise<Buffer> {
  const request = TxnRequest.decode(data)
  const room = parts.quotaCheck(txnCost(request))
  if (room !== undefined) await room
  checkTxnRequest(request, parts.config.maxTxnOps)
  if (isReadOnly(request)) return readOnlyTxn(parts, request, call)
  const identity = parts.access.identify(call)
  const who = identity instanceof Promise ? await identity : identity
  const outcome = await parts.proposer.propose(requestField.txn, data, { who, caller: call })
  if (outcome.kind !== 'txn') throw new Error(`${outcome.kind} is no outcome of a txn`)
  const waits = call.roomFor?.(txnBytes(outcome.result))
  if (waits !== undefined) await waits
  return txnAnswer(parts.headers.encoded(outcome.revision), outcome.result)
}

async function readOnlyTxn(
  parts: ServiceParts,
  request: TxnRequest,
  call: ServerCall,
): Promise<Buffer> {
  const { store, node, headers } = parts
  if (!isSerializable(request)) await node.linearizable()
  checkTxn(parts, request, await parts.access.identify(call))
  const path = choosePath(store, request)
  checkPath(store, request, path, parts.lessor)
  const result = executeReads(store, request, path)
  const header = headers.encoded(store.revision)
  const waits = call.roomFor?.(txnBytes(result))
  if (waits !== undefined) await waits
  return txnAnswer(header, result)
}

async function compact(parts: ServiceParts, data: Buffer, call: ServerCall): Promise<Uint8Array> {
  const { physical } = CompactionRequest.decode(data)
  const who = await parts.access.identify(call)
  const outcome = await parts.proposer.propose(requestField.compaction, data, { who, caller: call })
  if (outcome.kind !== 'compaction') throw new EtcdError('compacted')
  if (physical) await outcome.removed
  return CompactionResponse.encode({ header: parts.headers.message(outcome.revision) }).finish()
}
