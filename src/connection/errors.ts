// errors.ts: what a failed call becomes. A text that etcd names is an EtcdError, whatever code it
// came with; a call that ran out of time or was cancelled here is a ContextError with Go's words,
// which scripts match; everything else stays the RpcError that the transport threw.

/** The connection could not be made: no endpoints, bad TLS files, authentication refused. */
export class ConnectionError extends Error {
  /** 2 for a failed client, 128 for TLS settings that cannot be. */
  readonly exitCode: 2 | 128

  constructor(message: string, options?: ErrorOptions & { exitCode?: 2 | 128 }) {
    super(message, options)
    this.name = 'ConnectionError'
    this.exitCode = options?.exitCode ?? 2
  }
}

/** The caller's time ran out, or the caller cancelled. `cause` says what was in the way. */
export class ContextError extends Error {
  readonly code: 'deadlineExceeded' | 'canceled'

  constructor(code: 'deadlineExceeded' | 'canceled', options?: ErrorOptions) {
    super(code === 'canceled' ? 'context canceled' : 'context deadline exceeded', options)
    this.name = 'ContextError'
    this.code = code
  }
}
