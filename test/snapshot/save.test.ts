// save.test.ts: a stream becomes a whole snapshot file or no file at all.
import { mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { type FileHandle, type Files, systemFiles } from '../../src/platform/files.js'
import { RunningDigest } from '../../src/snapshot/digest.js'
import { type SaveProgress, type SnapshotBlob, saveSnapshot } from '../../src/snapshot/save.js'
import { temporaryDir } from '../storage/bbolt/databases.js'
import { blobsOf, recordedFile, withDigest } from './files.js'

const files = systemFiles
const snapshot = withDigest(Buffer.alloc(3_000_832, 'x'))

test('the stream becomes a file of mode 0600 that replaces the one before', async () => {
  await using place = await temporaryDir()
  const file = place.file('s.db')
  await writeFile(file, 'older')
  const saved = await saveSnapshot(blobsOf(snapshot), file, { files })
  expect(saved).toEqual({ sizeBytes: snapshot.length, version: '3.7.0' })
  expect((await readFile(file)).equals(snapshot)).toBe(true)
  expect((await stat(file)).mode & 0o777).toBe(0o600)
  expect(await readdir(place.dir)).toEqual(['s.db'])
})

test('a .part of a broken run before is written over', async () => {
  await using place = await temporaryDir()
  await writeFile(place.file('s.db.part'), Buffer.alloc(9_000_000, 'y'))
  await saveSnapshot(blobsOf(snapshot), place.file('s.db'), { files })
  expect((await readFile(place.file('s.db'))).equals(snapshot)).toBe(true)
  expect(await readdir(place.dir)).toEqual(['s.db'])
})

test('progress tells what came and what is to come', async () => {
  await using place = await temporaryDir()
  const seen: SaveProgress[] = []
  const progress = (done: SaveProgress): void => void seen.push(done)
  await saveSnapshot(blobsOf(snapshot, 1_000_000), place.file('s.db'), { files, progress })
  expect(seen).toEqual([
    { receivedBytes: 1_000_000, remainingBytes: 2_000_832 },
    { receivedBytes: 2_000_000, remainingBytes: 1_000_832 },
    { receivedBytes: 3_000_000, remainingBytes: 832 },
    { receivedBytes: 3_000_832, remainingBytes: 0 },
    { receivedBytes: 3_000_864, remainingBytes: 0 },
  ])
})

test('a target that is no file gets every byte in order', async () => {
  const parts: Uint8Array[] = []
  const write = async (data: Uint8Array): Promise<void> => void parts.push(data)
  await saveSnapshot(blobsOf(snapshot), { write }, { files })
  expect(Buffer.concat(parts).equals(snapshot)).toBe(true)
})

test('blobs of any size make the same file', async () => {
  await using place = await temporaryDir()
  const real = await readFile(recordedFile)
  for (const size of [1, 31, 32, 33, 511, 100_000]) {
    await saveSnapshot(blobsOf(real.subarray(0, 2048 + 32).fill(1), size), place.file('s'), {
      files,
    }).catch((error) => expect(error.message).toContain('expected sha256'))
    await saveSnapshot(blobsOf(real.subarray(4096), size * 50), place.file('s'), { files }).catch(
      (error) => expect(error.message).toContain('expected sha256'),
    )
  }
  const sizes = fc.array(fc.integer({ min: 1, max: 5000 }), { minLength: 1, maxLength: 50 })
  fc.assert(
    fc.property(sizes, (cuts) => {
      const digest = new RunningDigest()
      const bytes = withDigest(Buffer.alloc(10_240, 'z'))
      let at = 0
      for (let turn = 0; at < bytes.length; turn++) {
        const end = at + (cuts[turn % cuts.length] ?? 1)
        digest.update(bytes.subarray(at, end))
        at = Math.min(end, bytes.length)
      }
      const { stored, computed } = digest.end()
      expect(stored?.equals(computed)).toBe(true)
    }),
  )
})

async function* failing(after: number, error: Error): AsyncGenerator<SnapshotBlob> {
  let count = 0
  for await (const blob of blobsOf(snapshot)) {
    if (count++ === after) throw error
    yield blob
  }
}

const wrong = Buffer.from(snapshot)
wrong.writeUInt8(0, 77)

const refused: [what: string, blobs: () => AsyncIterable<SnapshotBlob>, message: string][] = [
  [
    'a stream that ends too early',
    () => blobsOf(snapshot.subarray(0, 1_000_000)),
    'sha256 checksum not found [bytes: 1000000]',
  ],
  ['an empty stream', async function* () {}, 'sha256 checksum not found [bytes: 0]'],
  ['a wrong byte', () => blobsOf(wrong), 'expected sha256 ['],
  ['a stream that breaks', () => failing(40, new Error('rpc error')), 'rpc error'],
]

for (const [what, blobs, message] of refused) {
  test(`${what} leaves the older file and nothing else`, async () => {
    await using place = await temporaryDir()
    await writeFile(place.file('s.db'), 'older')
    await expect(saveSnapshot(blobs(), place.file('s.db'), { files })).rejects.toThrow(message)
    expect(await readdir(place.dir)).toEqual(['s.db'])
    expect(await readFile(place.file('s.db'), 'utf8')).toBe('older')
  })
}

test('a digest that does not fit is shown as etcd shows it', async () => {
  const target = { write: async (): Promise<void> => {} }
  const list = '\\[\\d+( \\d+){31}\\]'
  await expect(saveSnapshot(blobsOf(wrong), target, { files })).rejects.toThrow(
    new RegExp(`^expected sha256 ${list}, got ${list}$`),
  )
})

test('a target in a directory that is not there is an error of opening', async () => {
  await using place = await temporaryDir()
  const file = place.file('no/s.db')
  await expect(saveSnapshot(blobsOf(snapshot), file, { files })).rejects.toThrow(
    `could not open ${file}.part (open ${file}.part: no such file or directory)`,
  )
})

test('a directory in the place of .part is left alone', async () => {
  await using place = await temporaryDir()
  await mkdir(place.file('s.db.part'))
  await writeFile(place.file('s.db.part/precious'), '')
  await expect(saveSnapshot(blobsOf(snapshot), place.file('s.db'), { files })).rejects.toThrow(
    'is a directory',
  )
  expect(await readdir(place.file('s.db.part'))).toEqual(['precious'])
})

test('a directory in the place of the target is an error of renaming', async () => {
  await using place = await temporaryDir()
  const file = place.file('s.db')
  await mkdir(file)
  await expect(saveSnapshot(blobsOf(snapshot), file, { files })).rejects.toThrow(
    `could not rename ${file}.part to ${file} (rename`,
  )
  expect(await readdir(place.dir)).toEqual(['s.db'])
})

for (const [call, message] of [
  ['write', 'could not write snapshot: write FILE.part: no space left on device'],
  ['sync', 'could not fsync snapshot: sync FILE.part: no space left on device'],
] as const) {
  test(`a disk that is full at ${call} leaves nothing`, async () => {
    await using place = await temporaryDir()
    const file = place.file('s.db')
    const full = failsAt(call)
    await expect(saveSnapshot(blobsOf(snapshot), file, { files: full })).rejects.toThrow(
      message.replace('FILE', file),
    )
    expect(await readdir(place.dir)).toEqual([])
  })
}

function failsAt(call: 'write' | 'sync'): Files {
  const noSpace = async (): Promise<never> => {
    throw Object.assign(new Error('ENOSPC: no space'), { code: 'ENOSPC' })
  }
  return {
    ...files,
    async open(file, mode) {
      const handle: FileHandle = await files.open(file, mode)
      return { ...handle, [call]: noSpace }
    },
  }
}
