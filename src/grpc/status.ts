// status.ts: how a gRPC call ends. Codes and their Go names (the spelling that etcd's tools
// print), the error that carries them, and what an HTTP answer without a gRPC status stands for.

export const Status = {
  ok: 0,
  canceled: 1,
  unknown: 2,
  invalidArgument: 3,
  deadlineExceeded: 4,
  notFound: 5,
  alreadyExists: 6,
  permissionDenied: 7,
  resourceExhausted: 8,
  failedPrecondition: 9,
  aborted: 10,
  outOfRange: 11,
  unimplemented: 12,
  internal: 13,
  unavailable: 14,
  dataLoss: 15,
  unauthenticated: 16,
} as const

export type StatusCode = (typeof Status)[keyof typeof Status]

const names = [
  'OK',
  'Canceled',
  'Unknown',
  'InvalidArgument',
  'DeadlineExceeded',
  'NotFound',
  'AlreadyExists',
  'PermissionDenied',
  'ResourceExhausted',
  'FailedPrecondition',
  'Aborted',
  'OutOfRange',
  'Unimplemented',
  'Internal',
  'Unavailable',
  'DataLoss',
  'Unauthenticated',
] as const

export function statusName(code: StatusCode): string {
  return names[code]
}

export function isStatusCode(value: unknown): value is StatusCode {
  return Number.isInteger(value) && (value as number) >= 0 && (value as number) <= 16
}

/** A call that ended with another status than OK. */
export class RpcError extends Error {
  override readonly name = 'RpcError'
  readonly code: StatusCode
  /** The status message as the peer gave it, without the decoration of `message`. */
  readonly details: string
  /** True only when it is certain that no handler saw the call, so that it may be sent again. */
  readonly unprocessed: boolean

  constructor(
    code: StatusCode,
    details: string,
    more: { unprocessed?: boolean; cause?: unknown } = {},
  ) {
    const cause = more.cause === undefined ? {} : { cause: more.cause }
    super(`rpc error: code = ${statusName(code)} desc = ${details}`, cause)
    this.code = code
    this.details = details
    this.unprocessed = more.unprocessed ?? false
  }
}

/** What an HTTP status means when the answer has no grpc-status (the table of the gRPC spec). */
export function statusOfHttp(http: number): StatusCode {
  switch (http) {
    case 400:
      return Status.internal
    case 401:
      return Status.unauthenticated
    case 403:
      return Status.permissionDenied
    case 404:
      return Status.unimplemented
    case 429:
    case 502:
    case 503:
    case 504:
      return Status.unavailable
    default:
      return Status.unknown
  }
}
