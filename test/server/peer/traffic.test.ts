// What the transport counts of its peers: bytes at both ends, snapshots, and what got lost.
import { expect, test } from 'vitest'
import { type Message, MessageType } from '../../../src/api/gen/raft.js'
import { PeerFigures, PeerTraffic } from '../../../src/server/peer/traffic.js'
import { connect, raftMessage, startEnd, until } from './ends.js'

const a = 0x10bbd00daf2ae0e1n
const b = 0xe4b8b1d2c3a4f506n
const message = (fields: Partial<Message>): Message => raftMessage({ from: a, to: b, ...fields })

async function connectedPair() {
  const [fromLeft, fromRight] = [new PeerTraffic(), new PeerTraffic()]
  const left = await startEnd({ id: a, parts: { traffic: fromLeft } })
  const right = await startEnd({ id: b, parts: { traffic: fromRight } })
  await connect(left, right, { a, b })
  return { left, right, toRight: fromLeft.of(b), toLeft: fromRight.of(a) }
}

test('bytes of messages are counted where they leave and where they arrive', async () => {
  const { left, right, toRight, toLeft } = await connectedPair()
  await using _left = left
  await using _right = right
  const before = { sent: toRight.sentBytes, received: toLeft.receivedBytes }
  const context = Buffer.alloc(100_000)
  left.transport.send([message({ type: MessageType.MsgHeartbeatResp, context })])
  await until(() => right.received.length === 1)
  const sent = toRight.sentBytes - before.sent
  expect(sent).toBeGreaterThan(100_000)
  expect(sent).toBeLessThan(100_200)
  expect(toLeft.receivedBytes - before.received).toBe(sent)
  expect([toRight.sentFailures, toLeft.receivedFailures]).toEqual([0, 0])
})

test('a snapshot is one at both ends, with its bytes', async () => {
  const { left, right, toRight, toLeft } = await connectedPair()
  await using _left = left
  await using _right = right
  const piece = Buffer.alloc(64 * 1024)
  const database = {
    sizeBytes: 3 * piece.length,
    async *chunks() {
      for (let at = 0; at < 3; at++) yield piece
    },
  }
  left.transport.sendSnapshot(message({ type: MessageType.MsgSnap }), database)
  expect(toRight.snapshotsSent.inflight).toBe(1)
  await until(() => left.snapshots.length === 1)
  expect(toRight.snapshotsSent).toMatchObject({ inflight: 0, successes: 1, failures: 0 })
  expect(toLeft.snapshotsReceived).toMatchObject({ inflight: 0, successes: 1, failures: 0 })
  expect(toRight.sentBytes).toBeGreaterThanOrEqual(database.sizeBytes)
  expect(toLeft.receivedBytes).toBeGreaterThanOrEqual(database.sizeBytes)

  left.transport.sendSnapshot(message({ type: MessageType.MsgSnap }), { ...database, sizeBytes: 1 })
  await until(() => left.snapshots.length === 2)
  expect(toRight.snapshotsSent).toMatchObject({ inflight: 0, successes: 1, failures: 1 })
  expect(toRight.sentFailures).toBe(1)
})

test('a peer that goes is counted once, and messages that cannot reach it are', async () => {
  const { left, right, toRight } = await connectedPair()
  await using _left = left
  expect(toRight.isActive).toBe(true)
  await right[Symbol.asyncDispose]()
  await until(() => left.transport.activeSince(b) === undefined)
  expect(toRight).toMatchObject({ isActive: false, disconnections: 1 })
  const before = toRight.sentFailures
  // Whatever is still written to a connection that is gone is lost with nobody knowing.
  await until(() => {
    left.transport.send([message({ type: MessageType.MsgHeartbeat })])
    return toRight.sentFailures > before
  })
  expect(left.unreachable).toContain(b)
})

test('a peer that was never there is not lost', () => {
  const peer = new PeerFigures()
  peer.setActive(false)
  peer.setActive(true)
  peer.setActive(true)
  peer.setActive(false)
  peer.setActive(false)
  expect(peer.disconnections).toBe(1)
})
