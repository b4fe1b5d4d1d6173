// client-port.ts: where clients come in: gRPC, plain HTTP and the JSON gateway on each of
// --listen-client-urls, or gRPC alone where --listen-client-http-urls names places for the rest;
// and Prometheus, on --listen-metrics-urls.
import {
  type GrpcServer,
  type Handler,
  newGrpcServer,
  type OpenCounts,
  type ServerTls,
} from '../grpc/server.js'
import type { Clock } from '../platform/clock.js'
import { ConfigError, listenAddress, requestOverheadBytes } from './config.js'
import { type HttpParts, handleHttp, handleMetrics, takeUpgrade } from './http/handler.js'
import { type HttpListener, type HttpService, listenHttp } from './http/http-listener.js'
import type { WebSocketConnection } from './http/websocket.js'
import { CloseCode } from './http/websocket-frame.js'
import { CallMetrics } from './metrics/calls.js'
import { registerMember } from './metrics/member.js'
import type { Metrics, Sample } from './metrics/registry.js'
import type { ServiceParts } from './rpc/parts.js'
import { services } from './rpc/services.js'

/** What a program that embeds the server puts around it. */
export interface Surroundings {
  /** Stands in front of the handler of each method. */
  wrap?(path: string, handler: Handler): Handler
  /** Time of connections and deadlines, when it is not the member's. */
  networkClock?: Clock
  /** How long calls under way may take to end when the server stops. */
  stopGraceMs?: number
  /** In the place of the files that the configuration names. */
  tls?: ServerTls
  /** Gives up the start: a member may wait for a leader for ever. */
  signal?: AbortSignal
  /** The port does not keep the process alive. */
  isBackground?: boolean
}

const stopGraceMsDefault = 500

/** Pings of clients and of the server: etcd's figures. */
const keepalive = {
  minTimeMs: 5_000,
  permitWithoutStream: false,
  timeMs: 2 * 60 * 60 * 1000,
  timeoutMs: 20_000,
}

export class ClientPort {
  /** The methods as they are, without what was put around them. */
  readonly methods: ReadonlyMap<string, Handler>
  readonly #service: ServiceParts
  readonly #isBackground: boolean
  readonly #grpc: GrpcServer
  readonly #http: HttpParts
  readonly #httpListeners: HttpListener[] = []
  readonly #stopGraceMs: number

  constructor(service: ServiceParts, metrics: Metrics, around: Surroundings) {
    const { config, log } = service
    const clock = around.networkClock ?? service.clock
    const isExtensive = config.metrics === 'extensive'
    const calls = new CallMetrics(metrics, service.clock, { isExtensive })
    registerMember(metrics, service)
    const { wrap = (_path, handler) => handler } = around
    this.methods = services(service)
    const handlers = new Map(
      [...this.methods].map(([path, handler]) => {
        return [path, calls.counted(path, wrap(path, handler))] as const
      }),
    )
    this.#service = service
    this.#isBackground = around.isBackground ?? false
    this.#stopGraceMs = around.stopGraceMs ?? stopGraceMsDefault
    const connections = new Set<WebSocketConnection>()
    this.#http = { service, handlers, metrics, clock, connections, ...healthMetrics(metrics) }
    const isHttpApart = config.listenClientHttpUrls.length > 0
    this.#grpc = newGrpcServer({
      handlers,
      ...(!isHttpApart && {
        http1: (request, response) => handleHttp(this.#http, request, response),
        upgrade: (request, socket, head) => takeUpgrade(this.#http, request, socket, head),
      }),
      receiveMaxBytes: config.maxRequestBytes + requestOverheadBytes,
      maxConcurrentStreams: config.maxConcurrentStreams,
      keepalive,
      log,
      clock,
    })
  }

