// gateway-websocket.ts: the JSON gateway over a WebSocket, for pages, whose browsers can neither
// stream a request nor set headers of a WebSocket. Each message of the client is an object that the
// method is asked, each object of the answer is a message. After the last one the server closes.
//
// The handshake is a GET of the method's path. A token comes as the sub-protocol "Bearer, TOKEN" or
// in the cookie `token`, as the proxy in front of etcd's gateway has it.
import type { IncomingMessage } from 'node:http'
import type { Duplex } from 'node:stream'
import type { Handler } from '../../grpc/server.js'
import type { Clock } from '../../platform/clock.js'
import type { Log } from '../../platform/log.js'
import { exchange, failureOf, type GatewayMethod, isStreamed, methodAt } from './gateway.js'
import { gatewayCall } from './gateway-http.js'
import { handshake, refuse, WebSocketConnection } from './websocket.js'
import { CloseCode } from './websocket-frame.js'

export interface WebSocketParts {
  handlers: ReadonlyMap<string, Handler>
  bodyBytesMax: number
  /** Of the request. */
  pathname: string
  /** Who is at the other end. */
  address: string
  /** Of an answer by plain HTTP. */
  headers: Readonly<Record<string, string>>
  clock: Clock
  log: Log
  /** Those that are open; each takes itself out. */
  connections: Set<WebSocketConnection>
}

/** `head` is what came behind the request. */
export async function serveWebSocket(
  parts: WebSocketParts,
  request: IncomingMessage,
  socket: Duplex,
  head: Buffer,
): Promise<void> {
  const offered = request.headers['sec-websocket-protocol'] ?? ''
  const protocol = offered.startsWith('Bearer') ? 'Bearer' : undefined
  const answer = handshake(request, { protocol, headers: parts.headers })
  const { clock, log, bodyBytesMax, address, connections } = parts
  const onFailure = ({ message }: Error) =>
    log.debug('websocket failed', { peer: address, error: message })
  if (!answer.isAccepted) {
    refuse(socket, answer, { clock, onFailure })
    return
  }
  socket.write(answer.bytes)
  const messageBytesMax = bodyBytesMax
  const connection = new WebSocketConnection(socket, head, { clock, messageBytesMax, onFailure })
  connections.add(connection)
  connection.signal.addEventListener('abort', () => connections.delete(connection), { once: true })
  await converse(parts, tokenOf(request), connection)
}

async function converse(
  { handlers, bodyBytesMax, pathname, address }: WebSocketParts,
  token: string,
  connection: WebSocketConnection,
): Promise<void> {
  let method: GatewayMethod | undefined
  try {
    method = methodAt(pathname, handlers)
    const { path } = method
    await exchange({
      method,
      call: { ...gatewayCall(path, token, address), signal: connection.signal },
      body: lines(connection.messages),
      bodyBytesMax,
      answer: (text) => connection.send(text),
    })
  } catch (thrown) {
    if (connection.signal.aborted) return
    const isStream = method !== undefined && isStreamed(method)
    await connection.send(failureOf(thrown, { isStream }).text)
  }
  connection.close(CloseCode.normal)
}

/** A line break ends each message, so that a word that is no object cannot wait for its end. */
async function* lines(messages: AsyncIterator<Buffer, undefined>): AsyncGenerator<Buffer, void> {
  for (;;) {
    const { value } = await messages.next()
    if (value === undefined) return
    yield Buffer.concat([value, lineBreak])
  }
}

const lineBreak = Buffer.from('\n')

/** As the header Authorization would have it; empty for none. */
export function tokenOf({ headers }: Pick<IncomingMessage, 'headers'>): string {
  const [, cookie] = /(?:^|;)\s*token=([^;]*)/.exec(headers.cookie ?? '') ?? []
  if (cookie !== undefined) return `Bearer ${cookie}`
  const [, token] = /Bearer,(.*)$/.exec(headers['sec-websocket-protocol'] ?? '') ?? []
  return token === undefined ? '' : `Bearer ${token.trim()}`
}
