// A client that asks for much and reads nothing: how many answers are made for it.
import http2 from 'node:http2'
import { expect, test } from 'vitest'
import type { Handler } from '../../src/grpc/server.js'
import { onTestEnd, serve } from './ends.js'

const answerBytes = 1_000_000
const limit = 3_500_000

async function greedy(callCount: number) {
  let made = 0
  const large: Handler = {
    kind: 'unary',
    handle: async (_request, call) => {
      await call.roomFor?.(answerBytes)
      made++
      return Buffer.alloc(answerBytes)
    },
  }
  const small: Handler = { kind: 'unary', handle: (request) => request }
  const handlers = { '/t.S/Large': large, '/t.S/Small': small }
  const { server, port } = await serve(handlers, { unreadMaxBytes: limit })
  const session = http2.connect(`http://127.0.0.1:${port}`)
  onTestEnd(() => session.destroy())
  let refused = 0
  const call = (path: string) => {
    const head = { ':method': 'POST', ':path': path, 'content-type': 'application/grpc' }
    const stream = session.request({ ...head, te: 'trailers' })
    stream.on('error', () => {})
    stream.on('response', (head) => {
      if (head['grpc-status'] === '8') refused++
    })
    stream.end(Buffer.from([0, 0, 0, 0, 1, 65]))
    return stream
  }
  const streams = Array.from({ length: callCount }, () => call('/t.S/Large'))
  const status = (stream: http2.ClientHttp2Stream) =>
    new Promise<string>((resolve) => {
      stream.on('response', (head) => head['grpc-status'] && resolve(String(head['grpc-status'])))
      stream.on('trailers', (trailers) => resolve(String(trailers['grpc-status'])))
      stream.resume()
    })
  return { server, streams, call, status, refused: () => refused, made: () => made }
}

test('no more than fit are made, small ones go past, and all come when it reads', async () => {
  const { server, streams, call, status, made } = await greedy(20)
  expect(await status(call('/t.S/Small'))).toBe('0')
  expect(server.open.calls).toBeGreaterThanOrEqual(20)
  expect(made()).toBe(3)
  expect(await Promise.all(streams.map(status))).toEqual(Array(20).fill('0'))
  expect(made()).toBe(20)
})

test('who hangs up while calls wait gets none of them made', async () => {
  const { server, streams, call, status, made } = await greedy(20)
  await status(call('/t.S/Small'))
  for (const stream of streams) stream.close(http2.constants.NGHTTP2_CANCEL)
  // Their room is free again.
  expect(await status(call('/t.S/Large'))).toBe('0')
  expect(made()).toBe(4)
  await status(call('/t.S/Small'))
  expect(server.open.calls).toBeLessThanOrEqual(1)
})

test('calls that wait have a limit of their own', async () => {
  const { call, status, refused, made } = await greedy(1_010)
  await status(call('/t.S/Small'))
  expect(refused()).toBe(1_010 - 1_000 - 3)
  expect(made()).toBe(3)
})

test('small answers that a window holds back are made up to the same limit', async () => {
  const bytes = 60_000
  const small: Handler = { kind: 'unary', handle: () => Buffer.alloc(bytes) }
  const { server, port } = await serve({ '/t.S/Small': small }, { unreadMaxBytes: limit })
  const settings = { initialWindowSize: 0 }
  const session = http2.connect(`http://127.0.0.1:${port}`, { settings })
  onTestEnd(() => session.destroy())
  const answer = () => {
    const head = { ':method': 'POST', ':path': '/t.S/Small', 'content-type': 'application/grpc' }
    const stream = session.request({ ...head, te: 'trailers' })
    stream.end(Buffer.from([0, 0, 0, 0, 1, 65]))
    const status = new Promise<string>((resolve) => {
      stream.on('response', (head) => resolve(String(head['grpc-status'] ?? 'held back')))
    })
    return { stream, status }
  }
  const answers = Array.from({ length: 100 }, answer)
  const statuses = await Promise.all(answers.map(({ status }) => status))
  const held = Math.ceil((limit + 1) / bytes)
  expect(statuses).toEqual([...Array(held).fill('held back'), ...Array(100 - held).fill('8')])
  // Taken back, they make room.
  const closed = answers.slice(0, held).map(({ stream }) => {
    const isClosed = new Promise((resolve) => stream.on('close', resolve))
    stream.close(http2.constants.NGHTTP2_CANCEL)
    return isClosed
  })
  await Promise.all(closed)
  expect(await answer().status).toBe('held back')
  expect(server.open.calls).toBe(1)
})
