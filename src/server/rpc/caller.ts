// caller.ts: how one service of a member uses another, for a client: through the same handlers that
// the client itself would reach, with the client's own token, so that it may do neither more nor
// less than it could do alone.
import {
  type DeepPartial,
  DeleteRangeRequest,
  DeleteRangeResponse,
  LeaseGrantRequest,
  LeaseGrantResponse,
  type MessageFns,
  RangeRequest,
  RangeResponse,
  TxnRequest,
  TxnResponse,
} from '../../api/gen/rpc.js'
import { type Handler, rpcErrorOf, type ServerCall } from '../../grpc/server.js'
import { RpcError, Status } from '../../grpc/status.js'

export interface Caller {
  range(request: DeepPartial<RangeRequest>): Promise<RangeResponse>
  deleteRange(request: DeepPartial<DeleteRangeRequest>): Promise<DeleteRangeResponse>
  txn(request: DeepPartial<TxnRequest>): Promise<TxnResponse>
  leaseGrant(request: DeepPartial<LeaseGrantRequest>): Promise<LeaseGrantResponse>
}

export type Methods = ReadonlyMap<string, Handler>

/** Speaks for the client of `call`. */
export function callerFor(methods: Methods, call: ServerCall): Caller {
  const method =
    <Request, Response>(
      path: string,
      request: MessageFns<Request>,
      response: MessageFns<Response>,
    ) =>
    async (fields: DeepPartial<Request>): Promise<Response> => {
      const handler = methods.get(path)
      if (handler?.kind !== 'unary') throw new Error(`${path} is no unary method`)
      const bytes = Buffer.from(request.encode(request.fromPartial(fields)).finish())
      const answer = await handler.handle(bytes, { ...borrowed(call), path })
      return response.decode(Buffer.from(answer))
    }
  return {
    range: method('/etcdserverpb.KV/Range', RangeRequest, RangeResponse),
    deleteRange: method('/etcdserverpb.KV/DeleteRange', DeleteRangeRequest, DeleteRangeResponse),
    txn: method('/etcdserverpb.KV/Txn', TxnRequest, TxnResponse),
    leaseGrant: method('/etcdserverpb.Lease/LeaseGrant', LeaseGrantRequest, LeaseGrantResponse),
  }
}

/** A call's fields are looked up when asked for, so they cannot be spread. */
const borrowed = ({ metadata, signal, peer }: ServerCall) => ({ metadata, signal, peer })

/** These services are clients of the others, and pass on what they hear as a text of no code. */
export async function asUnknown<T>(answer: Promise<T>): Promise<T> {
  try {
    return await answer
  } catch (thrown) {
    throw new RpcError(Status.unknown, rpcErrorOf(thrown).details, { cause: thrown })
  }
}