  /** The URLs listened on. Port 0 takes a free port; the URL returned names it. */
  async listen(tls: ServerTls | undefined): Promise<string[]> {
    const { listenClientUrls, listenClientHttpUrls, listenMetricsUrls } = this.#service.config
    const endpoints: string[] = []
    for (const url of listenClientUrls) {
      const flag = '--listen-client-urls'
      const { at, isTls } = listenAddress(url)
      const where = isTls ? { ...at, tls: needed(tls, `${flag}: TLS`, url) } : at
      const { port } = await named(flag, this.#grpc.listen(where))
      endpoints.push('port' in at && at.port === 0 ? url.replace(/:0\/?$/, `:${port}`) : url)
    }
    for (const url of listenClientHttpUrls) {
      await this.#listenHttp('--listen-client-http-urls', url, tls, {
        onRequest: handleHttp.bind(undefined, this.#http),
        onUpgrade: takeUpgrade.bind(undefined, this.#http),
      })
    }
    for (const url of listenMetricsUrls) {
      await this.#listenHttp('--listen-metrics-urls', url, tls, {
        onRequest: handleMetrics.bind(undefined, this.#http),
      })
    }
    if (this.#isBackground) {
      for (const listener of [this.#grpc, ...this.#httpListeners]) listener.unref()
    }
    return endpoints
  }

  get open(): OpenCounts {
    return this.#grpc.open
  }

  /** Breaks every connection; clients may come again at once. */
  dropConnections(): void {
    this.#grpc.cutConnections()
    for (const listener of this.#httpListeners) listener.cut()
  }

  async close(): Promise<void> {
    for (const each of this.#http.connections) each.close(CloseCode.goingAway, 'server stops')
    const closing = this.#httpListeners.map((listener) => listener.close())
    await Promise.all([this.#grpc.close(this.#stopGraceMs), ...closing])
  }

  async #listenHttp(
    flag: string,
    url: string,
    tls: ServerTls | undefined,
    service: Omit<HttpService, 'log'>,
  ): Promise<void> {
    const { log } = this.#service
    const { at, isTls } = listenAddress(url)
    const pair = isTls ? needed(tls, `${flag}: TLS`, url) : undefined
    const listener = await named(flag, listenHttp(at, pair, { ...service, log }))
    this.#httpListeners.push(listener)
    log.info('serving http', { flag, url, port: listener.port })
  }
}

/** A port that is taken is a mistake in the flag. @throws ConfigError */
async function named<T>(flag: string, listening: Promise<T>): Promise<T> {
  try {
    return await listening
  } catch (error) {
    throw new ConfigError(`${flag}: ${(error as Error).message}`, { cause: error })
  }
}

function needed(tls: ServerTls | undefined, what: string, url: string): ServerTls {
  if (tls !== undefined) return tls
  throw new ConfigError(`${what} needs --cert-file and --key-file, or --auto-tls: ${url}`)
}

/** What the health checks gave last, and how often they gave what. */
function healthMetrics(metrics: Metrics): Pick<HttpParts, 'noteCheck' | 'noteHealth'> {
  const good = metrics.counter('etcd_server_health_success', 'The number of successful healths.')
  const bad = metrics.counter('etcd_server_health_failures', 'The number of failed healths.')

  const last = new Map<string, Sample>()
  const counts = new Map<string, Sample>()
  const help = 'The result of each kind of healthcheck.'
  metrics.read('gauge', 'etcd_server_healthcheck', help, () => last.values())
  const helpOfCounts = 'The total number of each kind of healthcheck.'
  metrics.read('counter', 'etcd_server_healthchecks_total', helpOfCounts, () => counts.values())
  const noteCheck: HttpParts['noteCheck'] = ({ type, name, isGood }) => {
    const status = isGood ? 'success' : 'error'
    const key = `${type} ${name} ${status}`
    last.set(`${type} ${name}`, [{ type, name }, Number(isGood)])
    counts.set(key, [{ type, name, status }, (counts.get(key)?.[1] ?? 0) + 1])
  }
  return { noteCheck, noteHealth: (isGood) => (isGood ? good : bad).add() }
}
