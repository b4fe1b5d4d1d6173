// connection.ts: a connection to a cluster as commands see it: the services, the streams, and
// nothing of endpoints, TLS, tokens or retries; and what it takes to make one.
import type {
  DeepPartial,
  LeaseKeepAliveResponse,
  RangeRequest,
  SnapshotResponse,
  WatchCreateRequest,
  WatchResponse,
} from '../api/gen/rpc.js'
import type { Clock } from '../platform/clock.js'
import type { Random } from '../platform/random.js'
import type {
  AuthClient,
  CallOptions,
  ClusterClient,
  KvClient,
  LeaseClient,
  MaintenanceClient,
} from './clients.js'

export interface ConnectOptions {
  /** As typed: host:port, or a URL of scheme http, https, unix or unixs. At least one. */
  endpoints: readonly string[]
  /** Bounds the authentication and nothing else; 0: no bound. */
  dialTimeoutMs: number
  /** Ping interval while a call is under way; raised to 10 s; 0: no pings. */
  keepaliveTimeMs: number
  keepaliveTimeoutMs: number
  /** 0: 2 MiB. */
  maxSendBytes: number
  /** 0: 2147483647. */
  maxReceiveBytes: number
  tls: TlsSettings
  user?: { name: string; password: string } | undefined
  /** A ready-made token; `user` is then ignored. */
  token?: string | undefined
}

/** PEM file names as given; undefined: the flag was not given. */
export interface TlsSettings {
  cert?: string | undefined
  key?: string | undefined
  cacert?: string | undefined
  insecureSkipVerify: boolean
  /** False: TLS even for an endpoint without scheme. */
  insecureTransport: boolean
  /** The name to check in the server's certificate instead of the endpoint's host. */
  serverName?: string | undefined
}

export interface ConnectParts {
  clock: Clock
  random: Random
  /** Aborts every call and stream of the connection. */
  signal?: AbortSignal | undefined
}

export type WatchCreate = Partial<Omit<WatchCreateRequest, 'watch_id'>> & { key: Buffer }

/**
 * The answers of one watch, in order, none lost and none twice, whatever happens to the
 * connection. Answers are: created (the first, once), events, progress (no events). A cancel by
 * the server is the last answer, `canceled` set, and ends the iteration.
 */
export interface Watch extends AsyncIterable<WatchResponse> {
  /** Asks the server for a progress answer; resolves when the request was handed over. */
  requestProgress(): Promise<void>
}

export interface Connection {
  readonly kv: KvClient
  readonly lease: LeaseClient
  readonly cluster: ClusterClient
  readonly maintenance: MaintenanceClient
  readonly auth: AuthClient
  /** The undecoded RangeResponse, for answers too large to decode at once. */
  rangeRaw(request: DeepPartial<RangeRequest>, options?: CallOptions): Promise<Buffer>
  /**
   * The same in pieces, as they come. Each is an undecoded RangeResponse; all of them one after the
   * other are one, too. Servers know it from 3.7 on.
   */
  rangeStream(request: DeepPartial<RangeRequest>, options?: CallOptions): AsyncIterable<Buffer>
  watch(create: WatchCreate, options?: { signal?: AbortSignal | undefined }): Watch
  /** Renews a lease now and then every third of its TTL, and yields each answer. */
  keepAlive(leaseId: string, options?: KeepAliveOptions): AsyncIterable<LeaseKeepAliveResponse>
  snapshot(options?: CallOptions): AsyncIterable<SnapshotResponse>
  /** Why no endpoint could be reached, for a person. */
  readonly lastConnectError: Error | undefined
  /**
   * Ends all that is under way, at once: calls and snapshots with an error, watches and renewals
   * as if there were nothing more to come.
   */
  close(): Promise<void>
}

export interface KeepAliveOptions {
  signal?: AbortSignal | undefined
  /** One request, one answer, and the error if there is none. */
  once?: boolean | undefined
}
