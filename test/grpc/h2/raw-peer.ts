// raw-peer.ts: the other end of a node:http2 session, made of a socket and of frames written by
// hand, so that header blocks can be looked at as they travel. Knows nothing of src/.
import { once } from 'node:events'
import http2 from 'node:http2'
import net from 'node:net'

export interface Frame {
  type: number
  flags: number
  stream: number
  payload: Buffer
}

export type Fields = readonly (readonly [name: string, value: string])[]

const headBytes = 9
export const preface = 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'

export const frameBytes = (
  type: number,
  flags: number,
  stream: number,
  payload: Buffer,
): Buffer => {
  const head = Buffer.alloc(headBytes)
  head.writeUIntBE(payload.length, 0, 3)
  head[3] = type
  head[4] = flags
  head.writeUInt32BE(stream, 5)
  return Buffer.concat([head, payload])
}

export function settingsBytes(settings: Readonly<Record<number, number>>): Buffer {
  const entries = Object.entries(settings).map(([id, value]) => {
    const entry = Buffer.alloc(6)
    entry.writeUInt16BE(Number(id), 0)
    entry.writeUInt32BE(value, 2)
    return entry
  })
  return frameBytes(4, 0, 0, Buffer.concat(entries))
}

/** Calls back for each frame that the socket brings. */
export function readFrames(
  socket: net.Socket,
  skippedBytes: number,
  onFrame: (frame: Frame) => void,
): void {
  let skipped = skippedBytes
  let rest: Buffer = Buffer.alloc(0)
  socket.on('data', (piece: Buffer) => {
    rest = Buffer.concat([rest, piece])
    if (rest.length < skipped) return
    rest = rest.subarray(skipped)
    skipped = 0
    while (rest.length >= headBytes && rest.length >= headBytes + rest.readUIntBE(0, 3)) {
      const end = headBytes + rest.readUIntBE(0, 3)
      const [type = 0, flags = 0] = rest.subarray(3, 5)
      onFrame({ type, flags, stream: rest.readUInt32BE(5), payload: rest.subarray(headBytes, end) })
      rest = rest.subarray(end)
    }
  })
  socket.on('error', () => {})
}

/** A client of node:http2 whose server is `onFrame`. */
export async function clientOfFrames(
  options: http2.ClientSessionOptions,
  serverSettings: Readonly<Record<number, number>>,
  onFrame: (frame: Frame, socket: net.Socket) => void,
) {
  const server = net.createServer({ noDelay: true }, (socket) => {
    socket.write(settingsBytes(serverSettings))
    readFrames(socket, preface.length, (frame) => {
      if (frame.type === 4 && (frame.flags & 1) === 0) {
        socket.write(frameBytes(4, 1, 0, Buffer.alloc(0)))
      }
      onFrame(frame, socket)
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as net.AddressInfo
  const client = http2.connect(`http://127.0.0.1:${port}`, options)
  client.on('error', () => {})
  await once(client, 'remoteSettings')
  return {
    client,
    async [Symbol.asyncDispose]() {
      client.destroy()
      server.close()
      await once(server, 'close')
    },
  }
}

const text = (value: string): Buffer => {
  const bytes = Buffer.from(value, 'latin1')
  if (bytes.length >= 127) throw new Error('only short texts')
  return Buffer.concat([Buffer.from([bytes.length]), bytes])
}

/** Fields as literals that nobody puts into a table. */
export const literals = (fields: Fields): Buffer =>
  Buffer.concat(fields.flatMap(([name, value]) => [Buffer.from([0]), text(name), text(value)]))

/** What a server of node:http2 makes of a request with that header block: headers, or an error. */
export async function seenByServer(blocks: readonly Buffer[]): Promise<unknown[]> {
  const seen: unknown[] = []
  const server = http2.createServer()
  server.on('stream', (stream, headers) => {
    // Without its symbols.
    seen[(Number(stream.id) - 1) / 2] = Object.fromEntries(Object.entries(headers))
    stream.on('error', () => {})
    stream.respond({ ':status': 200 }, { endStream: true })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const socket = net.connect((server.address() as net.AddressInfo).port, '127.0.0.1')
  const over = new Set<number>()
  const answered = new Promise<void>((resolve) => {
    readFrames(socket, 0, ({ type, stream, payload }) => {
      if (type === 3) seen[(stream - 1) / 2] ??= `reset ${payload.readUInt32BE(0)}`
      if (type === 1 || type === 3) over.add(stream)
      if (type === 7 || over.size === blocks.length) resolve()
    })
  })
  socket.write(preface)
  socket.write(settingsBytes({}))
  blocks.forEach((block, at) => {
    socket.write(frameBytes(1, 5, 2 * at + 1, block))
  })
  await answered
  socket.destroy()
  server.close()
  await once(server, 'close')
  return seen
}
