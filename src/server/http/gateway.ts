// gateway.ts: the API as JSON over HTTP: POST /v3/kv/range and its like. A request becomes the
// message of the gRPC method behind its path and goes to that method's handler; so whatever holds
// for gRPC (tokens, limits, errors) holds here.
//
// One answer is one JSON object. A stream is a line {"result":...} for each message, and a last
// line {"error":...} if it fails. Calls with a stream of requests take JSON objects one after the
// other, for as long as the client keeps the request open.
import { once } from 'node:events'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { methods } from '../../api/gen/schema.js'
import { type Handler, rpcErrorOf, type ServerCall, type ServerStream } from '../../grpc/server.js'
import { RpcError, Status, type StatusCode } from '../../grpc/status.js'
import { decodeToJson, encodeJson } from './json.js'
import { jsonValues } from './json-stream.js'

export interface GatewayParts {
  handlers: ReadonlyMap<string, Handler>
  receiveMaxBytes: number
  /** Of the request. */
  pathname: string
}

/** Whether a path belongs to the gateway; older clients still use the name of its trial time. */
export const isGatewayPath = (pathname: string): boolean => /^\/v3(beta)?\//.test(pathname)

/** Bytes become a third longer in base64, and names stand beside them. */
const jsonGrowth = 2

export async function serveGateway(
  { handlers, receiveMaxBytes, pathname }: GatewayParts,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const path = rpcPaths.get(pathname.replace(/^\/v3(beta)?\//, ''))
  const schema = path === undefined ? undefined : methods[path]
  const handler = path === undefined ? undefined : handlers.get(path)
  if (path === undefined || schema === undefined || handler === undefined) {
    return sendError(response, new RpcError(Status.notFound, 'Not Found'))
  }
  if (request.method !== 'POST') {
    return sendError(response, new RpcError(Status.unimplemented, 'Method Not Allowed'))
  }
  const call = httpCall(path, request, response)
  const values = jsonValues(bodyOf(request), receiveMaxBytes * jsonGrowth)
  const exchange: Exchange = { call, response, handler, schema, values }
  try {
    await (schema.kind === 'unary' ? answerOnce(exchange) : answerStream(exchange))
  } catch (thrown) {
    const error = rpcErrorOf(thrown)
    // What the client still sends is not read, so nothing can follow it on this connection.
    if (!request.complete && !response.headersSent) response.setHeader('Connection', 'close')
    if (schema.kind === 'unary') sendError(response, error)
    else endStream(response, error)
  }
}

/** The request must outlive an iteration that fails: it shares its socket with the answer. */
const bodyOf = (request: IncomingMessage): AsyncIterable<Buffer> => ({
  [Symbol.asyncIterator]: () => request.iterator({ destroyOnReturn: false }),
})

interface Exchange {
  call: ServerCall
  response: ServerResponse
  handler: Handler
  schema: { kind: string; request: string; response: string }
  values: ReturnType<typeof jsonValues>
}

async function answerOnce({ call, response, handler, schema, values }: Exchange): Promise<void> {
  const { value } = await values.next()
  const request = Buffer.from(encodeJson(schema.request, value ?? new Map()))
  if (handler.kind !== 'unary') throw new Error(`${call.path} is not unary`)
  const answer = await handler.handle(request, call)
  response.setHeader('Content-Type', 'application/json')
  response.writeHead(200).end(decodeToJson(schema.response, answer))
}

async function answerStream(exchange: Exchange): Promise<void> {
  const { call, response, handler, schema } = exchange
  if (handler.kind !== 'stream') throw new Error(`${call.path} is no stream`)
  const stream: ServerStream = {
    path: call.path,
    metadata: call.metadata,
    signal: call.signal,
    peer: call.peer,
    [Symbol.asyncIterator]: () => requests(exchange),
    async write(message) {
      if (call.signal.aborted) throw new RpcError(Status.canceled, 'context canceled')
      startStream(response, 200)
      const line = `{"result":${decodeToJson(schema.response, message)}}\n`
      if (!response.write(line)) await once(response, 'drain', { signal: call.signal })
    },
  }
  await handler.handle(stream)
  endStream(response, undefined)
}

/** A call with one request takes the first object, and an empty body for an empty one. */
async function* requests({ schema, values }: Exchange): AsyncGenerator<Buffer, void, void> {
  const encoded = (value: Parameters<typeof encodeJson>[1]) =>
    Buffer.from(encodeJson(schema.request, value))
  if (schema.kind === 'server_stream') {
    const { value } = await values.next()
    yield encoded(value ?? new Map())
    return
  }
  for await (const value of values) yield encoded(value)
}

function httpCall(path: string, request: IncomingMessage, response: ServerResponse): ServerCall {
  const controller = new AbortController()
  response.once('close', () => {
    controller.abort(new RpcError(Status.canceled, 'context canceled'))
  })
  const { authorization } = request.headers
  // A certificate proves who the gateway's client is to the gateway, not to the services behind.
  return {
    path,
    metadata: { 'grpcgateway-accept': '*/*', ...(authorization ? { authorization } : {}) },
    signal: controller.signal,
    peer: { address: `${request.socket.remoteAddress ?? ''}:${request.socket.remotePort ?? 0}` },
  }
}

function startStream(response: ServerResponse, status: number): void {
  if (response.headersSent) return
  response.setHeader('Content-Type', 'application/json')
  response.writeHead(status)
}

function endStream(response: ServerResponse, error: RpcError | undefined): void {
  startStream(response, error === undefined ? 200 : httpStatus(error.code))
  response.end(error === undefined ? undefined : `{"error":${errorText(error)}}\n`)
}

function sendError(response: ServerResponse, error: RpcError): void {
  startStream(response, httpStatus(error.code))
  response.end(errorText(error))
}

const errorText = ({ code, details }: RpcError): string =>
  JSON.stringify({ code, message: details })

const httpStatuses: Partial<Record<StatusCode, number>> = {
  [Status.ok]: 200,
  [Status.canceled]: 499,
  [Status.invalidArgument]: 400,
  [Status.deadlineExceeded]: 504,
  [Status.notFound]: 404,
  [Status.alreadyExists]: 409,
  [Status.permissionDenied]: 403,
  [Status.unauthenticated]: 401,
  [Status.resourceExhausted]: 429,
  [Status.failedPrecondition]: 400,
  [Status.aborted]: 409,
  [Status.outOfRange]: 400,
  [Status.unimplemented]: 501,
  [Status.unavailable]: 503,
}

const httpStatus = (code: StatusCode): number => httpStatuses[code] ?? 500

/** Words of a service's paths after /v3/, and the methods that they stand for. */
const services: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  'etcdserverpb.KV': {
    'kv/range': 'Range',
    'kv/put': 'Put',
    'kv/deleterange': 'DeleteRange',
    'kv/txn': 'Txn',
    'kv/compaction': 'Compact',
  },
  'etcdserverpb.Watch': { watch: 'Watch' },
  'etcdserverpb.Lease': {
    'lease/grant': 'LeaseGrant',
    'lease/revoke': 'LeaseRevoke',
    'kv/lease/revoke': 'LeaseRevoke',
    'lease/keepalive': 'LeaseKeepAlive',
    'lease/timetolive': 'LeaseTimeToLive',
    'kv/lease/timetolive': 'LeaseTimeToLive',
    'lease/leases': 'LeaseLeases',
    'kv/lease/leases': 'LeaseLeases',
  },
  'etcdserverpb.Cluster': {
    'cluster/member/add': 'MemberAdd',
    'cluster/member/remove': 'MemberRemove',
    'cluster/member/update': 'MemberUpdate',
    'cluster/member/list': 'MemberList',
    'cluster/member/promote': 'MemberPromote',
  },
  'etcdserverpb.Maintenance': {
    'maintenance/alarm': 'Alarm',
    'maintenance/status': 'Status',
    'maintenance/defragment': 'Defragment',
    'maintenance/hash': 'Hash',
    'maintenance/hashkv': 'HashKV',
    'maintenance/snapshot': 'Snapshot',
    'maintenance/transfer-leadership': 'MoveLeader',
    'maintenance/downgrade': 'Downgrade',
  },
  'etcdserverpb.Auth': {
    'auth/enable': 'AuthEnable',
    'auth/disable': 'AuthDisable',
    'auth/status': 'AuthStatus',
    'auth/authenticate': 'Authenticate',
    'auth/user/add': 'UserAdd',
    'auth/user/get': 'UserGet',
    'auth/user/list': 'UserList',
    'auth/user/delete': 'UserDelete',
    'auth/user/changepw': 'UserChangePassword',
    'auth/user/grant': 'UserGrantRole',
    'auth/user/revoke': 'UserRevokeRole',
    'auth/role/add': 'RoleAdd',
    'auth/role/get': 'RoleGet',
    'auth/role/list': 'RoleList',
    'auth/role/delete': 'RoleDelete',
    'auth/role/grant': 'RoleGrantPermission',
    'auth/role/revoke': 'RoleRevokePermission',
  },
  'v3lockpb.Lock': { 'lock/lock': 'Lock', 'lock/unlock': 'Unlock' },
  'v3electionpb.Election': {
    'election/campaign': 'Campaign',
    'election/proclaim': 'Proclaim',
    'election/leader': 'Leader',
    'election/observe': 'Observe',
    'election/resign': 'Resign',
  },
}

const rpcPaths: ReadonlyMap<string, string> = new Map(
  Object.entries(services).flatMap(([service, paths]) =>
    Object.entries(paths).map(([path, method]) => [path, `/${service}/${method}`] as const),
  ),
)
