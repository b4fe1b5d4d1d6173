// transport.test.ts: two transports against each other, over real sockets.
import { describe, expect, test } from 'vitest'
import { type Message, MessageType } from '../../../src/api/gen/raft.js'
import type { SnapshotBody } from '../../../src/server/peer/transport.js'
import { seededRandom, startCuttingProxy } from '../../support/cutting-proxy.js'
import { connect, type End, heard, postMessage, raftMessage, startEnd, until } from './ends.js'

const a = 0x10bbd00daf2ae0e1n
const b = 0xe4b8b1d2c3a4f506n
const message = (fields: Partial<Message>): Message => raftMessage({ from: a, to: b, ...fields })
const entryOf = (text: string) => ({ Type: 0 as const, Term: 0, Index: 0, Data: Buffer.from(text) })
const numbers = ({ received }: End): number[] => received.map(({ index }) => index)

describe('messages between members', () => {
  test('arrive as they were sent, whatever their kind', async () => {
    await using left = await startEnd({ id: a })
    await using right = await startEnd({ id: b })
    await connect(left, right, { a, b })
    const sent = Object.values(MessageType)
      .filter((type) => type !== MessageType.MsgSnap)
      .map((type) => message({ type, term: 5, index: type, context: Buffer.from('c') }))
    left.transport.send(sent)
    await until(() => right.received.length === sent.length)
    const received = [...right.received].sort((x, y) => x.type - y.type)
    const meaning = ({ type, index, term, context }: Message) => [type, index, term, context]
    // An append that goes on where the last one ended has no room for a context.
    expect(received.map(meaning)).toEqual(sent.map(meaning))
    expect(left.unreachable).toEqual([])
  })

  test('keep their order on a stream, also when they are large', async () => {
    await using left = await startEnd({ id: a })
    await using right = await startEnd({ id: b })
    await connect(left, right, { a, b })
    const count = 40
    for (let index = 0; index < count; index++) {
      const Data = Buffer.alloc(500_000, index)
      const entries = [{ Type: 0 as const, Term: 2, Index: index + 1, Data }]
      const fields = { term: 2, logTerm: index === 0 ? 1 : 2, index, entries }
      left.transport.send([message({ type: MessageType.MsgApp, ...fields })])
    }
    await until(() => right.received.length === count)
    expect(numbers(right)).toEqual(Array.from({ length: count }, (_, index) => index))
    for (const { index, entries } of right.received) {
      expect(entries[0]?.Data?.equals(Buffer.alloc(500_000, index))).toBe(true)
    }
  })

  test('are left out where a later answer in the batch covers them', async () => {
    await using left = await startEnd({ id: a })
    await using right = await startEnd({ id: b })
    await connect(left, right, { a, b })
    const answer = { type: MessageType.MsgAppResp }
    left.transport.send([
      message({ ...answer, index: 1 }),
      message({ type: MessageType.MsgHeartbeatResp, index: 2 }),
      message({ ...answer, index: 3 }),
    ])
    left.transport.send([message({ type: MessageType.MsgHeartbeatResp, index: 4 })])
    await right.message(({ index }) => index === 4)
    expect(numbers(right)).toEqual([2, 3, 4])
  })

  // Raft gives an append twice the same effect as once, but a proposal it would put into the log
  // twice: nothing that a connection may or may not have delivered is sent again.
  test.each([1, 2, 3])(
    'arrive once or not at all, wherever connections break (seed %i)',
    async (seed) => {
      await using left = await startEnd({ id: a })
      await using right = await startEnd({ id: b })
      const random = seededRandom(seed)
      const breaking = ({ port }: End) =>
        startCuttingProxy({
          target: { host: '127.0.0.1', port },
          nextLimitBytes: () => 100 + random(4_000),
        })
      // Streams from left pass the first one; requests, and answers to them, the second.
      await using streams = await breaking(left)
      await using requests = await breaking(right)
      left.transport.addPeer(b, [`http://127.0.0.1:${requests.port}`])
      right.transport.addPeer(a, [`http://127.0.0.1:${streams.port}`])
      const count = 600
      const type = MessageType.MsgProp
      for (let index = 1; index <= count; index++) {
        left.transport.send([message({ type, index, entries: [entryOf(String(index))] })])
        if (random(3) === 0) await new Promise(setImmediate)
      }
      const isOver = () => numbers(right).includes(0)
      while (!isOver()) {
        left.transport.send([message({ index: 0 })])
        await new Promise(setImmediate)
      }
      const arrived = right.received.filter((each) => each.type === type).map(({ index }) => index)
      expect(arrived.length).toBe(new Set(arrived).size)
      expect(arrived.length).toBeGreaterThan(0)
      expect(streams.connectionCount + requests.connectionCount).toBeGreaterThan(5)
    },
  )

  test('go by requests while nobody has dialled, and can be answered by one who is no member', async () => {
    await using left = await startEnd({ id: a })
    await using right = await startEnd({ id: b })
    left.transport.addRemote(b, [right.url])
    left.transport.send([message({ index: 1 })])
    await right.message(({ index }) => index === 1)
    // Right was told by the request where left is.
    right.transport.send([raftMessage({ from: b, to: a, index: 2 })])
    await left.message(({ index }) => index === 2)
    expect(left.transport.activeSince(b)).toBeUndefined()
  })

  test('reach nobody who is not known, and nobody complains', async () => {
    await using left = await startEnd({ id: a })
    await using right = await startEnd({ id: b })
    await connect(left, right, { a, b })
    left.transport.send([message({ to: 77n, index: 1 }), message({ index: 2 })])
    await right.message(({ index }) => index === 2)
    expect(numbers(right)).toEqual([2])
    expect(left.unreachable).toEqual([])
  })

  test('that cannot go out are reported', async () => {
    const gone = await startEnd({ id: b })
    await gone.transport.close()
    await using left = await startEnd({ id: a })
    left.transport.addPeer(b, [gone.url])
    left.transport.send([message({})])
    await until(() => left.unreachable.includes(b))
  })

  test('find a member at its second URL, and at a new one', async () => {
    const gone = await startEnd({ id: b })
    await gone.transport.close()
    await using left = await startEnd({ id: a })
    await using right = await startEnd({ id: b })
    right.transport.addPeer(a, [gone.url, left.url])
    left.transport.addPeer(b, [gone.url])
    left.transport.updatePeer(b, ['no url at all'])
    left.transport.updatePeer(b, [right.url])
    await until(() => left.transport.activeSince(b) !== undefined)
  })
})

