// handler.ts: plain HTTP on the client port: what health checks and people with curl ask.
import type { IncomingMessage, ServerResponse } from 'node:http'
import { AlarmType } from '../../api/gen/rpc.js'
import { clusterVersion, etcdVersion } from '../../api/version.js'
import type { ServiceParts } from '../rpc/parts.js'

/** The text is a message for a machine or a person; what it is says `type`. */
interface Reply {
  status: number
  body: string
  type?: string
}

export function handleHttp(
  parts: ServiceParts,
  request: IncomingMessage,
  response: ServerResponse,
): void {
  for (const [name, value] of corsHeaders) response.setHeader(name, value)
  reply(parts, request).then(
    ({ status, body, type }) => {
      if (type !== undefined) response.setHeader('Content-Type', type)
      if (status === 405) response.setHeader('Allow', 'GET')
      response.writeHead(status).end(body)
    },
    (error: Error) => response.writeHead(500).end(`${error.message}\n`),
  )
}

const corsHeaders = [
  ['Access-Control-Allow-Methods', 'POST, GET, OPTIONS, PUT, DELETE'],
  ['Access-Control-Allow-Origin', '*'],
  ['Access-Control-Allow-Headers', 'accept, content-type, authorization'],
] as const

async function reply(parts: ServiceParts, { url, method }: IncomingMessage): Promise<Reply> {
  const { pathname, searchParams } = new URL(url ?? '/', 'http://localhost')
  if (method === 'OPTIONS') return { status: 200, body: '' }
  if (pathname !== '/health' && pathname !== '/version') {
    return { status: 404, body: '404 page not found\n' }
  }
  if (method !== 'GET') return { status: 405, body: 'Method Not Allowed\n' }
  return pathname === '/version' ? versionReply(parts) : healthReply(parts, searchParams)
}

const json = 'application/json'

function versionReply({ membership }: ServiceParts): Reply {
  const etcdcluster = membership.agreedVersion ?? clusterVersion
  const body = { etcdserver: etcdVersion, etcdcluster, storage: clusterVersion }
  return { status: 200, type: json, body: JSON.stringify(body) }
}

async function healthReply(parts: ServiceParts, options: URLSearchParams): Promise<Reply> {
  const reason = await sickness(parts, options)
  if (reason === '') return { status: 200, type: json, body: '{"health":"true","reason":""}' }
  const body = `{"health":"false","reason":${JSON.stringify(reason)}}\n`
  return { status: 503, type: json, body }
}

/** Why the member is not healthy, in etcd's words; empty when it is. */
async function sickness(parts: ServiceParts, options: URLSearchParams): Promise<string> {
  const excluded = options.getAll('exclude')
  for (const name of ['NOSPACE', 'CORRUPT'] as const) {
    if (parts.alarms.isActive(AlarmType[name]) && !excluded.includes(name)) return `ALARM ${name}`
  }
  if (options.get('serializable') === 'true') return ''
  if (parts.node.leader === 0n) return 'RAFT NO LEADER'
  try {
    await parts.node.linearizable()
    return ''
  } catch (error) {
    return `RANGE ERROR:${(error as Error).message}`
  }
}
