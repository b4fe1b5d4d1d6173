// quota.ts: how large the database is, and whether a request still fits. Costs are etcd's rough
// figures. The size is that of the file a checkpoint would make; like a real one it only grows,
// and gives freed pages back when it is defragmented.
import {
  AlarmRequest_AlarmAction as AlarmAction,
  AlarmRequest,
  AlarmType,
  type LeaseGrantRequest,
  type PutRequest,
  type RequestOp,
  type TxnRequest,
} from '../api/gen/rpc.js'
import { EtcdError } from '../api/rpc-errors.js'
import { defaultQuotaBytes, type ServerConfig } from './config.js'
import { type Proposer, requestField } from './proposer.js'

const putOverheadBytes = 256
const leaseOverheadBytes = 64
const pageBytes = 4096
/** Two metas, the root and a first leaf: what an empty database takes, and one page to spare. */
const emptyPages = 5
/** Part of a page that keys and values fill when etcd writes it. */
const pageFill = 0.9

export class DatabaseSize {
  #allocatedBytes = emptyPages * pageBytes
  readonly #itemBytes: () => number

  /** `itemBytes`: what keys and values of all buckets take now. */
  constructor(itemBytes: () => number) {
    this.#itemBytes = itemBytes
  }

  get inUseBytes(): number {
    return (emptyPages + Math.floor(this.#itemBytes() / pageFill / pageBytes)) * pageBytes
  }

  get allocatedBytes(): number {
    this.#allocatedBytes = Math.max(this.#allocatedBytes, this.inUseBytes)
    return this.#allocatedBytes
  }

  defragment(): void {
    this.#allocatedBytes = this.inUseBytes
  }
}

export class Quota {
  readonly #limitBytes: number
  readonly #size: DatabaseSize

  /** `limitBytes` below 0: no limit. */
  constructor(limitBytes: number, size: DatabaseSize) {
    this.#limitBytes = limitBytes
    this.#size = size
  }

  /** A request that costs nothing always fits. */
  hasRoomFor(costBytes: number): boolean {
    if (costBytes === 0 || this.#limitBytes < 0) return true
    return this.#size.allocatedBytes + costBytes < this.#limitBytes
  }
}

/** Undefined: there is room. @throws EtcdError noSpace, once the alarm is raised */
export type QuotaCheck = (costBytes: number) => Promise<void> | undefined

/** A request without room raises the alarm for this member, then is refused. */
export function quotaCheck(
  config: ServerConfig,
  parts: { size: DatabaseSize; proposer: Proposer; memberId: bigint },
): QuotaCheck {
  const quota = new Quota(config.quotaBackendBytes || defaultQuotaBytes, parts.size)
  const alarm = AlarmRequest.encode({
    action: AlarmAction.ACTIVATE,
    memberID: parts.memberId.toString(),
    alarm: AlarmType.NOSPACE,
  }).finish()
  return (costBytes) => {
    if (quota.hasRoomFor(costBytes)) return undefined
    return parts.proposer.propose(requestField.alarm, alarm).then(() => {
      throw new EtcdError('noSpace')
    })
  }
}

export function putCost(request: Pick<PutRequest, 'key' | 'value'>): number {
  return putOverheadBytes + request.key.length + request.value.length
}

/** The dearer branch; only puts cost anything. */
export function txnCost(request: TxnRequest): number {
  return Math.max(operationsCost(request.success), operationsCost(request.failure))
}

export function leaseGrantCost(_: LeaseGrantRequest): number {
  return leaseOverheadBytes
}

function operationsCost(ops: readonly RequestOp[]): number {
  let sum = 0
  for (const op of ops) {
    if (op.request_put) sum += putCost(op.request_put)
    if (op.request_txn) sum += txnCost(op.request_txn)
  }
  return sum
}
