// errors.ts: what a failed call becomes. A text that etcd names is an EtcdError, whatever code it
// came with; a call that ran out of time or was cancelled here is a ContextError with Go's words,
// which scripts match; everything else stays the RpcError that the transport threw.
import { EtcdError, etcdErrorCode } from '../api/rpc-errors.js'
import { RpcError, Status } from '../grpc/status.js'

/** The connection could not be made: no endpoints, bad TLS files, authentication refused. */
export class ConnectionError extends Error {
  override readonly name = 'ConnectionError'
  /** 2 for a failed client, 128 for TLS settings that cannot be. */
  readonly exitCode: 2 | 128

  constructor(message: string, options?: ErrorOptions & { exitCode?: 2 | 128 }) {
    super(message, options)
    this.exitCode = options?.exitCode ?? 2
  }
}

/** The caller's time ran out, or the caller cancelled. `cause` says what was in the way. */
export class ContextError extends Error {
  override readonly name = 'ContextError'
  readonly code: 'deadlineExceeded' | 'canceled'

  constructor(code: 'deadlineExceeded' | 'canceled', options?: ErrorOptions) {
    super(code === 'canceled' ? 'context canceled' : 'context deadline exceeded', options)
    this.code = code
  }
}

/** What of the caller's own doing may have ended the call. */
export interface CallEnd {
  deadlineOver: boolean
  aborted: boolean
  /** Why no endpoint could be reached. */
  lastConnectError: Error | undefined
}

/** The error to show for `error`, as a Go client would name it. */
export function callError(error: unknown, end: CallEnd): unknown {
  if (!(error instanceof RpcError)) return error
  // Two texts are not known to Go's client, which therefore prints them in the long form.
  const code = etcdErrorCode(error.details)
  if (code !== undefined && !unknownToGo.has(code)) return new EtcdError(code, { cause: error })
  if (error.code === Status.canceled && end.aborted) {
    return new ContextError('canceled', { cause: error })
  }
  if (error.code === Status.deadlineExceeded && end.deadlineOver) {
    return new ContextError('deadlineExceeded', { cause: end.lastConnectError ?? error })
  }
  return error
}

const unknownToGo: ReadonlySet<string> = new Set(['permissionNotGiven', 'timeoutWaitAppliedIndex'])

/** Whether a call ended because the server does not take the token that was sent. */
export function isTokenRefused(error: unknown): boolean {
  return error instanceof RpcError && tokenRefusals.has(etcdErrorCode(error.details) ?? '')
}

const tokenRefusals: ReadonlySet<string> = new Set([
  'invalidAuthToken',
  'authOldRevision',
  'userEmpty',
])
