// Connections that let nothing out any more, and those that only seem so.
import { expect, test } from 'vitest'
import { callHead, frameBytes, frameType, RawHttp2 } from '../support/raw-http2.js'
import { gate, onTestEnd, serve, keepalive as usual } from './ends.js'
import { ManualClock } from './manual-clock.js'

const { ping, goaway } = frameType

/** Pings as often as it likes: this is not about those. */
const keepalive = { ...usual, minTimeMs: 0, permitWithoutStream: true }

async function connected() {
  const clock = new ManualClock()
  const held = gate<Buffer>()
  const handle = () => held.opened
  const { server, port } = await serve(
    { '/t.S/Held': { kind: 'unary', handle } },
    { clock, keepalive },
  )
  const client = await RawHttp2.connect(port)
  onTestEnd(() => client.socket.destroy())
  await client.settled()
  return { clock, server, client }
}

test('a client that takes nothing and says nothing is cut off', async () => {
  const { clock, server, client } = await connected()
  client.socket.pause()
  const pings = Buffer.concat(
    Array<Buffer>(10_000).fill(frameBytes(ping, { flags: 0, payload: Buffer.alloc(8) })),
  )
  await client.send(callHead('/t.S/Held', 1))
  // Until it is not listened to any more: then what it sends stays on its own side.
  for (let isTaken = true; isTaken; ) {
    const sent = client.send(pings).then(() => true)
    const turns = async () => {
      for (let turn = 0; turn < 200; turn++) await new Promise((resolve) => setImmediate(resolve))
      return false
    }
    isTaken = await Promise.race([sent, turns()])
  }
  for (let minute = 0; server.open.connections > 0; minute++) {
    expect(minute).toBeLessThan(100) // after two hours keepalive would notice
    clock.advance(60_000)
    for (let turn = 0; turn < 50; turn++) await new Promise((resolve) => setImmediate(resolve))
  }
  expect(server.open).toEqual({ connections: 0, http2Sessions: 0, calls: 0 })
  expect(clock.pendingCount).toBe(0)
})

test('one that broke the rules is told so, and gone', async () => {
  const { clock, server, client } = await connected()
  await client.send(callHead('/t.S/Held', 1), frameBytes(ping, { payload: Buffer.alloc(7) }))
  expect((await client.frame(({ type }) => type === goaway))?.payload.readUInt32BE(4)).toBe(6)
  await client.frame(() => false)
  while (server.open.connections > 0) await new Promise((resolve) => setImmediate(resolve))
  expect(server.open).toEqual({ connections: 0, http2Sessions: 0, calls: 0 })
  expect(clock.pendingCount).toBe(0)
})

test('one that is only silent stays, and is sent one ping for its silence', async () => {
  const { clock, server, client } = await connected()
  const pings = () => client.received.filter(({ type, flags }) => type === ping && flags === 0)
  clock.advance(60_000)
  clock.advance(60_000)
  await client.frame(({ type, flags }) => type === ping && flags === 0)
  for (let minute = 0; minute < 10; minute++) clock.advance(60_000)
  expect(server.open.connections).toBe(1)
  await client.settled()
  expect(pings()).toHaveLength(1)
})
