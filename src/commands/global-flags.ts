// global-flags.ts: the flags that every command takes, as data: what they are called, what they
// hold, what they mean. Parser, environment, `options` and --debug all read this one list.

export interface GlobalOptions {
  readonly endpoints: readonly string[]
  readonly writeOut: string
  readonly tableStyle: string
  readonly color: string
  readonly hex: boolean
  readonly debug: boolean
  readonly dialTimeoutMs: number
  readonly commandTimeoutMs: number
  /** --command-timeout or its variable was given: snapshot save has no deadline otherwise. */
  readonly commandTimeoutGiven: boolean
  readonly keepaliveTimeMs: number
  readonly keepaliveTimeoutMs: number
  readonly maxRequestBytes: number
  readonly maxRecvBytes: number
  readonly insecureTransport: boolean
  readonly insecureDiscovery: boolean
  readonly insecureSkipTlsVerify: boolean
  readonly cert: string | undefined // undefined: not given; empty is an error later
  readonly key: string | undefined
  readonly cacert: string | undefined
  readonly user: string
  readonly password: string
  readonly authJwtToken: string
  readonly discoverySrv: string
  readonly discoverySrvName: string
}
