// What becomes of the requests of a stream: those that wait for room, those that are written before
// there is a connection, and those that are written while the call has to be sent anew.
import type net from 'node:net'
import { expect, test } from 'vitest'
import type { Handler } from '../../src/grpc/server.js'
import { collect, gate, open, rawServer, serve } from './ends.js'
import { frameBytes, literals, preface, readFrames, settingsBytes } from './h2/raw-peer.js'

const count: Handler = {
  kind: 'stream',
  handle: async (stream) => {
    let messages = 0
    for await (const _ of stream) messages++
    await stream.write(Buffer.from(`${messages}`))
  },
}

test('a write that waits for room is done when all has gone, although end() was called', async () => {
  const { address } = await serve({ '/t.S/Count': count })
  const stream = open(address).stream('/t.S/Count')
  const written = stream.write(Buffer.alloc(1_000_000))
  stream.end()
  expect(await collect(stream)).toEqual(['1'])
  expect(await written).toBeUndefined()
})

test('any number of requests may be written before there is a connection', async () => {
  const { address } = await serve({ '/t.S/Count': count })
  const stream = open(address).stream('/t.S/Count')
  const message = Buffer.from('x')
  const messages = 150_000 // more than a function takes as arguments
  for (let i = 0; i < messages; i++) void stream.write(message)
  stream.end()
  expect(await collect(stream)).toEqual([`${messages}`])
})

const [data, headers, reset, ping, windowUpdate] = [0, 1, 3, 6, 8]
const streamsMax = (value: number) => settingsBytes({ 3: value, 4: 2 ** 20 })

test('requests that are written before a refused call is sent anew are all sent', async () => {
  const refused = gate<net.Socket>()
  let received = 0
  const port = await rawServer((socket) => {
    socket.write(streamsMax(1))
    socket.write(frameBytes(windowUpdate, 0, 0, Buffer.from([0, 1, 0, 0])))
    readFrames(socket, preface.length, ({ type, flags, stream, payload }) => {
      if (type === headers && stream === 1) {
        const refusal = frameBytes(reset, 0, 1, Buffer.from([0, 0, 0, 7]))
        const question = frameBytes(ping, 0, 0, Buffer.alloc(8))
        socket.write(Buffer.concat([streamsMax(0), refusal, question]))
      }
      if (type === ping) refused.open(socket) // answered: all before it was read
      if (type !== data || stream !== 3) return
      received += payload.length
      if ((flags & 1) === 0) return
      const head = [[':status', '200'] as const, ['content-type', 'application/grpc'] as const]
      const trailers = [['grpc-status', '0'] as const]
      socket.write(frameBytes(headers, 4, 3, literals(head)))
      socket.write(frameBytes(headers, 5, 3, literals(trailers)))
    })
  })
  const stream = open({ host: '127.0.0.1', port }).stream('/t.S/Count')
  const sizes = [10, 30_000, 30_000, 30_000, 10] // more than is kept of a call under way
  void stream.write(Buffer.alloc(10))
  const socket = await refused.opened
  const writes = sizes.map((size) => stream.write(Buffer.alloc(size)))
  stream.end()
  socket.write(streamsMax(1))
  expect(await collect(stream)).toEqual([])
  await Promise.all(writes)
  expect(received).toBe([10, ...sizes].reduce((sum, size) => sum + 5 + size, 0))
})
