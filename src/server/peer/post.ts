// post.ts: one request to a peer with a body: its answer, or why there was none.
import http from 'node:http'
import https from 'node:https'
import type { Clock } from '../../platform/clock.js'
import { IdleLimit } from './idle-limit.js'
import { type PeerTls, requestTarget } from './peer-url.js'

/** An answer is a word or a list of members; what is longer comes from no peer. */
const answerBytesMax = 16 * 1024 * 1024

export interface Exchange {
  url: string
  path: string
  method: 'GET' | 'POST'
  headers: Readonly<Record<string, string>>
  /** Sent piece by piece as fast as the peer takes it. */
  body: Uint8Array | AsyncIterable<Uint8Array>
  tls: PeerTls | undefined
  /** Keeps connections for later requests; undefined: one of its own. */
  agents: PeerAgents | undefined
  clock: Clock
  /** How long nothing may move, in either direction. */
  idleMs: number
  signal?: AbortSignal
}

export interface Answer {
  status: number
  headers: http.IncomingHttpHeaders
  body: Buffer
}

/** Connections that outlive a request, one pool for each scheme. */
export interface PeerAgents {
  http: http.Agent
  https: https.Agent
}

export function newAgents(): PeerAgents {
  return { http: new http.Agent({ keepAlive: true }), https: new https.Agent({ keepAlive: true }) }
}

export function destroyAgents(agents: PeerAgents): void {
  agents.http.destroy()
  agents.https.destroy()
}

/** @throws when no whole answer came, for whatever reason */
export async function exchange(parts: Exchange): Promise<Answer> {
  const { clock, idleMs, signal } = parts
  signal?.throwIfAborted()
  const request = open(parts)
  const cancel = () => request.destroy(signal?.reason)
  signal?.addEventListener('abort', cancel)
  const limit = new IdleLimit(clock, idleMs, () => request.destroy(new Error('request timed out')))
  try {
    const answer = answerOf(request, limit)
    // The answer may come before all is sent, and then decides; a broken body breaks the request.
    await Promise.race([send(request, parts.body, limit), answer])
    return await answer
  } finally {
    limit.cancel()
    signal?.removeEventListener('abort', cancel)
    if (!request.writableEnded) request.destroy()
  }
}

function open({ url, path, method, headers, body, tls, agents }: Exchange): http.ClientRequest {
  const { isTls, options } = requestTarget(url, path, tls)
  const agent = agents === undefined ? false : isTls ? agents.https : agents.http
  const length = body instanceof Uint8Array ? { 'Content-Length': String(body.length) } : {}
  const all = {
    ...headers,
    ...(method === 'GET' && length['Content-Length'] === '0' ? {} : length),
  }
  return (isTls ? https : http).request({ ...options, agent, method, headers: all })
}

async function send(
  request: http.ClientRequest,
  body: Exchange['body'],
  limit: IdleLimit,
): Promise<void> {
  if (body instanceof Uint8Array) {
    request.end(body)
    return
  }
  try {
    for await (const chunk of body) {
      limit.touch()
      if (request.destroyed) return
      if (!request.write(chunk)) await drained(request)
    }
    limit.touch()
    request.end()
  } catch (error) {
    // Without a proper end the receiver knows that this was not all.
    request.destroy(error as Error)
  }
}

/** Resolves when there is room again, or never will be. */
function drained(request: http.ClientRequest): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      request.off('drain', done)
      request.off('close', done)
      resolve()
    }
    request.on('drain', done)
    request.on('close', done)
  })
}

function answerOf(request: http.ClientRequest, limit: IdleLimit): Promise<Answer> {
  return new Promise((resolve, reject) => {
    request.on('error', reject)
    request.on('close', () => reject(new Error('connection closed')))
    request.on('response', (response) => {
      const pieces: Buffer[] = []
      let bytes = 0
      response.on('data', (piece: Buffer) => {
        limit.touch()
        bytes += piece.length
        if (bytes > answerBytesMax) request.destroy(new Error('the answer is too long'))
        else pieces.push(piece)
      })
      response.on('error', reject)
      response.on('end', () => {
        const { statusCode: status = 0, headers } = response
        resolve({ status, headers, body: Buffer.concat(pieces) })
      })
    })
  })
}
