// Which answers to heartbeats confirm which reads.
import { expect, test } from 'vitest'
import { Message, MessageType } from '../../src/api/gen/raft.js'
import { ReadOnly } from '../../src/raft/read-only.js'

const voters = [1n, 2n, 3n, 4n, 5n]

const read = (name: string): Message =>
  Message.fromPartial({
    type: MessageType.MsgReadIndex,
    entries: [{ Data: Buffer.from(name) }],
  })

const confirmed = (reads: ReadOnly): string[] =>
  reads.confirmed(voters, 1n).map(({ request }) => String(request.entries[0]?.Data))

const contextOf = (reads: ReadOnly): Buffer => reads.context() ?? Buffer.alloc(0)

test('a read is confirmed by a majority, the leader included, each counted once', () => {
  const reads = new ReadOnly()
  expect(reads.add(read('a'), 7)).toBe(true)
  reads.acknowledge(2n, contextOf(reads))
  reads.acknowledge(2n, contextOf(reads))
  expect(confirmed(reads)).toEqual([])
  reads.acknowledge(9n, contextOf(reads)) // a learner
  expect(confirmed(reads)).toEqual([])
  reads.acknowledge(3n, contextOf(reads))
  expect(confirmed(reads)).toEqual(['a'])
  expect(reads.waitingCount).toBe(0)
})

test('reads share the round whose heartbeats have not left, and no other', () => {
  const reads = new ReadOnly()
  expect(reads.add(read('a'), 7)).toBe(true)
  expect(reads.add(read('b'), 8)).toBe(false)
  const first = contextOf(reads)
  reads.closeRound()
  expect(reads.add(read('c'), 9)).toBe(true)
  for (const id of [2n, 3n]) reads.acknowledge(id, first)
  expect(confirmed(reads)).toEqual(['a', 'b'])
  expect(reads.waitingCount).toBe(1)
})

test('an answer to a later round confirms the earlier ones, an old one takes nothing back', () => {
  const reads = new ReadOnly()
  reads.add(read('a'), 7)
  const first = contextOf(reads)
  reads.closeRound()
  reads.add(read('b'), 7)
  const second = contextOf(reads)
  reads.acknowledge(2n, second)
  reads.acknowledge(2n, first)
  reads.acknowledge(4n, first)
  expect(confirmed(reads)).toEqual(['a'])
  reads.acknowledge(3n, second)
  expect(confirmed(reads)).toEqual(['b'])
})

test('a heartbeat names no round when no read waits, and foreign contexts are no answers', () => {
  const reads = new ReadOnly()
  expect(reads.context()).toBeUndefined()
  reads.add(read('a'), 7)
  for (const id of [2n, 3n, 4n]) {
    reads.acknowledge(id, Buffer.alloc(8, 0xff)) // a round that never was
    reads.acknowledge(id, Buffer.from('longer than eight'))
    reads.acknowledge(id, Buffer.alloc(0))
  }
  expect(confirmed(reads)).toEqual([])
})
