// handler.ts: plain HTTP on the client port: what health checks, Prometheus and people with curl
// ask, and the JSON gateway.
import type { IncomingMessage, ServerResponse } from 'node:http'
import { clusterVersion, etcdVersion } from '../../api/version.js'
import type { Handler } from '../../grpc/server.js'
import { requestOverheadBytes } from '../config.js'
import type { Metrics } from '../metrics.js'
import type { ServiceParts } from '../rpc/parts.js'
import { debugVars } from './debug-vars.js'
import { isGatewayPath, serveGateway } from './gateway.js'
import { healthReply, isProbePath, type NoteCheck, probeReply } from './health.js'
import { json, type Reply } from './reply.js'

export interface HttpParts {
  service: ServiceParts
  /** The gRPC methods, for the gateway. */
  handlers: ReadonlyMap<string, Handler>
  metrics: Metrics
  noteCheck: NoteCheck
  noteHealth(isGood: boolean): void
}

export function handleHttp(
  parts: HttpParts,
  request: IncomingMessage,
  response: ServerResponse,
): void {
  for (const [name, value] of corsHeaders) response.setHeader(name, value)
  const url = urlOf(request)
  if (url === undefined) {
    response.writeHead(400).end('malformed request target\n')
    return
  }
  const { config, log } = parts.service
  if (isGatewayPath(url.pathname) && config.enableGrpcGateway && request.method !== 'OPTIONS') {
    const receiveMaxBytes = config.maxRequestBytes + requestOverheadBytes
    const gateway = { ...parts, receiveMaxBytes, pathname: url.pathname }
    serveGateway(gateway, request, response).catch((error: Error) => {
      log.warn('gateway request failed', { path: url.pathname, error: error.message })
      response.destroy()
    })
    return
  }
  reply(parts, url, request.method ?? 'GET').then(
    ({ status, body, type }) => {
      if (type !== undefined) response.setHeader('Content-Type', type)
      if (status === 405) response.setHeader('Allow', 'GET')
      response.writeHead(status).end(body)
    },
    (error: Error) => response.writeHead(500).end(`${error.message}\n`),
  )
}

/** Undefined for a target that is none, as in `GET //`. */
function urlOf({ url = '/' }: IncomingMessage): URL | undefined {
  try {
    return new URL(url, 'http://localhost')
  } catch {
    return undefined
  }
}

const corsHeaders = [
  ['Access-Control-Allow-Methods', 'POST, GET, OPTIONS, PUT, DELETE'],
  ['Access-Control-Allow-Origin', '*'],
  ['Access-Control-Allow-Headers', 'accept, content-type, authorization'],
] as const

async function reply(parts: HttpParts, url: URL, method: string): Promise<Reply> {
  if (method === 'OPTIONS') return { status: 200, body: '' }
  const answer = answerer(url.pathname)
  if (answer === undefined) return notFound
  if (method !== 'GET') return { status: 405, body: 'Method Not Allowed\n' }
  return (await answer(parts, url)) ?? notFound
}

const notFound: Reply = { status: 404, body: '404 page not found\n' }

type Answer = (parts: HttpParts, url: URL) => Promise<Reply | undefined> | Reply

function answerer(pathname: string): Answer | undefined {
  if (isProbePath(pathname)) {
    return ({ service, noteCheck }, url) => probeReply(service, url, noteCheck)
  }
  return Object.hasOwn(answers, pathname) ? answers[pathname] : undefined
}

const answers: Readonly<Record<string, Answer>> = {
  '/health': async ({ service, noteHealth }, { searchParams }) => {
    const answer = await healthReply(service, searchParams)
    noteHealth(answer.status === 200)
    return answer
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
  const body = { etcdserver: etcdVersion, etcdcluster, storage: clusterVersion }
  return { status: 200, type: json, body: JSON.stringify(body) }
}
