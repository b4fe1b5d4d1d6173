// gateway-http.ts: the JSON gateway as a POST: the body of the request is what the method is asked,
// the body of the answer what it says, a line for each message of a stream.
import { once } from 'node:events'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { type Handler, peerOf, type ServerCall } from '../../grpc/server.js'
import { RpcError, Status } from '../../grpc/status.js'
import { exchange, failureOf, type GatewayFailure, isStreamed, methodAt } from './gateway.js'
import { json } from './reply.js'

export interface GatewayParts {
  handlers: ReadonlyMap<string, Handler>
  bodyBytesMax: number
  /** Of the request. */
  pathname: string
}

export async function serveGateway(
  { handlers, bodyBytesMax, pathname }: GatewayParts,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  let isStream = false
  try {
    const method = methodAt(pathname, handlers)
    if (request.method !== 'POST') throw new RpcError(Status.unimplemented, 'Method Not Allowed')
    isStream = isStreamed(method)
    const call = httpCall(method.path, request, response)
    const answer = isStream
      ? (text: string) => sendLine(response, text, call.signal)
      : (text: string) => sendWhole(response, { status: 200, text })
    await exchange({ method, call, body: bodyOf(request), bodyBytesMax, answer })
    if (isStream) endStream(response)
  } catch (thrown) {
    // What the client still sends is not read, so nothing can follow it on this connection.
    if (!request.complete && !response.headersSent) response.setHeader('Connection', 'close')
    const failure = failureOf(thrown, { isStream })
    if (isStream) endStream(response, failure)
    else sendWhole(response, failure)
  }
}

/** The request must outlive an iteration that fails: it shares its socket with the answer. */
const bodyOf = (request: IncomingMessage): AsyncIterable<Buffer> => ({
  [Symbol.asyncIterator]: () => request.iterator({ destroyOnReturn: false }),
})

function httpCall(path: string, request: IncomingMessage, response: ServerResponse): ServerCall {
  const controller = new AbortController()
  response.once('close', () => {
    controller.abort(new RpcError(Status.canceled, 'context canceled'))
  })
  const { address } = peerOf(request.socket)
  return { ...gatewayCall(path, request.headers.authorization, address), signal: controller.signal }
}

/** A certificate proves who the gateway's client is to the gateway, not to the services behind. */
export function gatewayCall(
  path: string,
  authorization: string | undefined,
  address: string,
): Omit<ServerCall, 'signal'> {
  const token = authorization === undefined || authorization === '' ? {} : { authorization }
  return { path, metadata: { 'grpcgateway-accept': '*/*', ...token }, peer: { address } }
}

function startStream(response: ServerResponse, status: number): void {
  if (response.headersSent) return
  response.setHeader('Content-Type', json)
  response.writeHead(status)
}

async function sendLine(
  response: ServerResponse,
  text: string,
  signal: AbortSignal,
): Promise<void> {
  startStream(response, 200)
  if (!response.write(`${text}\n`)) await once(response, 'drain', { signal })
}

function endStream(response: ServerResponse, failure?: GatewayFailure): void {
  startStream(response, failure?.status ?? 200)
  response.end(failure === undefined ? undefined : `${failure.text}\n`)
}

function sendWhole(response: ServerResponse, { status, text }: GatewayFailure): void {
  response.setHeader('Content-Type', json)
  response.statusCode = status
  response.end(text)
}
