// Connections that are over without node:http2 saying so, and those that only seem to be.
import { expect, test } from 'vitest'
import { callHead, frameBytes, frameType, RawHttp2 } from '../support/raw-http2.js'
import { gate, onTestEnd, serve } from './ends.js'
import { ManualClock } from './manual-clock.js'

const { ping, goaway } = frameType

/** Lets everything happen that is on its way; the answers of a client included. */
async function minutePasses(clock: ManualClock, client?: RawHttp2): Promise<void> {
  clock.advance(60_000)
  await client?.settled()
}

async function connected() {
  const clock = new ManualClock()
  const held = gate<Buffer>()
  const handle = () => held.opened
  const { server, port } = await serve({ '/t.S/Held': { kind: 'unary', handle } }, { clock })
  const client = await RawHttp2.connect(port)
  onTestEnd(() => client.socket.destroy())
  await client.settled()
  return { clock, server, client }
}

const badPing = frameBytes(ping, { payload: Buffer.alloc(7) })

test.each([
  ['without calls', [badPing]],
  ['with a call half open', [callHead('/t.S/Held', 1), badPing]],
])('a client that broke the rules is cut off, %s', async (_name, frames) => {
  const { clock, server, client } = await connected()
  await client.send(...frames)
  await client.frame(({ type }) => type === goaway)
  expect(server.open.connections).toBe(1)
  const closed = client.frame(() => false)
  for (const _minute of [1, 2, 3]) {
    await minutePasses(clock)
    await new Promise((resolve) => setImmediate(resolve))
  }
  await closed
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
