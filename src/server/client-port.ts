// client-port.ts: where clients come in: gRPC, plain HTTP and the JSON gateway on each of
// --listen-client-urls, or gRPC alone where --listen-client-http-urls names places for the rest.
import { createServer, type Server as HttpServer } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { type GrpcServer, type Handler, newGrpcServer, type ServerTls } from '../grpc/server.js'
import type { Clock } from '../platform/clock.js'
import { CallMetrics } from './call-metrics.js'
import { ConfigError, listenAddress, requestOverheadBytes } from './config.js'
import { type HttpParts, handleHttp } from './http/handler.js'
import { registerMember } from './member-metrics.js'
import type { Metrics, Sample } from './metrics.js'
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
  readonly #httpServers: HttpServer[] = []
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
    this.#http = { service, handlers, metrics, ...healthMetrics(metrics) }
    const isHttpApart = config.listenClientHttpUrls.length > 0
    this.#grpc = newGrpcServer({
      handlers,
      ...(!isHttpApart && {
        http1: (request, response) => handleHttp(this.#http, request, response),
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
    const { config } = this.#service
    const endpoints: string[] = []
    for (const url of config.listenClientUrls) {
      const { at, isTls } = listenAddress(url)
      const { port } = await this.#grpc.listen(isTls ? { ...at, tls: needed(tls, url) } : at)
      endpoints.push('port' in at && at.port === 0 ? url.replace(/:0\/?$/, `:${port}`) : url)
    }
    for (const url of config.listenClientHttpUrls) await this.#listenHttp(url, tls)
    if (this.#isBackground) this.#grpc.unref()
    return endpoints
  }

  /** Breaks every connection; clients may come again at once. */
  dropConnections(): void {
    this.#grpc.cutConnections()
    for (const server of this.#httpServers) server.closeAllConnections()
  }

  async close(): Promise<void> {
    await Promise.all([this.#grpc.close(this.#stopGraceMs), ...this.#httpServers.map(closeHttp)])
  }

  async #listenHttp(url: string, tls: ServerTls | undefined): Promise<void> {
    const { at, isTls } = listenAddress(url)
    const handle = handleHttp.bind(undefined, this.#http)
    const server = isTls
      ? createTlsServer(tlsOptions(needed(tls, url)), handle)
      : createServer(handle)
    this.#httpServers.push(server)
    const where = 'path' in at ? { path: at.path } : { host: at.host, port: at.port }
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject)
      server.listen(where, () => {
        server.off('error', reject)
        resolve()
      })
    })
    const address = server.address() as AddressInfo | string | null
    const port = typeof address === 'object' ? (address?.port ?? 0) : 0
    this.#service.log.info('serving http', { url, port })
  }
}

function closeHttp(server: HttpServer): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve())
    server.closeAllConnections()
  })
}

function tlsOptions({ cert, key, ca, requireClientCert = false }: ServerTls) {
  const authority = ca === undefined ? {} : { ca, requestCert: true }
  return { cert, key, ...authority, rejectUnauthorized: requireClientCert }
}

function needed(tls: ServerTls | undefined, url: string): ServerTls {
  if (tls !== undefined) return tls
  throw new ConfigError(
    `--listen-client-urls: TLS needs --cert-file and --key-file, or --auto-tls: ${url}`,
  )
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
