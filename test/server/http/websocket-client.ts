// websocket-client.ts: the client's end of a WebSocket, written for tests from RFC 6455 and not
// from our server's end, so that it can break the rules, too.
import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import net from 'node:net'
import tls from 'node:tls'

export interface WebSocketClient {
  /** The head of the answer to the handshake. */
  readonly head: string
  send(text: string): void
  /** Any bytes, as they are. */
  write(bytes: Uint8Array): void
  /** The next message; undefined when the connection is over. */
  next(): Promise<string | undefined>
  /** What the server's closing frame said; undefined when the connection ended without one. */
  closed(): Promise<{ code: number; reason: string } | undefined>
  /** Payloads of the pongs so far. */
  readonly pongs: readonly string[]
  readonly socket: net.Socket
}

export async function openWebSocket(
  endpoint: string,
  path: string,
  headers: readonly string[] = [],
  { isTls = false } = {},
): Promise<WebSocketClient> {
  const [host = '', port] = endpoint.split(':')
  const at = { port: Number(port), host }
  const socket = isTls ? tls.connect({ ...at, rejectUnauthorized: false }) : net.connect(at)
  const key = randomBytes(16).toString('base64')
  const lines = [
    `GET ${path} HTTP/1.1`,
    `Host: ${endpoint}`,
    'Connection: keep-alive, Upgrade',
    'Upgrade: websocket',
    'Sec-WebSocket-Version: 13',
    `Sec-WebSocket-Key: ${key}`,
    ...headers,
  ]
  socket.write(`${lines.join('\r\n')}\r\n\r\n`)
  let received = Buffer.alloc(0)
  while (!received.includes('\r\n\r\n')) {
    const [piece] = (await once(socket, 'data')) as [Buffer]
    received = Buffer.concat([received, piece])
  }
  const end = received.indexOf('\r\n\r\n') + 4
  const head = received.subarray(0, end).toString()
  const accept = createHash('sha1').update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`)
  if (!head.includes(`Sec-WebSocket-Accept: ${accept.digest('base64')}\r\n`)) {
    socket.destroy()
    throw new Error(`no handshake: ${received}`)
  }
  return client(socket, head, received.subarray(end))
}

function client(socket: net.Socket, head: string, early: Buffer): WebSocketClient {
  const messages: string[] = []
  const pongs: string[] = []
  let closing: { code: number; reason: string } | undefined
  let isOver = false
  let wake = () => {}
  let rest = Buffer.alloc(0)
  const read = (piece: Buffer) => {
    rest = Buffer.concat([rest, piece])
    for (let frame = readFrame(rest); frame !== undefined; frame = readFrame(rest)) {
      rest = rest.subarray(frame.end)
      const { opcode, payload } = frame
      if (opcode === 8) {
        const code = payload.length === 0 ? 1005 : payload.readUInt16BE()
        closing = { code, reason: payload.subarray(2).toString() }
        socket.end()
      } else if (opcode === 10) pongs.push(payload.toString())
      else messages.push(payload.toString())
    }
    wake()
  }
  socket.on('data', read)
  socket.on('error', () => {})
  socket.once('close', () => {
    isOver = true
    wake()
  })
  read(early)
  const change = () =>
    new Promise<void>((resolve) => {
      wake = resolve
    })
  return {
    head,
    socket,
    pongs,
    send: (text) => void socket.write(clientFrame(1, Buffer.from(text))),
    write: (bytes) => void socket.write(bytes),
    async next() {
      while (messages.length === 0 && !isOver) await change()
      return messages.shift()
    },
    async closed() {
      while (!isOver) await change()
      return closing
    },
  }
}

/** Unfragmented and unmasked, as servers send. */
function readFrame(bytes: Buffer): { opcode: number; payload: Buffer; end: number } | undefined {
  if (bytes.length < 2) return undefined
  const [first = 0, second = 0] = bytes
  if ((second & 0x80) !== 0 || (first & 0xf0) !== 0x80) throw new Error('no frame of a server')
  const start = second === 127 ? 10 : second === 126 ? 4 : 2
  if (bytes.length < start) return undefined
  const size =
    second === 127
      ? Number(bytes.readBigUInt64BE(2))
      : second === 126
        ? bytes.readUInt16BE(2)
        : second
  if (bytes.length < start + size) return undefined
  return { opcode: first & 0x0f, payload: bytes.subarray(start, start + size), end: start + size }
}

/** With a mask, as clients must; `isLast` false: more of the message follows. */
export function clientFrame(opcode: number, payload: Uint8Array, isLast = true): Buffer {
  const { length } = payload
  const mask = randomBytes(4)
  const head =
    length < 126
      ? Buffer.from([0, length])
      : length < 65_536
        ? Buffer.from([0, 126, length >> 8, length & 0xff])
        : Buffer.from([0, 127, 0, 0, 0, 0, ...lengthBytes(length)])
  head[0] = (isLast ? 0x80 : 0) | opcode
  head[1] = (head[1] ?? 0) | 0x80
  const masked = payload.map((byte, at) => byte ^ (mask[at % 4] ?? 0))
  return Buffer.concat([head, mask, masked])
}

function lengthBytes(length: number): number[] {
  return [(length >>> 24) & 0xff, (length >>> 16) & 0xff, (length >>> 8) & 0xff, length & 0xff]
}
