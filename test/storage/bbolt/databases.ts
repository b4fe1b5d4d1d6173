// databases.ts: databases for tests, in a temporary directory, and their contents read back.
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import fc from 'fast-check'
import { type FileHandle, type Files, systemFiles } from '../../../src/platform/files.js'
import { openDatabase } from '../../../src/storage/bbolt/reader.js'
import type { Bucket, Item } from '../../../src/storage/bbolt/writer.js'

export const files = systemFiles

export interface TemporaryDir {
  readonly dir: string
  file(name: string): string
  [Symbol.asyncDispose](): Promise<void>
}

export async function temporaryDir(): Promise<TemporaryDir> {
  const dir = await mkdtemp(path.join(tmpdir(), 'bbolt-'))
  return {
    dir,
    file: (name) => path.join(dir, name),
    [Symbol.asyncDispose]: () => rm(dir, { recursive: true, force: true }),
  }
}

/** Bucket contents as text, fit to be compared. */
export type Contents = Record<string, [key: string, value: string][]>

export function contentsOf(buckets: readonly Bucket[]): Contents {
  return Object.fromEntries(
    buckets.map(({ name, items }) => [
      name,
      [...items].map(({ key, value }) => [text(key), text(value)]),
    ]),
  )
}

export async function readContents(file: string, of: Files = files): Promise<Contents> {
  const database = await openDatabase(file, { files: of })
  try {
    const contents: Contents = {}
    for (const name of database.bucketNames) {
      const items: [string, string][] = []
      for await (const leaf of database.leaves(name)) {
        for (const { key, value } of leaf) items.push([text(key), text(value)])
      }
      contents[name] = items
    }
    return contents
  } finally {
    await database.close()
  }
}

function text(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('latin1')
}

/** `count` items with keys 00000000, 00000001, … and values of `valueSize` bytes. */
export function numbered(count: number, valueSize: number): Item[] {
  const value = Buffer.alloc(valueSize, 'v')
  return Array.from({ length: count }, (_, at) => ({
    key: Buffer.from(String(at).padStart(8, '0')),
    value,
  }))
}

/** Sizes at which something changes: inline limits, page limits, many pages. */
const valueSize = fc.oneof(
  { weight: 6, arbitrary: fc.nat(60) },
  { weight: 2, arbitrary: fc.nat(1200) },
  { weight: 1, arbitrary: fc.integer({ min: 3900, max: 4200 }) },
  { weight: 1, arbitrary: fc.integer({ min: 8000, max: 20000 }) },
)

const keySize = fc.oneof(
  { weight: 9, arbitrary: fc.integer({ min: 3, max: 30 }) },
  { weight: 1, arbitrary: fc.integer({ min: 300, max: 3000 }) },
)

/** Items in order of key: two bytes of rank, then filler of a random length. */
const items = fc.array(fc.tuple(keySize, valueSize), { maxLength: 120 }).map((sizes) =>
  sizes.map(([ofKey, ofValue], at): Item => {
    const key = Buffer.alloc(ofKey, at & 0xff)
    key.writeUInt16BE(at)
    return { key, value: Buffer.alloc(ofValue, (at * 7) & 0xff) }
  }),
)

export const bucketsArbitrary = fc
  .uniqueArray(fc.constantFrom('alarm', 'auth', 'cluster', 'key', 'lease', 'members', 'meta'))
  .chain((names) =>
    fc.tuple(...names.sort().map((name) => items.map((of) => ({ name, items: of })))),
  )

/** A file system with one file that can only be read. */
export function inMemory(bytes: Uint8Array): Files {
  const handle: FileHandle = {
    async read(buffer, position) {
      const part = bytes.subarray(position, position + buffer.length)
      buffer.set(part)
      return part.length
    },
    size: async () => bytes.length,
    close: async () => {},
    write: refuse,
    sync: refuse,
    truncate: refuse,
  }
  return {
    ...systemFiles,
    open: async (_, mode) => (mode === 'read' ? handle : refuse()),
    exists: async () => true,
  }
}

async function refuse(): Promise<never> {
  throw new Error('this file can only be read')
}
