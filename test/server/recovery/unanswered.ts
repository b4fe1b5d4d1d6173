// unanswered.ts: how a call may end when the server goes away under it, and in no other way.
import { EtcdError } from '../../../src/api/rpc-errors.js'
import { ContextError } from '../../../src/connection/errors.js'
import { RpcError } from '../../../src/grpc/status.js'

export const isUnanswered = (error: unknown): boolean =>
  error instanceof RpcError || error instanceof EtcdError || error instanceof ContextError
