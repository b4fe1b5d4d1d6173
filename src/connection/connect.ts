// connect.ts: makes a connection. No socket is dialled by it unless there is a user to
// authenticate: the first call does, and waits for one endpoint to answer until its own deadline.
// What only some commands need (TLS files, tokens, streams, the messages of each service) is
// loaded when it is used.
import {
  AuthClient,
  ClusterClient,
  type ICallable,
  KVClient,
  LeaseClient,
  MaintenanceClient,
} from 'etcd3/lib/rpc.js'
import { type Channel, openChannel } from '../grpc/channel.js'
import { methodPath, newCallable } from './callable.js'
import { type Calls, newCalls } from './calls.js'
import type { Connection, ConnectOptions, ConnectParts, Watch } from './connection.js'
import { isTlsSet, parseEndpoints } from './endpoints.js'
import { ConnectionError } from './errors.js'

export type * from './connection.js'

/** Fails with a ConnectionError where etcdctl exits before its first call. */
export async function connect(options: ConnectOptions, parts: ConnectParts): Promise<Connection> {
  const channel = await channelOf(options, parts)
  const { user } = options
  const token = options.token || undefined
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
    const sent = `send limit (${sendMaxBytes} bytes)`
    throw new ConnectionError(
      `gRPC message recv limit (${receiveMaxBytes} bytes) must be greater than ${sent}`,
    )
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
  return {
    ...serviceClients(callable),
    async rangeRaw(request, options) {
      const { codecs } = await import('./codecs-kv.js')
      const bytes = codecs.range.request.encode(codecs.range.request.fromPartial(request)).finish()
      return calls.unary(methodPath('KV', 'range'), bytes, 'read', options)
    },
    async *rangeStream(range, options) {
      const { rangePieces } = await import('./range-stream.js')
      yield* rangePieces(calls, { range, endpointCount }, options)
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
    async close() {
      calls.close()
      await channel?.close()
    },
  }
}

type Services = Pick<Connection, 'kv' | 'lease' | 'cluster' | 'maintenance' | 'auth'>

function serviceClients(callable: ICallable<never>): Services {
  const clients: unknown = {
    kv: new KVClient(callable),
    lease: new LeaseClient(callable),
    cluster: new ClusterClient(callable),
    maintenance: new MaintenanceClient(callable),
    auth: new AuthClient(callable),
  }
  // clients.ts has the types that these clients have on our callable, and says why.
  return clients as Services
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
