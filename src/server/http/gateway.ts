// gateway.ts: the API as JSON: /v3/kv/range and its like. A request becomes the message of the gRPC
// method behind its path and goes to that method's handler; so whatever holds for gRPC (tokens,
// limits, errors) holds here. How the texts travel is not known here: by HTTP (gateway-http.ts) or
// over a WebSocket (gateway-websocket.ts).
//
// One answer is one JSON object. A stream is an object {"result":...} for each message, and a last
// one {"error":...} if it fails. Calls with a stream of requests take objects one after the other.
import { methods } from '../../api/gen/schema.js'
import { type Handler, rpcErrorOf, type ServerCall, type ServerStream } from '../../grpc/server.js'
import { RpcError, Status, type StatusCode } from '../../grpc/status.js'
import type { Json } from '../../storage/exact-json.js'
import { rpcPath } from './gateway-paths.js'
import { decodeToJson, encodeJson } from './json.js'
import { jsonValues } from './json-stream.js'

export interface GatewayMethod {
  path: string
  schema: { kind: string; request: string; response: string }
  handler: Handler
}

/** @throws RpcError notFound */
export function methodAt(pathname: string, handlers: ReadonlyMap<string, Handler>): GatewayMethod {
  const path = rpcPath(pathname)
  const schema = path === undefined ? undefined : methods[path]
  const handler = path === undefined ? undefined : handlers.get(path)
  if (path === undefined || schema === undefined || handler === undefined) {
    throw new RpcError(Status.notFound, 'Not Found')
  }
  return { path, schema, handler }
}

export const isStreamed = ({ schema }: GatewayMethod): boolean => schema.kind !== 'unary'

/** What a client is told in the place of an answer. */
export interface GatewayFailure {
  /** Of HTTP. */
  status: number
  text: string
}

export function failureOf(thrown: unknown, { isStream }: { isStream: boolean }): GatewayFailure {
  const { code, details } = rpcErrorOf(thrown)
  const text = JSON.stringify({ code, message: details })
  return { status: httpStatuses[code] ?? 500, text: isStream ? `{"error":${text}}` : text }
}

/** Bytes become a third longer in base64, and names stand beside them. */
const jsonGrowth = 2

/** The largest text that a request within the limits of gRPC can be. */
export const textBytesMax = (receiveMaxBytes: number): number => receiveMaxBytes * jsonGrowth

export interface Exchange {
  method: GatewayMethod
  call: ServerCall
  /** Texts of the client, cut anywhere. */
  body: AsyncIterable<Buffer>
  bodyBytesMax: number
  /** Takes one object of the answer. */
  answer(text: string): Promise<void> | void
}

/** Asks and answers until the handler is done. @throws what failureOf() reads */
export async function exchange({ method, body, bodyBytesMax, ...ends }: Exchange): Promise<void> {
  const values = jsonValues(body, bodyBytesMax)
  const messageBytesMax = bodyBytesMax / jsonGrowth
  const conversation = { method, values, messageBytesMax, ...ends }
  await (isStreamed(method) ? answerStream : answerOnce)(conversation)
}

interface Conversation extends Pick<Exchange, 'method' | 'call' | 'answer'> {
  values: ReturnType<typeof jsonValues>
  /** Of a request, as gRPC would have it. */
  messageBytesMax: number
}

function encoded({ method, messageBytesMax }: Conversation, value: Json = new Map()): Buffer {
  const message = Buffer.from(encodeJson(method.schema.request, value))
  if (message.length <= messageBytesMax) return message
  const sizes = `${message.length} vs. ${messageBytesMax}`
  throw new RpcError(Status.resourceExhausted, `grpc: received message larger than max (${sizes})`)
}

async function answerOnce(conversation: Conversation): Promise<void> {
  const { method, call, values, answer } = conversation
  const { path, schema, handler } = method
  const { value } = await values.next()
  const request = encoded(conversation, value ?? undefined)
  if (handler.kind !== 'unary') throw new Error(`${path} is not unary`)
  await answer(decodeToJson(schema.response, await handler.handle(request, call)))
}

async function answerStream(conversation: Conversation): Promise<void> {
  const { call, method, answer } = conversation
  const { path, schema, handler } = method
  if (handler.kind !== 'stream') throw new Error(`${path} is no stream`)
  const stream: ServerStream = {
    path: call.path,
    metadata: call.metadata,
    signal: call.signal,
    peer: call.peer,
    [Symbol.asyncIterator]: () => requests(conversation),
    async write(...messages) {
      for (const message of messages) {
        if (call.signal.aborted) throw new RpcError(Status.canceled, 'context canceled')
        await answer(`{"result":${decodeToJson(schema.response, message)}}`)
      }
    },
  }
  await handler.handle(stream)
}

/** A call with one request takes the first object, and an empty body for an empty one. */
async function* requests(conversation: Conversation): AsyncGenerator<Buffer, void, void> {
  const { method, values } = conversation
  if (method.schema.kind === 'server_stream') {
    const { value } = await values.next()
    yield encoded(conversation, value ?? undefined)
    return
  }
  for await (const value of values) yield encoded(conversation, value)
}

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
