// damage.test.ts: a database with every byte changed in turn, cut at every length, and random bytes
// dressed up as one. The pages carry no checksum, so a changed value is a changed value; but the
// reader ends, and what it cannot make sense of is a CorruptionError and nothing else.
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { checkDatabase } from '../../../src/storage/bbolt/check.js'
import { writeMeta } from '../../../src/storage/bbolt/meta.js'
import { pageFlag, writePageHeader } from '../../../src/storage/bbolt/page.js'
import { planDatabase } from '../../../src/storage/bbolt/writer.js'
import { CorruptionError } from '../../../src/storage/errors.js'
import { inMemory, numbered, readContents } from './databases.js'

/** Three levels under 1024-byte pages, an overflow page, and an inline bucket. */
async function small(): Promise<Buffer> {
  const long = { key: Buffer.alloc(400, '1'), value: Buffer.alloc(1500, 'w') }
  const plan = await planDatabase(
    [
      { name: 'key', items: [...numbered(6, 400), long] },
      { name: 'meta', items: numbered(3, 4) },
    ],
    { pageSizeBytes: 1024 },
  )
  const chunks: Buffer[] = []
  for await (const chunk of plan.chunks()) chunks.push(chunk)
  return Buffer.concat(chunks)
}

/** 'read' or 'refused'; anything but a CorruptionError is thrown on. */
async function outcome(bytes: Uint8Array): Promise<'read' | 'refused'> {
  try {
    await checkDatabase('db', { files: inMemory(bytes) })
    await readContents('db', inMemory(bytes))
    return 'read'
  } catch (error) {
    if (error instanceof CorruptionError) return 'refused'
    throw error
  }
}

test('with any byte changed it is read or refused', async () => {
  const bytes = await small()
  const seen = new Set<string>()
  for (let at = 0; at < bytes.length; at++) {
    const before = bytes.readUInt8(at)
    bytes.writeUInt8(before ^ (at % 3 === 0 ? 0xff : 1 << (at % 8)), at)
    seen.add(await outcome(bytes))
    bytes.writeUInt8(before, at)
  }
  expect([...seen].sort()).toEqual(['read', 'refused'])
})

test('cut at any length it is refused', async () => {
  const bytes = await small()
  for (let length = 0; length < bytes.length; length++) {
    expect(await outcome(bytes.subarray(0, length))).toBe('refused')
  }
  expect(await outcome(Buffer.concat([bytes, Buffer.alloc(32, 1)]))).toBe('read')
})

test('with one meta changed at any byte it reads the same', async () => {
  const bytes = await small()
  const contents = await readContents('db', inMemory(bytes))
  for (const page of [0, 1024]) {
    for (let at = page + 16; at < page + 80; at++) {
      bytes.writeUInt8(bytes.readUInt8(at) ^ 0x10, at)
      expect(await readContents('db', inMemory(bytes))).toEqual(contents)
      bytes.writeUInt8(bytes.readUInt8(at) ^ 0x10, at)
    }
  }
})

test('random pages under sound metas are read or refused', async () => {
  const header = fc.record({
    id: fc.integer({ min: 2, max: 9 }),
    flags: fc.constantFrom<number>(...Object.values(pageFlag)),
    count: fc.oneof(fc.nat(8), fc.nat(0xffff)),
    overflow: fc.oneof(fc.nat(3), fc.nat(2 ** 32 - 1)),
  })
  const numbers = fc.array(fc.oneof(fc.nat(9), fc.nat(1024), fc.nat(2 ** 32 - 1)), {
    maxLength: 60,
  })
  const pages = fc.array(fc.tuple(header, numbers), { minLength: 8, maxLength: 8 })
  await fc.assert(
    fc.asyncProperty(pages, fc.boolean(), async (contents, fixIds) => {
      const bytes = Buffer.alloc(10 * 1024)
      for (const [at, [of, words]] of contents.entries()) {
        const page = bytes.subarray((at + 2) * 1024, (at + 3) * 1024)
        for (const [word, value] of words.entries()) page.writeUInt32LE(value, 16 + 4 * word)
        writePageHeader(page, fixIds ? { ...of, id: at + 2, overflow: 0 } : of)
      }
      const meta = { pageSizeBytes: 1024, root: 2, freelist: 9, highWaterMark: 10, txid: 5n }
      for (const id of [0, 1]) writeMeta(bytes.subarray(id * 1024), id, meta)
      await outcome(bytes)
    }),
    { numRuns: 1000 },
  )
})
