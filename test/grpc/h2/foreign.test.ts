// Requests over HTTP/2 that are no gRPC: whoever answers those of HTTP/1.1 answers them, and cannot
// tell the difference. The client is Node's.
import { once } from 'node:events'
import type { IncomingMessage, ServerResponse } from 'node:http'
import http2 from 'node:http2'
import { expect, test } from 'vitest'
import { gate, onTestEnd, serve } from '../ends.js'

async function connected(http1: (request: IncomingMessage, response: ServerResponse) => void) {
  const { port, server } = await serve({}, { http1 })
  const session = http2.connect(`http://127.0.0.1:${port}`)
  onTestEnd(() => session.destroy())
  return { session, server, port }
}

async function answered(stream: http2.ClientHttp2Stream, body?: Buffer) {
  const responded = once(stream, 'response')
  stream.end(body)
  const [headers] = await responded
  const pieces: Buffer[] = []
  for await (const piece of stream) pieces.push(piece)
  return { headers, body: Buffer.concat(pieces) }
}

test('a large body goes there and back', async () => {
  const { session } = await connected((request, response) => {
    response.setHeader('X-Method', request.method ?? '')
    response.statusCode = 201
    request.pipe(response)
  })
  const body = Buffer.alloc(5_000_000, 'body')
  const answer = await answered(session.request({ ':method': 'PUT', ':path': '/x' }), body)
  expect(answer.headers).toMatchObject({ ':status': 201, 'x-method': 'PUT' })
  expect(answer.headers.date).toMatch(/ GMT$/)
  expect(answer.body.equals(body)).toBe(true)
})

test('path and host are where HTTP/1.1 has them; what is about its connections is left out', async () => {
  const { session, port } = await connected((request, response) => {
    response.setHeader('Connection', 'close')
    response.writeHead(200, { 'content-type': 'text/plain' })
    response.end(`${request.url} ${request.headers.host} ${'remotePort' in request.socket}`)
  })
  const { headers, body } = await answered(session.request({ ':path': '/version?x=1' }))
  expect(body.toString()).toBe(`/version?x=1 127.0.0.1:${port} true`)
  expect(headers['content-type']).toBe('text/plain')
  expect(headers.connection).toBeUndefined()
})

test('the answer to HEAD has no body', async () => {
  const { session } = await connected((_request, response) => void response.end('body'))
  const { headers, body } = await answered(session.request({ ':method': 'HEAD', ':path': '/' }))
  expect([headers[':status'], body.length]).toEqual([200, 0])
})

test('who answers hears that the client is gone', async () => {
  const closed = gate()
  const { session } = await connected((request, response) => {
    response.write('first')
    request.on('close', () => response.on('close', () => closed.open()))
  })
  const stream = session.request({ ':method': 'POST', ':path': '/' })
  stream.on('error', () => {})
  await once(stream, 'data')
  stream.close(http2.constants.NGHTTP2_CANCEL)
  await closed.opened
})

test('an answer that is given up resets the stream', async () => {
  const { session } = await connected((_request, response) => void response.destroy())
  const stream = session.request({ ':path': '/' })
  const [error] = await once(stream, 'error')
  expect(error.message).toContain('NGHTTP2_INTERNAL_ERROR')
})
