// answer.ts: reads requests and writes answers as the peer port of an etcd does, header by header.
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Clock } from '../../platform/clock.js'
import { IdleLimit, operationTimeoutMs } from './idle-limit.js'

/** A refusal as Go's helper writes it: a line of text. */
export function refuse(response: ServerResponse, status: number, reason: string): void {
  response.setHeader('X-Content-Type-Options', 'nosniff')
  answer(response, status, { type: 'text/plain; charset=utf-8', body: `${reason}\n` })
}

export function refuseMethod(response: ServerResponse, allowed: string | undefined): void {
  if (allowed !== undefined) response.setHeader('Allow', allowed)
  refuse(response, 405, 'Method Not Allowed')
}

export function answer(
  response: ServerResponse,
  status: number,
  { type, body }: { type?: string; body: string | Uint8Array },
): void {
  // Connections are kept as HTTP/1.1 has it, without a header that says so.
  if (response.shouldKeepAlive) response.removeHeader('Connection')
  if (type !== undefined) response.setHeader('Content-Type', type)
  if (status !== 204) response.setHeader('Content-Length', Buffer.byteLength(body))
  response.writeHead(status)
  response.end(body)
}

export function answerJson(response: ServerResponse, status: number, body: string): void {
  answer(response, status, { type: 'application/json', body })
}

/** An error as etcd's peer handlers write it in JSON. */
export function refuseJson(response: ServerResponse, status: number, message: string): void {
  answerJson(response, status, JSON.stringify({ message }))
}

/** The connection ends with the next answer: what is left of the request is not read. */
export function endConnection(response: ServerResponse): void {
  response.shouldKeepAlive = false
}

/**
 * The pieces of a body; the connection breaks when the next one takes too long. Who stops early can
 * still answer, but has to end the connection.
 */
export async function* bodyOf(request: IncomingMessage, clock: Clock): AsyncGenerator<Buffer> {
  const pieces: AsyncIterator<Buffer> = request[Symbol.asyncIterator]()
  for (;;) {
    // Only waiting counts: what the reader does between two pieces takes as long as it takes.
    const limit = new IdleLimit(clock, operationTimeoutMs, () => request.destroy())
    const { value, done } = await pieces.next().finally(() => limit.cancel())
    if (done) return
    yield value
  }
}

/** Undefined: it is longer than `bytesMax`, or broke off. */
export async function wholeBody(
  request: IncomingMessage,
  clock: Clock,
  bytesMax: number,
): Promise<Buffer | undefined> {
  const pieces: Buffer[] = []
  let bytes = 0
  try {
    for await (const piece of bodyOf(request, clock)) {
      bytes += piece.length
      if (bytes > bytesMax) return undefined
      pieces.push(piece)
    }
  } catch {
    return undefined
  }
  return Buffer.concat(pieces, bytes)
}
