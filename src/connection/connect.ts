// connect.ts: one connection to a cluster, as commands see it: the services, the streams, and
// nothing of endpoints, TLS, tokens or retries. connect() dials no socket by itself: the first
// call does, and waits for one endpoint to answer until its own deadline. What only some commands
// need (TLS files, tokens, streams, the messages of each service) is loaded when it is used.
import {
  AuthClient as EtcdAuthClient,
  ClusterClient as EtcdClusterClient,
  LeaseClient as EtcdLeaseClient,
  MaintenanceClient as EtcdMaintenanceClient,
  KVClient,
} from 'etcd3/lib/rpc.js'
import type {
  DeepPartial,
  LeaseKeepAliveResponse,
  RangeRequest,
  SnapshotResponse,
  WatchCreateRequest,
  WatchResponse,
} from '../api/gen/rpc.js'
import { type Channel, openChannel } from '../grpc/channel.js'
import type { Clock } from '../platform/clock.js'
import type { Random } from '../platform/random.js'
import { methodPath, newCallable } from './callable.js'
import { type Calls, newCalls } from './calls.js'
import type {
  AuthClient,
  CallOptions,
  ClusterClient,
  KvClient,
  LeaseClient,
  MaintenanceClient,
} from './clients.js'
import { isTlsSet, parseEndpoints } from './endpoints.js'
import { ConnectionError } from './errors.js'

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
  watch(create: WatchCreate, options?: { signal?: AbortSignal | undefined }): Watch
  /** Renews a lease now and then every third of its TTL; each answer is yielded, see lease-keeper.ts. */
  keepAlive(leaseId: string, options?: KeepAliveOptions): AsyncIterable<LeaseKeepAliveResponse>
  snapshot(options?: CallOptions): AsyncIterable<SnapshotResponse>
  /** Why no endpoint could be reached, for a person. */
  readonly lastConnectError: Error | undefined
  close(): Promise<void>
}

export interface KeepAliveOptions {
  signal?: AbortSignal | undefined
  /** One request, one answer, and the error if there is none. */
  once?: boolean | undefined
}

/** Fails with a ConnectionError where etcdctl exits before its first call. */
export async function connect(options: ConnectOptions, parts: ConnectParts): Promise<Connection> {
  const channel = await channelOf(options, parts)
  const { user, token } = options
  const calls = newCalls({
    ...channel,
    clock: parts.clock,
    random: parts.random,
    signal: parts.signal,
    token,
    // An empty password is no password: etcdctl then goes on as nobody.
    user: token === undefined && user?.name && user.password ? user : undefined,
    dialTimeoutMs: options.dialTimeoutMs,
  })
  const connection = newConnection(calls, channel, options)
  try {
    await calls.login()
  } catch (error) {
    await connection.close()
    throw new ConnectionError((error as Error).message, { cause: error })
  }
  return connection
}

interface OpenedChannel {
  channel: Channel | undefined
  problems: readonly string[]
  endpointCount: number
}

async function channelOf(options: ConnectOptions, parts: ConnectParts): Promise<OpenedChannel> {
  const { tls } = options
  // Read even where the scheme then says http: a bad file is a mistake either way.
  const isSet = isTlsSet(tls)
  const files = isSet ? await (await import('./tls.js')).readTls(tls) : {}
  const { addresses, secure, problems } = parseEndpoints(options.endpoints, tls)
  const sendMaxBytes = options.maxSendBytes || sendMaxBytesDefault
  const receiveMaxBytes = options.maxReceiveBytes || receiveMaxBytesDefault
  if (options.maxSendBytes > 0 && options.maxReceiveBytes > 0 && sendMaxBytes > receiveMaxBytes) {
    const limits = `(${receiveMaxBytes} bytes) must be greater than send limit (${sendMaxBytes} bytes)`
    throw new ConnectionError(`gRPC message recv limit ${limits}`)
  }
  const found = { problems, endpointCount: addresses.length }
  if (addresses.length === 0) return { channel: undefined, ...found }
  const { keepaliveTimeMs, keepaliveTimeoutMs } = options
  const channel = openChannel({
    addresses,
    ...(secure && { tls: files }),
    sendMaxBytes,
    receiveMaxBytes,
    keepaliveTimeMs: keepaliveTimeMs > 0 ? Math.max(keepaliveTimeMs, keepaliveTimeMsMin) : 0,
    keepaliveTimeoutMs,
    clock: parts.clock,
    random: parts.random,
  })
  return { channel, ...found }
}

const sendMaxBytesDefault = 2 * 1024 * 1024
const receiveMaxBytesDefault = 2 ** 31 - 1

/** Servers take more frequent pings for an attack; Go's transport raises shorter times, too. */
const keepaliveTimeMsMin = 10_000

function newConnection(
  calls: Calls,
  { channel, endpointCount }: OpenedChannel,
  { dialTimeoutMs }: ConnectOptions,
): Connection {
  const callable = newCallable(calls)
  // clients.ts has the types that these clients have on our callable, and says why.
  return {
    kv: new KVClient(callable) as unknown as KvClient,
    lease: new EtcdLeaseClient(callable) as unknown as LeaseClient,
    cluster: new EtcdClusterClient(callable) as unknown as ClusterClient,
    maintenance: new EtcdMaintenanceClient(callable) as unknown as MaintenanceClient,
    auth: new EtcdAuthClient(callable) as unknown as AuthClient,
    async rangeRaw(request, options) {
      const { codecs } = await import('./codecs-kv.js')
      const bytes = codecs.range.request.encode(codecs.range.request.fromPartial(request)).finish()
      return calls.unary(methodPath('KV', 'range'), bytes, 'read', options)
    },
    watch: (create, options) =>
      lateWatch(async () => (await import('./watch-stream.js')).newWatch(calls, create, options)),
    async *keepAlive(leaseId, { signal, once } = {}) {
      const { keptAlive, renewedOnce } = await import('./lease-keeper.js')
      if (once) yield await renewedOnce(calls, leaseId, signal)
      else yield* keptAlive(calls, leaseId, { signal, dialTimeoutMs })
    },
    async *snapshot(options) {
      const { snapshotPieces } = await import('./snapshot-stream.js')
      yield* snapshotPieces(calls, endpointCount, options)
    },
    get lastConnectError() {
      return channel?.lastConnectError
    },
    close: async () => channel?.close(),
  }
}

/** A watch whose code is loaded when it is first iterated. */
function lateWatch(load: () => Promise<Watch>): Watch {
  let loading: Promise<Watch> | undefined
  const watch = () => {
    loading ??= load()
    return loading
  }
  return {
    async *[Symbol.asyncIterator]() {
      yield* await watch()
    },
    requestProgress: async () => (await watch()).requestProgress(),
  }
}
