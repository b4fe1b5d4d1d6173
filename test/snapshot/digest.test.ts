// digest.test.ts: the digest of files that are hashed on a thread of their own is that of all bytes
// before it, at every size, and giving up leaves no thread behind.
import { createHash } from 'node:crypto'
import { expect, test } from 'vitest'
import { readDigest } from '../../src/snapshot/digest.js'
import { hashOnThread } from '../../src/snapshot/hash-thread.js'
import { inMemory } from '../storage/bbolt/databases.js'
import { withDigest } from './files.js'

const mebibyte = 1024 * 1024
const open = (bytes: Uint8Array) => inMemory(bytes).open('s', 'read')
const noise = Buffer.alloc(5 * mebibyte, 'some bytes that repeat only after a while ')

test.each([0, 1, mebibyte - 1, mebibyte, mebibyte + 1, 4 * mebibyte, 5 * mebibyte - 7])(
  'a thread hashes %i bytes',
  async (size) => {
    const digest = await hashOnThread(await open(noise), size, undefined)
    const expected = createHash('sha256').update(noise.subarray(0, size)).digest('hex')
    expect(digest.toString('hex')).toBe(expected)
  },
)

test('a large file is found right, and wrong after a change', async () => {
  const bytes = withDigest(Buffer.alloc(40 * mebibyte, 'x'))
  const right = await readDigest(await open(bytes))
  expect(right.stored?.equals(right.computed)).toBe(true)
  bytes.writeUInt8(1, 39 * mebibyte)
  const wrong = await readDigest(await open(bytes))
  expect(wrong.stored?.equals(wrong.computed)).toBe(false)
})

test('a failing read and an abort end the thread', async () => {
  const handle = await open(noise)
  let reads = 0
  const failing = {
    ...handle,
    async read(buffer: Uint8Array, position: number) {
      if (++reads > 2) throw new Error('no such sector')
      return handle.read(buffer, position)
    },
  }
  await expect(hashOnThread(failing, noise.length, undefined)).rejects.toThrow('no such sector')
  const aborted = AbortSignal.abort(new Error('given up'))
  await expect(hashOnThread(handle, noise.length, aborted)).rejects.toThrow('given up')
})
