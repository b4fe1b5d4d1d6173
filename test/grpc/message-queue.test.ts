// message-queue.test.ts: the queue between a stream and its reader: order, ends and back-pressure.
import { expect, test } from 'vitest'
import { MessageQueue } from '../../src/grpc/message-queue.js'
import { RpcError, Status } from '../../src/grpc/status.js'

function newQueue() {
  const events: string[] = []
  const queue = new MessageQueue({
    pause: () => events.push('pause'),
    resume: () => events.push('resume'),
    leave: () => events.push('leave'),
  })
  return { queue, events }
}

const enough = new RpcError(Status.unavailable, 'gone')
const done = { value: undefined, done: true }

test('messages come in order, whether the reader or the message is first', async () => {
  const { queue } = newQueue()
  const early = queue.next()
  queue.push(Buffer.from('a'))
  queue.push(Buffer.from('b'))
  queue.end()
  expect(String((await early).value)).toBe('a')
  expect(String((await queue.next()).value)).toBe('b')
  expect(await queue.next()).toEqual(done)
  expect(await queue.next()).toEqual(done)
})

test('it asks for a pause when it is full and goes on when it is half empty', async () => {
  const { queue, events } = newQueue()
  const message = Buffer.alloc(64 * 1024)
  for (let i = 0; i < 3; i++) queue.push(message)
  expect(events).toEqual([])
  queue.push(message)
  queue.push(message) // what was under way when the pause began
  expect(events).toEqual(['pause'])
  for (let i = 0; i < 3; i++) await queue.next()
  expect(events).toEqual(['pause'])
  await queue.next()
  expect(events).toEqual(['pause', 'resume'])
})

test('many empty messages fill it as well', () => {
  const { queue, events } = newQueue()
  for (let i = 0; i < 5000; i++) queue.push(Buffer.alloc(0))
  expect(events).toEqual(['pause'])
})

test('an error at the end comes after the messages, once', async () => {
  const { queue } = newQueue()
  queue.push(Buffer.from('a'))
  queue.end(enough)
  expect(String((await queue.next()).value)).toBe('a')
  await expect(queue.next()).rejects.toBe(enough)
  expect(await queue.next()).toEqual(done)
})

test('an abort drops the messages, even after the end was known', async () => {
  for (const isEnded of [false, true]) {
    const { queue } = newQueue()
    queue.push(Buffer.from('a'))
    if (isEnded) queue.end()
    queue.abort(enough)
    await expect(queue.next()).rejects.toBe(enough)
    expect(await queue.next()).toEqual(done)
  }
})

test('a loop that breaks off leaves, and nothing comes any more', async () => {
  const { queue, events } = newQueue()
  queue.push(Buffer.from('a'))
  queue.push(Buffer.from('b'))
  for await (const _ of { [Symbol.asyncIterator]: () => queue }) break
  expect(events).toEqual(['leave'])
  queue.push(Buffer.from('c'))
  expect(await queue.next()).toEqual(done)
})

test('small messages that wait keep nothing else that came with them', async () => {
  const { queue } = newQueue()
  const count = 1000
  for (let i = 0; i < count; i++) {
    const socketPiece = Buffer.allocUnsafeSlow(65_536).fill(i)
    queue.push(socketPiece.subarray(100, 110))
  }
  const kept = new Set<ArrayBufferLike>()
  for (let i = 0; i < count; i++) {
    const { value } = await queue.next()
    expect(value).toEqual(Buffer.alloc(10, i))
    if (value !== undefined) kept.add(value.buffer)
  }
  const bytes = [...kept].reduce((sum, { byteLength }) => sum + byteLength, 0)
  expect(bytes).toBeLessThan(count * 128)
})

test('a reader that waits is let go when another part of the program leaves', async () => {
  const { queue, events } = newQueue()
  const waiting = queue.next()
  expect(await queue.return()).toEqual(done)
  expect(await waiting).toEqual(done)
  expect(events).toEqual(['leave'])
})
