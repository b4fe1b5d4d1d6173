// codecs-kv.ts: the messages of the KV service.
import {
  CompactionRequest,
  CompactionResponse,
  Compare_CompareResult,
  Compare_CompareTarget,
  DeleteRangeRequest,
  DeleteRangeResponse,
  PutRequest,
  PutResponse,
  RangeRequest,
  RangeRequest_SortOrder,
  RangeRequest_SortTarget,
  RangeResponse,
  TxnRequest,
  TxnResponse,
} from '../api/gen/rpc.js'
import type { ServiceCodecs } from './codecs.js'

const rangeEnums = { sort_order: RangeRequest_SortOrder, sort_target: RangeRequest_SortTarget }

export const codecs = {
  range: { request: RangeRequest, response: RangeResponse, repetition: 'read', enums: rangeEnums },
  put: { request: PutRequest, response: PutResponse, repetition: 'once' },
  deleteRange: { request: DeleteRangeRequest, response: DeleteRangeResponse, repetition: 'once' },
  txn: {
    request: TxnRequest,
    response: TxnResponse,
    repetition: 'once',
    enums: { ...rangeEnums, result: Compare_CompareResult, target: Compare_CompareTarget },
  },
  compact: { request: CompactionRequest, response: CompactionResponse, repetition: 'once' },
} satisfies ServiceCodecs
