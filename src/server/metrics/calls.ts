// calls.ts: what calls come in and how they end, counted around every handler.
import { methods as schemas } from '../../api/gen/schema.js'
import { messageHeadBytes } from '../../grpc/frame.js'
import { type Handler, rpcErrorOf, type ServerStream } from '../../grpc/server.js'
import { Status, statusName } from '../../grpc/status.js'
import type { Clock } from '../../platform/clock.js'
import { streaming, streamWith, unary } from '../rpc/handlers.js'
import {
  callBuckets,
  exponential,
  Histogram,
  type Labels,
  type Metrics,
  type Sample,
} from './registry.js'

interface Method {
  readonly labels: Labels
  started: number
  received: number
  sent: number
  readonly handled: Map<string, number>
  readonly seconds: Histogram
  /** Of a method that has a family of its own, with longer steps. */
  readonly longSeconds: Histogram | undefined
}

export class CallMetrics {
  readonly #clock: Clock
  readonly #byPath = new Map<string, Method>()
  readonly #clients = new Map<string, number>()
  #receivedBytes = 0
  #sentBytes = 0

  constructor(metrics: Metrics, clock: Clock, { isExtensive }: { isExtensive: boolean }) {
    this.#clock = clock
    this.#register(metrics)
    this.#registerStore(metrics)
    if (isExtensive) {
      const help = 'Histogram of response latency (seconds) of gRPC handled by the server.'
      metrics.histograms('grpc_server_handling_seconds', help, () =>
        this.#all().map(({ labels, seconds }) => [labels, seconds] as const),
      )
    }
  }

  counted(path: string, handler: Handler): Handler {
    const method = newMethod(path)
    this.#byPath.set(path, method)
    return handler.kind === 'unary'
      ? this.#countedUnary(method, handler)
      : this.#countedStream(method, handler)
  }

  #countedUnary(method: Method, { handle }: Extract<Handler, { kind: 'unary' }>): Handler {
    return unary((request, call) => {
      const startedMs = this.#begin(method, call.metadata['client-api-version'])
      this.#noteReceived(method, request.length)
      const finish = (answer: Uint8Array): Uint8Array => {
        this.#noteSent(method, answer.length)
        this.#end(method, startedMs, 'OK')
        return answer
      }
      const fail = (thrown: unknown): never => {
        this.#end(method, startedMs, statusName(rpcErrorOf(thrown).code))
        throw thrown
      }
      try {
        const answer = handle(request, call)
        return answer instanceof Uint8Array ? finish(answer) : answer.then(finish, fail)
      } catch (thrown) {
        return fail(thrown)
      }
    })
  }

  #countedStream(method: Method, { handle }: Extract<Handler, { kind: 'stream' }>): Handler {
    return streaming(async (stream) => {
      const startedMs = this.#begin(method, stream.metadata['client-api-version'])
      try {
        await handle(this.#countedMessages(method, stream))
        this.#end(method, startedMs, 'OK')
      } catch (thrown) {
        this.#end(method, startedMs, statusName(rpcErrorOf(thrown).code))
        throw thrown
      }
    })
  }

  #countedMessages(method: Method, stream: ServerStream): ServerStream {
    const received = (bytes: number) => this.#noteReceived(method, bytes)
    const writeFramed = stream.writeFramed?.bind(stream)
    return streamWith(stream, {
      write: (...messages) => {
        for (const { length } of messages) this.#noteSent(method, length)
        return stream.write(...messages)
      },
      ...(writeFramed && {
        writeFramed: (messages) => {
          const { bytes, count } = messages
          method.sent += count
          this.#sentBytes += bytes.length - count * messageHeadBytes
          return writeFramed(messages)
        },
      }),
      async *[Symbol.asyncIterator]() {
        for await (const message of stream) {
          received(message.length)
          yield message
        }
      },
    })
  }

  #begin(method: Method, version = 'unknown'): number {
    method.started++
    const type = method.labels.grpc_type === 'unary' ? 'unary' : 'stream'
    const client = `${type} ${version}`
    this.#clients.set(client, (this.#clients.get(client) ?? 0) + 1)
    return this.#clock.now()
  }

  #end(method: Method, startedMs: number, code: string): void {
    method.handled.set(code, (method.handled.get(code) ?? 0) + 1)
    const seconds = (this.#clock.now() - startedMs) / 1000
    method.seconds.observe(seconds)
    method.longSeconds?.observe(seconds)
  }

  #noteReceived(method: Method, bytes: number): void {
    method.received++
    this.#receivedBytes += bytes
  }

  #noteSent(method: Method, bytes: number): void {
    method.sent++
    this.#sentBytes += bytes
  }

  #all(): Method[] {
    return [...this.#byPath.values()]
  }

  #register(metrics: Metrics): void {
    const counter = (name: string, help: string, look: () => number | Iterable<Sample>) =>
      metrics.read('counter', name, help, look)
    const each = (figure: (method: Method) => number) => () =>
      this.#all().map((method): Sample => [method.labels, figure(method)])
    counter(
      'grpc_server_started_total',
      'Total number of RPCs started on the server.',
      each(({ started }) => started),
    )
    counter(
      'grpc_server_msg_received_total',
      'Total number of RPC stream messages received on the server.',
      each(({ received }) => received),
    )
    counter(
      'grpc_server_msg_sent_total',
      'Total number of gRPC stream messages sent by the server.',
      each(({ sent }) => sent),
    )
    counter(
      'grpc_server_handled_total',
      'Total number of RPCs completed on the server, regardless of success or failure.',
      () => this.#all().flatMap(handledSamples),
    )
    counter(
      'etcd_network_client_grpc_received_bytes_total',
      'The total number of bytes received from grpc clients.',
      () => this.#receivedBytes,
    )
    counter(
      'etcd_network_client_grpc_sent_bytes_total',
      'The total number of bytes sent to grpc clients.',
      () => this.#sentBytes,
    )
    counter(
      'etcd_server_client_requests_total',
      'The total number of client requests per client version.',
      () => [...this.#clients].map(clientSample),
    )
  }

  /** What methods say about the store and its leases. */
  #registerStore(metrics: Metrics): void {
    const counter = (name: string, help: string, look: () => number) =>
      metrics.read('counter', name, help, look)
    const calls = (...paths: string[]) => this.#successes(paths)
    counter('etcd_mvcc_range_total', 'Total number of ranges seen by this member.', () =>
      calls('/etcdserverpb.KV/Range', '/etcdserverpb.KV/RangeStream'),
    )
    counter('etcd_mvcc_txn_total', 'Total number of txns seen by this member.', () =>
      calls('/etcdserverpb.KV/Txn'),
    )
    counter('etcd_server_learner_promote_successes', 'The number of promoted learners.', () =>
      calls('/etcdserverpb.Cluster/MemberPromote'),
    )
    metrics.read(
      'gauge',
      'etcd_debugging_mvcc_watch_stream_total',
      'Total number of watch streams.',
      () => this.#underWay('/etcdserverpb.Watch/Watch'),
    )
    for (const [path, { name, help }] of Object.entries(longMethods)) {
      metrics.histograms(name, help, () => {
        const seconds = this.#byPath.get(path)?.longSeconds
        return seconds === undefined ? [] : [[{}, seconds]]
      })
    }
    counter('etcd_debugging_lease_renewed_total', 'The number of renewed leases.', () =>
      sum(['/etcdserverpb.Lease/LeaseKeepAlive'].map((path) => this.#byPath.get(path)?.sent)),
    )
  }

  #underWay(path: string): number {
    const method = this.#byPath.get(path)
    return (method?.started ?? 0) - sum([...(method?.handled.values() ?? [])])
  }

  #successes(paths: readonly string[]): number {
    return sum(paths.map((path) => this.#byPath.get(path)?.handled.get('OK')))
  }
}

