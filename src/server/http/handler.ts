// handler.ts: plain HTTP on the client port: what health checks, Prometheus and people with curl
// ask, and the JSON gateway.
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Duplex } from 'node:stream'
import { clusterVersion, etcdVersion } from '../../api/version.js'
import { type Handler, peerOf } from '../../grpc/server.js'
import type { Clock } from '../../platform/clock.js'
import { requestOverheadBytes } from '../config.js'
import type { Metrics } from '../metrics/registry.js'
import type { ServiceParts } from '../rpc/parts.js'
import { type Admission, admission } from './access-control.js'
import { debugVars } from './debug-vars.js'
import { textBytesMax } from './gateway.js'
import { serveGateway } from './gateway-http.js'
import { isGatewayPath } from './gateway-paths.js'
import { serveWebSocket } from './gateway-websocket.js'
import { healthReply, isProbePath, type NoteCheck, probeReply } from './health.js'
import { json, type Reply, send, textError } from './reply.js'
import { isWebSocketUpgrade, type WebSocketConnection } from './websocket.js'

export interface HttpParts {
  service: ServiceParts
  /** The gRPC methods, for the gateway. */
  handlers: ReadonlyMap<string, Handler>
  metrics: Metrics
  /** Time of connections. */
  clock: Clock
  /** The WebSockets that are open. */
  connections: Set<WebSocketConnection>
  noteCheck: NoteCheck
  noteHealth(isGood: boolean): void
}

/** What clients may ask. */
export function handleHttp(
  parts: HttpParts,
  request: IncomingMessage,
  response: ServerResponse,
): void {
  guarded(parts, request, response, async (url) => {
    const { refusal, headers } = admissionOf(parts.service, request, url)
    for (const [name, value] of Object.entries(headers)) response.setHeader(name, value)
    const { config } = parts.service
    if (refusal !== undefined) send(response, refusal)
    else if (request.method === 'OPTIONS') send(response, { status: 200, body: '' })
    else if (isGatewayPath(url.pathname) && config.enableGrpcGateway) {
      const bodyBytesMax = textBytesMax(config.maxRequestBytes + requestOverheadBytes)
      await serveGateway({ ...parts, bodyBytesMax, pathname: url.pathname }, request, response)
    } else send(response, await reply(parts, url, request.method ?? 'GET'))
  })
}

/** Takes over what is to become a WebSocket of the gateway; all else is answered as it is asked. */
export function takeUpgrade(
  parts: HttpParts,
  request: IncomingMessage,
  socket: Duplex,
  head: Buffer,
): boolean {
  const url = urlOf(request)
  const { config, log } = parts.service
  if (url === undefined || !config.enableGrpcGateway || !isGatewayPath(url.pathname)) return false
  if (!isWebSocketUpgrade(request) || request.method === 'OPTIONS') return false
  const { refusal, headers } = admissionOf(parts.service, request, url)
  if (refusal !== undefined) return false
  const { address } = peerOf(request.socket)
  const bodyBytesMax = textBytesMax(config.maxRequestBytes + requestOverheadBytes)
  const gateway = { ...parts, log, address, headers, bodyBytesMax, pathname: url.pathname }
  serveWebSocket(gateway, request, socket, head).catch((error: Error) => {
    log.warn('websocket failed', { path: url.pathname, error: error.message })
    socket.destroy()
  })
  return true
}

/** Whatever goes wrong, the client hears of it. */
function guarded(
  { service }: HttpParts,
  request: IncomingMessage,
  response: ServerResponse,
  answer: (url: URL) => Promise<void>,
): void {
  const url = urlOf(request)
  if (url === undefined) {
    send(response, textError(400, 'malformed request target'))
    return
  }
  answer(url).catch((error: Error) => {
    service.log.warn('http request failed', { path: url.pathname, error: error.message })
    if (response.headersSent) response.destroy()
    else send(response, textError(500, error.message))
  })
}

/** Undefined for a target that is none, as in `GET //`. */
function urlOf({ url = '/' }: IncomingMessage): URL | undefined {
  try {
    return new URL(url, base)
  } catch {
    return undefined
  }
}

/** A target is a path as a rule; one that is a whole URL names the host, too. */
const base = 'http://localhost'

function admissionOf(
  { config, auth }: ServiceParts,
  { headers, socket, url = '/' }: IncomingMessage,
  { host, pathname }: URL,
): Admission {
  const { cors, hostWhitelist, clientCertAuth, enableGrpcGateway } = config
  const isCommonNameUser = clientCertAuth && enableGrpcGateway && auth.isEnabled
  const visit = {
    host: /^[a-z]+:/i.test(url) ? host : (headers.host ?? String(headers[':authority'] ?? '')),
    origin: headers.origin ?? '',
    isTls: 'encrypted' in socket,
    commonName: peerOf(socket).commonName ?? '',
    isGateway: isGatewayPath(pathname),
  }
  return admission({ cors, hostWhitelist, isCommonNameUser }, visit)
}

/** A port that knows nothing but how the member is; whoever may reach it may ask. */
export function handleMetrics(
  parts: HttpParts,
  request: IncomingMessage,
  response: ServerResponse,
): void {
  guarded(parts, request, response, async (url) => {
    const found = isProbePath(url.pathname) || metricsPaths.has(url.pathname)
    send(response, found ? await reply(parts, url, request.method ?? 'GET') : notFound)
  })
}

const metricsPaths: ReadonlySet<string> = new Set(['/metrics', '/health'])

async function reply(parts: HttpParts, url: URL, method: string): Promise<Reply> {
  const found = answerer(url.pathname)
  if (found === undefined) return notFound
  const isAnyMethod = url.pathname === '/metrics'
  if (method !== 'GET' && !isAnyMethod) return textError(405, 'Method Not Allowed')
  return (await found(parts, url)) ?? notFound
}

const notFound = textError(404, '404 page not found')

type Answer = (parts: HttpParts, url: URL) => Promise<Reply | undefined> | Reply

function answerer(pathname: string): Answer | undefined {
  if (isProbePath(pathname)) {
    return ({ service, noteCheck }, url) => probeReply(service, url, noteCheck)
  }
  return Object.hasOwn(answers, pathname) ? answers[pathname] : undefined
}

const answers: Readonly<Record<string, Answer>> = {
  '/health': async ({ service, noteHealth }, { searchParams }) => {
    const health = await healthReply(service, searchParams)
    noteHealth(health.status === 200)
    return health
  },
  '/version': ({ service }) => versionReply(service),
  '/metrics': ({ metrics }) => ({ status: 200, type: metricsType, body: metrics.text() }),
  '/debug/vars': ({ service }) => ({
    status: 200,
    type: 'application/json; charset=utf-8',
    body: debugVars(service),
  }),
}

const metricsType = 'text/plain; version=0.0.4; charset=utf-8'

function versionReply({ membership }: ServiceParts): Reply {
  const etcdcluster = membership.agreedVersion ?? clusterVersion
  const body = { etcdserver: etcdVersion, etcdcluster, storage: membership.storageVersion }
  return { status: 200, type: json, body: JSON.stringify(body) }
}
