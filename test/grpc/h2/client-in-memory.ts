// client-in-memory.ts: the client's end of a connection in a test's hand, and what servers say to
// it.
import {
  ClientConnection,
  type ClientConnectionOptions,
} from '../../../src/grpc/h2/client-connection.js'
import type { ConnectionFault } from '../../../src/grpc/h2/faults.js'
import type { HeaderField } from '../../../src/grpc/h2/hpack-encoder.js'
import type { Stream } from '../../../src/grpc/h2/stream.js'
import { frameBytes, frameType, headerBlock } from '../../support/raw-http2.js'
import { emptySettings, Wire } from './wire.js'

export type ClientInMemory = ReturnType<typeof clientInMemory>

export function clientInMemory(options: Partial<ClientConnectionOptions> = {}) {
  const events: string[] = []
  const faults: ConnectionFault[] = []
  const wire = new Wire((transport) => {
    return new ClientConnection(transport, {
      streamWindowBytes: 65_535,
      connectionWindowBytes: 65_535,
      onReady: () => events.push('ready'),
      onRoom: () => events.push('room'),
      onDraining: () => events.push('draining'),
      onGoaway: (code, debug) => events.push(`goaway ${code} ${debug}`),
      onFault: (fault) => {
        faults.push(fault)
        events.push('fault')
      },
      ...options,
    })
  })
  return Object.assign(wire, { events, faults })
}

/** After the greetings, which were read. */
export async function greetedClient(
  options: Partial<ClientConnectionOptions> = {},
): Promise<ClientInMemory> {
  const end = clientInMemory(options)
  await end.says(emptySettings)
  return end
}

export const requestFields: readonly HeaderField[] = [
  [':method', 'POST'],
  [':scheme', 'http'],
  [':authority', 'localhost:2379'],
  [':path', '/t.S/Echo'],
  ['content-type', 'application/grpc'],
  ['te', 'trailers'],
]

/** A request of which nothing is said yet but its headers, and what becomes of it, in order. */
export function request(end: ClientInMemory, fields = requestFields) {
  const stream = end.connection.open(fields)
  return { stream, seen: followed(stream) }
}

export function followed(stream: Stream): string[] {
  const seen: string[] = []
  stream.reader = {
    onHead: (headers) => seen.push(`head ${headers[':status']}`),
    onData: (piece) => seen.push(`data ${piece}`),
    onTrailers: (headers) => seen.push(`trailers ${headers['grpc-status']}`),
    onEnd: () => seen.push('end'),
    onDrain: () => seen.push('drain'),
  }
  stream.owner = {
    onSent: () => seen.push('sent'),
    onClose: () => seen.push(`close ${stream.resetCode}`),
  }
  return seen
}

type Fields = readonly (readonly [string, string])[]

const answerFields: Fields = [
  [':status', '200'],
  ['content-type', 'application/grpc'],
]

export function answerHead(
  stream: number,
  { flags = 4, fields = answerFields }: { flags?: number; fields?: Fields } = {},
): Buffer {
  return frameBytes(frameType.headers, { flags, stream, payload: headerBlock(fields) })
}

export const trailers = (stream: number, status = '0'): Buffer =>
  answerHead(stream, { flags: 5, fields: [['grpc-status', status]] })

export function goaway(lastId: number, code = 0, debug = ''): Buffer {
  const payload = Buffer.alloc(8 + debug.length)
  payload.writeUInt32BE(lastId, 0)
  payload.writeUInt32BE(code, 4)
  payload.write(debug, 8)
  return frameBytes(frameType.goaway, { payload })
}