/** Methods that may take long, and how many steps etcd has for them, the first one of 10 ms. */
const longMethods: Readonly<Record<string, { name: string; help: string; steps: number }>> = {
  '/etcdserverpb.Maintenance/Hash': {
    name: 'etcd_mvcc_hash_duration_seconds',
    help: 'The latency distribution of hashes of the database.',
    steps: 15,
  },
  '/etcdserverpb.Maintenance/HashKV': {
    name: 'etcd_mvcc_hash_rev_duration_seconds',
    help: 'The latency distribution of hashes of a revision.',
    steps: 15,
  },
  '/etcdserverpb.Maintenance/Snapshot': {
    name: 'etcd_disk_backend_snapshot_duration_seconds',
    help: 'The latency distribution of sending the database to clients.',
    steps: 17,
  },
}

function newMethod(path: string): Method {
  const [, service = '', name = ''] = path.split('/')
  const labels = {
    grpc_method: name,
    grpc_service: service,
    grpc_type: schemas[path]?.kind ?? (name === 'Watch' ? 'server_stream' : 'unary'),
  }
  const steps = longMethods[path]?.steps
  return {
    labels,
    started: 0,
    received: 0,
    sent: 0,
    handled: new Map(),
    seconds: new Histogram(callBuckets),
    longSeconds: steps === undefined ? undefined : new Histogram(exponential(0.01, steps)),
  }
}

/** A method that was never called has a zero for OK, so that its rate can be asked for. */
function handledSamples({ labels, handled }: Method): Sample[] {
  const counts = new Map([[statusName(Status.ok), 0], ...handled])
  return [...counts].map(([grpc_code, count]) => [{ grpc_code, ...labels }, count])
}

function clientSample([client, count]: readonly [string, number]): Sample {
  const [type = '', ...version] = client.split(' ')
  return [{ client_api_version: version.join(' '), type }, count]
}

const sum = (values: readonly (number | undefined)[]): number =>
  values.reduce((total: number, value) => total + (value ?? 0), 0)
