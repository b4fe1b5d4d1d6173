// A row whose reader is always a little behind: order, and that nothing is kept of what was taken,
// by the row itself and by the two places that hold what came for a slow reader.
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { expect, test } from 'vitest'
import { Fifo } from '../../src/grpc/fifo.js'
import { HeldBytes } from '../../src/grpc/h2/held-bytes.js'
import { MessageQueue } from '../../src/grpc/message-queue.js'

setFlagsFromString('--expose-gc')
const collectGarbage = runInNewContext('gc') as () => void

test('things come in their order, however many wait', () => {
  const row = new Fifo<number>()
  let [next, due] = [0, 0]
  for (const [pushed, taken] of [
    [3, 5],
    [500, 100],
    [7, 390],
    [1000, 1000],
    [2, 20],
  ] as const) {
    for (let i = 0; i < pushed; i++) row.push(next++)
    for (let i = 0; i < taken; i++) expect(row.shift()).toBe(due < next ? due++ : undefined)
    expect(row.length).toBe(next - due)
  }
  row.push(next)
  row.clear()
  expect([row.length, row.shift()]).toEqual([0, undefined])
})

interface Place {
  push(item: Buffer): void
  take(): Promise<unknown> | unknown
}

const places: Record<string, () => Place> = {
  'a row': () => {
    const row = new Fifo<Buffer>()
    return { push: (item) => row.push(item), take: () => row.shift() }
  },
  'the messages of a stream': () => {
    const queue = new MessageQueue({ pause() {}, resume() {}, leave() {} })
    return { push: (item) => queue.push(item), take: () => queue.next() }
  },
  'the answer of a stream that is paused now and then': () => {
    const held = new HeldBytes({ mayKeep: true })
    return { push: (item) => held.push(item), take: () => held.shift() }
  },
}

test.each(Object.entries(places))('%s keeps nothing of what was taken', async (_name, make) => {
  const place = make()
  const all: WeakRef<ArrayBufferLike>[] = []
  const push = () => {
    const item = Buffer.allocUnsafeSlow(10_000)
    all.push(new WeakRef(item.buffer))
    place.push(item)
  }
  push()
  for (let i = 0; i < 300; i++) {
    push()
    await place.take()
  }
  // What a WeakRef was made of is kept until the turn is over.
  await new Promise((resolve) => setImmediate(resolve))
  collectGarbage()
  expect(all.filter((item) => item.deref() !== undefined).length).toBeLessThan(5)
})
