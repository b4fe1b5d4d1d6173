// small-log.ts: little logs on fake files, for the tests beside it.
import type { Entry, HardState } from '../../../src/api/gen/raft.js'
import { silentLog } from '../../../src/platform/log.js'
import { frameHead } from '../../../src/storage/wal/record.js'
import type { WalOptions } from '../../../src/storage/wal/segment.js'
import { createWal } from '../../../src/storage/wal/writer.js'
import { FakeFiles, seededRandom } from '../../support/fake-files.js'

export const dir = '/data/member/wal'
export const metadata = { nodeId: 0x8e9e05c52164694dn, clusterId: 0xcdf818194e3a8c32n }
export const origin = { index: 0, term: 0 }
export const firstName = '0000000000000000-0000000000000000.wal'
export const firstFile = `${dir}/${firstName}`

export interface Disk {
  files: FakeFiles
  options: WalOptions & { segmentBytes: number }
}

export async function emptyDisk({ segmentBytes = 8192, seed = 1 } = {}): Promise<Disk> {
  const files = new FakeFiles({ random: seededRandom(seed) })
  await files.makeDir('/data/member')
  for (const parent of ['/', '/data']) await files.syncDir(parent)
  return { files, options: { files, log: silentLog, segmentBytes } }
}

/** An entry whose data is `size` bytes that differ from index to index, none of them zero. */
export function entry(index: number, { term = 1, size = 20 } = {}): Entry {
  const data = Buffer.from(Array.from({ length: size }, (_, at) => 1 + ((index * 7 + at) % 255)))
  return { Type: 0, Term: term, Index: index, Data: data }
}

export const entries = (first: number, count: number, more = {}): Entry[] =>
  Array.from({ length: count }, (_, at) => entry(first + at, more))

export const state = (commit: number, term = 1): HardState => ({
  term,
  vote: metadata.nodeId,
  commit,
})

/** Entries 1 to 7 of many sizes, one of them mostly zeros, with states between. */
export async function writeSmallLog({ options }: Disk): Promise<Entry[]> {
  const wal = await createWal(dir, metadata, options)
  const all = [
    ...entries(1, 3),
    entry(4, { size: 700 }),
    { ...entry(5), Data: Buffer.alloc(1200) },
    entry(6, { size: 1100 }),
    entry(7, { size: 0 }),
  ]
  await wal.save(state(0), all.slice(0, 1), true)
  await wal.save(state(1), all.slice(1, 3), true)
  for (const next of all.slice(3)) await wal.save(undefined, [next], true)
  await wal.save(state(3), [], true)
  await wal.close()
  return all
}

export interface Frame {
  offset: number
  recordBytes: number
  padBytes: number
  end: number
}

/** Where the frames of a sound segment are. */
export function framesOf(content: Buffer): Frame[] {
  const frames: Frame[] = []
  let offset = 0
  for (;;) {
    const head = frameHead(content, offset)
    if (head === undefined) return frames
    const end = offset + 8 + head.recordBytes + head.padBytes
    frames.push({ offset, ...head, end })
    offset = end
  }
}

/** Replaces a file, length included, as if it had always been so. */
export async function plant({ files }: Disk, file: string, content: Buffer): Promise<void> {
  await files.makeDir(file.slice(0, file.lastIndexOf('/')))
  await files.remove(file)
  const handle = await files.open(file, 'create')
  await handle.write([content], 0)
  await handle.sync()
  await handle.close()
  await files.syncDir(file.slice(0, file.lastIndexOf('/')))
}
