// How a WebSocket slows down: its client when nobody takes the messages, its server when the client
// does not read; and that nobody is waited for for ever. On a stream whose other end is this test,
// which decides when it reads.
import { once } from 'node:events'
import { Duplex } from 'node:stream'
import { expect, test } from 'vitest'
import { handshake, refuse, WebSocketConnection } from '../../../src/server/http/websocket.js'
import { newManualClock } from '../../support/manual-clock.js'
import { clientFrame } from './websocket-client.js'

/** Nothing written is read before release(). */
function stuck() {
  let release = () => {}
  const socket = new Duplex({
    read() {},
    write(_piece, _encoding, done) {
      release = done
    },
    highWaterMark: 100,
  })
  const clock = newManualClock()
  const messageBytesMax = 1_000_000
  const options = { clock, messageBytesMax, onFailure: () => {} }
  const connection = new WebSocketConnection(socket, Buffer.alloc(0), options)
  return { socket, connection, clock, release: () => release() }
}

const turn = () => new Promise((resolve) => setImmediate(resolve))

test('what is sent waits until the client has read', async () => {
  const { connection, release } = stuck()
  const order: string[] = []
  const sent = connection.send('x'.repeat(1000)).then(() => order.push('sent'))
  await turn()
  order.push('read')
  release()
  await sent
  expect(order).toEqual(['read', 'sent'])
})

test('a client that pings and does not read is not read either', async () => {
  const { socket, release } = stuck()
  const ping = clientFrame(9, Buffer.alloc(100))
  socket.push(ping)
  await turn()
  expect(socket.isPaused()).toBe(true)
  release()
  await turn()
  expect(socket.isPaused()).toBe(false)
})

test('messages that nobody takes stop the client, and go on when they are taken', async () => {
  const { socket, connection } = stuck()
  for (let at = 0; at < 4; at++) socket.push(clientFrame(2, Buffer.alloc(100_000, String(at))))
  await turn()
  expect(socket.isPaused()).toBe(true)
  for (let at = 0; at < 4; at++) {
    const { value } = await connection.messages.next()
    expect(value?.toString().slice(0, 2)).toBe(`${at}${at}`)
  }
  expect(socket.isPaused()).toBe(false)
})

test('a client that does not answer the goodbye is left after a while', async () => {
  const { socket, connection, clock, release } = stuck()
  connection.close(1000)
  release()
  expect(connection.signal.aborted).toBe(true)
  clock.advance(4_999)
  expect(socket.destroyed).toBe(false)
  clock.advance(1)
  expect(socket.destroyed).toBe(true)
})

const refused = handshake({ method: 'POST', headers: {} }, { protocol: undefined, headers: {} })

test('a client that is refused and does not go is left after a while', async () => {
  const clock = newManualClock()
  const written: string[] = []
  const socket = new Duplex({
    read() {},
    write(piece, _encoding, done) {
      written.push(String(piece))
      done()
    },
  })
  refuse(socket, refused, { clock, onFailure: () => {} })
  await once(socket, 'finish')
  expect(written.join('')).toMatch(/^HTTP\/1.1 405 Method Not Allowed\r\n/)
  clock.advance(4_999)
  expect(socket.destroyed).toBe(false)
  clock.advance(1)
  expect(socket.destroyed).toBe(true)
})

test('a client that is gone when it is refused does nobody harm', async () => {
  const failures: string[] = []
  const socket = new Duplex({
    read() {},
    write: (_piece, _encoding, done) => done(new Error('write ECONNRESET')),
  })
  const clock = newManualClock()
  refuse(socket, refused, { clock, onFailure: ({ message }) => failures.push(message) })
  await new Promise((resolve) => socket.once('close', resolve))
  expect(failures).toEqual(['write ECONNRESET'])
  expect(clock.pending()).toEqual([])
})
