// digest.test.ts: the digest of files that are hashed on a thread of their own is that of all bytes
// before it, at every size, and giving up leaves no thread behind.
import { createHash } from 'node:crypto'
import { open as openPlain, truncate, writeFile } from 'node:fs/promises'
import { expect, test } from 'vitest'
import type { FileHandle } from '../../src/platform/files.js'
import { readDigest } from '../../src/snapshot/digest.js'
import { hashOnThread } from '../../src/snapshot/hash-thread.js'
import { files, inMemory, temporaryDir } from '../storage/bbolt/databases.js'
import { withDigest } from './files.js'

const mebibyte = 1024 * 1024
const noise = Buffer.alloc(2 * mebibyte, 'some bytes that repeat only after a while ')

async function withFile(
  bytes: Uint8Array,
  use: (handle: FileHandle & { descriptor: number }) => Promise<void>,
): Promise<void> {
  await using dir = await temporaryDir()
  await writeFile(dir.file('s'), bytes)
  const { descriptor, ...handle } = await files.open(dir.file('s'), 'read')
  if (descriptor === undefined) throw new Error('a file of the system has a descriptor')
  try {
    await use({ ...handle, descriptor })
  } finally {
    await handle.close()
  }
}

test('a thread hashes as many bytes as it is told, or as there are', async () => {
  await withFile(noise, async ({ descriptor }) => {
    const piece = mebibyte / 4
    for (const size of [0, 1, piece - 1, piece, piece + 1, noise.length, noise.length + 9]) {
      const digest = await hashOnThread(descriptor, size, undefined)
      const expected = createHash('sha256').update(noise.subarray(0, size)).digest('hex')
      expect(digest.toString('hex')).toBe(expected)
    }
  })
})

test('a large file is found right, and wrong after a change, by the thread and without', async () => {
  const bytes = withDigest(Buffer.alloc(40 * mebibyte, 'x'))
  const isRight = async (handle: FileHandle): Promise<boolean | undefined> => {
    const { stored, computed } = await readDigest(handle)
    return stored?.equals(computed)
  }
  const inMemoryHandle = await inMemory(bytes).open('s', 'read')
  await withFile(bytes, async (handle) => expect(await isRight(handle)).toBe(true))
  expect(await isRight(inMemoryHandle)).toBe(true)
  bytes.writeUInt8(1, 39 * mebibyte)
  await withFile(bytes, async (handle) => expect(await isRight(handle)).toBe(false))
  expect(await isRight(inMemoryHandle)).toBe(false)
})

test('a failing read ends the thread with the words of the system', async () => {
  const directory = await openPlain('.', 'r')
  const hashing = hashOnThread(directory.fd, 1, undefined)
  await expect(hashing).rejects.toMatchObject({ code: 'EISDIR', syscall: 'read' })
  await directory.close()
})

test('an abort ends the thread, before it starts and in the middle', async () => {
  await withFile(noise, async ({ descriptor }) => {
    const aborted = AbortSignal.abort(new Error('given up'))
    await expect(hashOnThread(descriptor, noise.length, aborted)).rejects.toThrow('given up')
  })
  await using dir = await temporaryDir()
  await writeFile(dir.file('huge'), '')
  const size = 2 ** 42 // Hashing so much would take an hour. It is all hole, and takes no room.
  await truncate(dir.file('huge'), size)
  const handle = await openPlain(dir.file('huge'), 'r')
  const later = new AbortController()
  const hashing = hashOnThread(handle.fd, size, later.signal)
  later.abort(new Error('given up'))
  await expect(hashing).rejects.toThrow('given up')
  await handle.close()
})
