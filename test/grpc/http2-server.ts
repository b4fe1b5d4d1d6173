// http2-server.ts: a bare HTTP/2 server for tests that need answers which no sane server gives.
import http2, { type ServerHttp2Session, type ServerHttp2Stream } from 'node:http2'
import { frame } from '../../src/grpc/frame.js'
import { onTestEnd, portOf } from './ends.js'

export interface BareServer {
  readonly port: number
  readonly address: { host: string; port: number }
  readonly sessions: ServerHttp2Session[]
}

export async function bareServer(
  onStream: (stream: ServerHttp2Stream, index: number) => void,
  settings: http2.Settings = {},
): Promise<BareServer> {
  const sessions: ServerHttp2Session[] = []
  const server = http2.createServer({ settings })
  let count = 0
  server.on('session', (session) => sessions.push(session))
  server.on('stream', (stream: ServerHttp2Stream) => {
    stream.on('error', () => {})
    onStream(stream, count++)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  onTestEnd(() => {
    for (const session of sessions) session.destroy()
    server.close()
  })
  const port = portOf(server)
  return { port, address: { host: '127.0.0.1', port }, sessions }
}

/** A proper answer of one message. */
export function answer(stream: ServerHttp2Stream, text: string): void {
  stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true })
  stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }))
  stream.end(frame(Buffer.from(text)))
}
