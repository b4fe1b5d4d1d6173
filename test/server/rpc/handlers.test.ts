// Streams that are another stream with some things done otherwise.
import { expect, test } from 'vitest'
import type { ServerStream } from '../../../src/grpc/server.js'
import { streamWith } from '../../../src/server/rpc/handlers.js'

test('nothing is written past a stream that writes in another way', async () => {
  const written: string[] = []
  const base: ServerStream = {
    path: '/t.S/M',
    metadata: {},
    peer: { address: '@' },
    signal: new AbortController().signal,
    write: async (...messages) => void written.push(`write ${messages.length}`),
    writeFramed: ({ count }) => void written.push(`framed ${count}`),
    async *[Symbol.asyncIterator]() {},
  }
  const framed = { bytes: Buffer.alloc(5), count: 1 }
  const reads = streamWith(base, { async *[Symbol.asyncIterator]() {} })
  await reads.write(framed.bytes)
  await reads.writeFramed?.(framed)
  expect(written.splice(0)).toEqual(['write 1', 'framed 1'])

  const waits = streamWith(base, { write: async () => void written.push('waited') })
  expect(waits.writeFramed).toBeUndefined()
  await streamWith(waits, {}).write(framed.bytes)
  expect(written).toEqual(['waited'])
})
