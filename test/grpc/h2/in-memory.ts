// in-memory.ts: the server's end of a connection in a test's hand, and what clients say to it.
import type { ConnectionFault } from '../../../src/grpc/h2/faults.js'
import {
  ServerConnection,
  type ServerConnectionOptions,
} from '../../../src/grpc/h2/server-connection.js'
import type { Stream } from '../../../src/grpc/h2/stream.js'
import { frameBytes, frameType, headerBlock } from '../../support/raw-http2.js'
import { ManualClock } from '../manual-clock.js'
import { emptySettings, preface, Wire } from './wire.js'

export type InMemory = ReturnType<typeof inMemory>

export function inMemory(options: Partial<ServerConnectionOptions> = {}) {
  const clock = new ManualClock()
  const streams: Stream[] = []
  const faults: ConnectionFault[] = []
  const wire = new Wire((transport) => {
    return new ServerConnection(transport, {
      streamsMax: 100,
      streamWindowBytes: 65_535,
      connectionWindowBytes: 65_535,
      headerListBytesMax: 65_536,
      clock,
      onStream: (stream) => streams.push(stream),
      onPing: () => end.pings++,
      onFault: (fault) => faults.push(fault),
      ...options,
    })
  })
  const end = Object.assign(wire, { clock, streams, faults, pings: 0 })
  return end
}

/** After the greetings. */
export async function greeted(options: Partial<ServerConnectionOptions> = {}): Promise<InMemory> {
  const end = inMemory(options)
  await end.says(preface, emptySettings)
  return end
}

const base = [
  [':method', 'POST'],
  [':scheme', 'http'],
  [':path', '/t.S/Echo'],
  ['content-type', 'application/grpc'],
] as const

/** HEADERS of a call. */
export function head(
  stream: number,
  { flags = 4, fields = base as readonly (readonly [string, string])[] } = {},
): Buffer {
  return frameBytes(frameType.headers, { flags, stream, payload: headerBlock(fields) })
}

export const withFields = (...more: readonly (readonly [string, string])[]) => [...base, ...more]
