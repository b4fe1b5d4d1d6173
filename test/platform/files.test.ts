// files.test.ts: files that are read at once say the same as those that are read by the pool, and
// let whatever else waits have its turn.
import { writeFile } from 'node:fs/promises'
import { expect, test } from 'vitest'
import { blockingFiles, systemFiles } from '../../src/platform/files.js'
import { temporaryDir } from '../storage/bbolt/databases.js'

const mebibyte = 1024 * 1024

test.each([
  ['at once', blockingFiles],
  ['by the pool', systemFiles],
])('a file that is read %s fills the buffer up to its own end', async (_, files) => {
  await using dir = await temporaryDir()
  await writeFile(dir.file('f'), '0123456789')
  const handle = await files.open(dir.file('f'), 'read')
  const buffer = Buffer.alloc(4)
  expect(await handle.read(buffer, 3)).toBe(4)
  expect(buffer.toString()).toBe('3456')
  expect(await handle.read(buffer, 8)).toBe(2)
  expect(buffer.toString()).toBe('8956')
  expect(await handle.read(buffer, 10)).toBe(0)
  await handle.close()
  await expect(files.open(dir.file('none'), 'read')).rejects.toThrow('ENOENT')
})

test('reading at once for long does not keep a signal or a timer from its turn', async () => {
  await using dir = await temporaryDir()
  await writeFile(dir.file('f'), Buffer.alloc(mebibyte))
  const handle = await blockingFiles.open(dir.file('f'), 'read')
  const piece = Buffer.alloc(mebibyte / 4)
  let isOver = false
  setImmediate(() => {
    isOver = true
  })
  for (let at = 0; at < 3; at++) {
    await handle.read(piece, at * piece.length)
    expect(isOver).toBe(false)
  }
  await handle.read(piece, 3 * piece.length)
  expect(isOver).toBe(true)
  await handle.close()
})