describe('a member', () => {
  test('is active since its streams are up both ways, and no longer when it is gone', async () => {
    await using left = await startEnd({ id: a })
    const right = await startEnd({ id: b })
    left.transport.addPeer(b, [right.url])
    expect(left.transport.activeSince(b)).toBeUndefined()
    await connect(left, right, { a, b })
    const since = left.transport.activeSince(b)
    left.transport.send([message({ index: 1 })])
    await right.message(({ index }) => index === 1)
    expect(left.transport.activeSince(b)).toBe(since)
    await right.transport.close()
    await until(() => left.transport.activeSince(b) === undefined)
    expect(left.transport.activeSince(77n)).toBeUndefined()
  })

  test('is cut off while it is paused, both ways, and back afterwards', async () => {
    await using left = await startEnd({ id: a })
    await using right = await startEnd({ id: b })
    await connect(left, right, { a, b })
    left.transport.pause(b)
    await until(() => right.transport.activeSince(a) === undefined)
    left.transport.send([message({ index: 1 })])
    await expect(postMessage(left, raftMessage({ from: b, to: a, index: 2 }))).rejects.toThrow()
    await until(() => left.unreachable.length > 0 && right.unreachable.length > 0)
    left.transport.resume(b)
    await until(() => right.transport.activeSince(a) !== undefined)
    await until(() => left.transport.activeSince(b) !== undefined)
    left.transport.send([message({ index: 3 })])
    right.transport.send([raftMessage({ from: b, to: a, index: 4 })])
    await right.message(({ index }) => index === 3)
    await left.message(({ index }) => index === 4)
    expect([...numbers(right), ...numbers(left)]).toEqual([3, 4])
  })

  test('that was removed hears it once, from whoever it dials', async () => {
    await using left = await startEnd({ id: a })
    await using right = await startEnd({ id: b, handlers: { isRemoved: (id) => id === a } })
    left.transport.addPeer(b, [right.url])
    await until(() => left.removedCount > 0)
    left.transport.send([message({})])
    await until(() => left.unreachable.length > 0)
    expect(left.removedCount).toBe(1)
    expect(right.received).toEqual([])
  })

  test('that is removed is dialled no more and gets nothing', async () => {
    await using left = await startEnd({ id: a })
    await using right = await startEnd({ id: b })
    await connect(left, right, { a, b })
    left.transport.removePeer(b)
    await until(() => right.transport.activeSince(a) === undefined)
    left.transport.send([message({ index: 1 })])
    expect(left.transport.activeSince(b)).toBeUndefined()
    left.transport.addPeer(b, [right.url])
    await until(() => left.transport.activeSince(b) !== undefined)
    left.transport.send([message({ index: 2 })])
    await right.message(({ index }) => index === 2)
    expect(numbers(right)).toEqual([2])
  })
})

