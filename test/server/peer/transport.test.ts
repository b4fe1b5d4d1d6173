// transport.test.ts: two transports against each other, over real sockets.
import { expect, test } from 'vitest'
import { MessageType } from '../../../src/api/gen/raft.js'
import { connect, raftMessage, startEnd } from './ends.js'

const a = 0x10bbd00daf2ae0e1n
const b = 0xe4b8b1d2c3a4f506n

test('messages of every kind arrive as they were sent', async () => {
  await using left = await startEnd({ id: a })
  await using right = await startEnd({ id: b })
  await connect(left, right, { a, b })
  const messages = Object.values(MessageType)
    .filter((type) => type !== MessageType.MsgSnap)
    .map((type) =>
      raftMessage({ type, from: a, to: b, term: 5, index: type, context: Buffer.from('c') }),
    )
  left.transport.send(messages)
  await right.until(() => right.received.length === messages.length)
  const byType = [...right.received].sort((x, y) => x.type - y.type)
  expect(byType.map(({ type, index }) => [type, index])).toEqual(
    messages.map(({ type, index }) => [type, index]),
  )
})