describe('a snapshot', () => {
  const snapshot = {
    data: Buffer.from('{}'),
    metadata: {
      conf_state: {
        voters: [a],
        learners: [b],
        voters_outgoing: [],
        learners_next: [],
        auto_leave: false,
      },
      index: 42,
      term: 3,
    },
  }
  const snap = message({ type: MessageType.MsgSnap, term: 3, snapshot })

  function database(chunkCount: number, chunkBytes = 64 * 1024): SnapshotBody & { made: number } {
    const body = {
      made: 0,
      sizeBytes: chunkCount * chunkBytes,
      async *chunks() {
        for (let i = 0; i < chunkCount; i++) {
          body.made++
          yield Buffer.alloc(chunkBytes, i)
        }
      },
    }
    return body
  }

  async function startReceiver(receive: (body: AsyncIterable<Buffer>) => Promise<void>) {
    const heads: Message[] = []
    const right = await startEnd({
      id: b,
      handlers: {
        async receiveSnapshot(head, body) {
          heads.push(head)
          await receive(body).finally(heard)
        },
      },
    })
    return Object.assign(right, { heads })
  }

  test('arrives with its database, is stepped after that, and is reported', async () => {
    const pieces: Buffer[] = []
    let steppedAtEnd = -1
    await using left = await startEnd({ id: a })
    await using right = await startReceiver(async (body) => {
      for await (const piece of body) pieces.push(piece)
      steppedAtEnd = right.received.length
    })
    left.transport.addPeer(b, [right.url])
    left.transport.sendSnapshot(snap, database(20))
    await until(() => left.snapshots.length > 0)
    expect(left.snapshots).toEqual([{ id: b, ok: true }])
    expect(steppedAtEnd).toBe(0)
    expect(right.received).toEqual(right.heads)
    expect(right.heads[0]?.snapshot).toEqual(snapshot)
    const expected = Buffer.concat(Array.from({ length: 20 }, (_, i) => Buffer.alloc(64 * 1024, i)))
    expect(Buffer.concat(pieces).equals(expected)).toBe(true)
  })

  test('that is shorter than announced is taken for whole by nobody', async () => {
    let problem: unknown
    await using left = await startEnd({ id: a })
    await using right = await startReceiver(async (body) => {
      try {
        for await (const _ of body);
      } catch (error) {
        problem = error
        throw error
      }
    })
    left.transport.addPeer(b, [right.url])
    left.transport.sendSnapshot(snap, { ...database(3), sizeBytes: 4 * 64 * 1024 })
    await until(() => left.snapshots.length > 0 && problem !== undefined)
    expect(left.snapshots).toEqual([{ id: b, ok: false }])
    expect(right.received).toEqual([])
  })

  test('that the receiver cannot save has failed', async () => {
    await using left = await startEnd({ id: a })
    await using right = await startReceiver(async () => {
      throw new Error('no space left on device')
    })
    left.transport.addPeer(b, [right.url])
    left.transport.sendSnapshot(snap, database(100))
    await until(() => left.snapshots.length > 0)
    expect(left.snapshots).toEqual([{ id: b, ok: false }])
    expect(right.received).toEqual([])
  })

  test('is made as fast as the receiver takes it, and only one at a time', async () => {
    let go: () => void = () => {}
    const released = new Promise<void>((resolve) => {
      go = resolve
    })
    await using left = await startEnd({ id: a })
    await using right = await startReceiver(async (body) => {
      await released
      for await (const _ of body);
    })
    left.transport.addPeer(b, [right.url])
    const large = database(2_000)
    left.transport.sendSnapshot(snap, large)
    await until(() => right.heads.length > 0)
    left.transport.sendSnapshot(snap, database(1))
    await until(() => left.snapshots.length > 0)
    expect(left.snapshots).toEqual([{ id: b, ok: false }])
    // What was made waits in the sockets; the rest is not made.
    expect(large.made).toBeLessThan(1_000)
    go()
    await until(() => left.snapshots.length > 1)
    expect(left.snapshots.at(-1)).toEqual({ id: b, ok: true })
    expect(large.made).toBe(2_000)
  })

  test('to nobody who is known has failed', async () => {
    await using left = await startEnd({ id: a })
    left.transport.sendSnapshot(snap, database(1))
    await until(() => left.snapshots.length > 0)
    expect(left.snapshots).toEqual([{ id: b, ok: false }])
  })
})
