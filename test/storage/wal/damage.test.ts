// damage.test.ts: a small log cut at every offset, zeroed from every sector on, and with each bit
// flipped. What must come out is worked out here from the rules alone: a record that is too long
// for the file, or that fails its checks and covers a sector of zeros, is torn; any other is
// corrupt; a length word of zero ends the log.
import { beforeAll, describe, expect, test } from 'vitest'
import { Entry } from '../../../src/api/gen/raft.js'
import { CorruptionError } from '../../../src/storage/errors.js'
import { readLog, walSnapshots } from '../../../src/storage/wal/reader.js'
import { openWal } from '../../../src/storage/wal/writer.js'
import {
  dir,
  emptyDisk,
  entry,
  type Frame,
  firstFile,
  firstName,
  framesOf,
  metadata,
  origin,
  plant,
  writeSmallLog,
} from './small-log.js'

let sound: Buffer
let frames: Frame[]
let entries: Entry[]
let usedBytes: number

beforeAll(async () => {
  const disk = await emptyDisk()
  entries = await writeSmallLog(disk)
  sound = await disk.files.readFile(firstFile)
  frames = framesOf(sound)
  usedBytes = frames.at(-1)?.end ?? 0
})

type Outcome = { kind: 'clean' | 'torn' | 'corrupt'; offset: number; entries: number }

/** What reading a file with this content comes to. The commit of the log is left out of it. */
async function outcomeOf(content: Buffer): Promise<Outcome> {
  const disk = await emptyDisk()
  await plant(disk, firstFile, content)
  try {
    const log = await readLog(dir, origin, disk.options)
    // Whatever the damage, what is returned was written.
    expect(log.entries.every((found, at) => isSame(found, entries[at]))).toBe(true)
    const kind = log.end.torn === undefined ? 'clean' : 'torn'
    return { kind, offset: log.end.offset, entries: log.entries.length }
  } catch (error) {
    if (!(error instanceof CorruptionError)) throw error
    expect(error.file).toBe(firstFile)
    expect(error.message).toContain(`wal ${firstFile} at ${error.offset}: `)
    return { kind: 'corrupt', offset: error.offset, entries: 0 }
  }
}

const isSame = (a: Entry, b: Entry | undefined): boolean =>
  b !== undefined && Buffer.compare(Entry.encode(a).finish(), Entry.encode(b).finish()) === 0

/** The first record that differs from the sound log. */
function damagedFrame(content: Buffer): Frame | undefined {
  return frames.find(({ offset, end }) => content.compare(sound, offset, end, offset, end) !== 0)
}

/** Records 0 to 2 are the checksum, the metadata and the snapshot 0: no log without them. */
const headFrames = 3

function coversZeroSector(content: Buffer, start: number, end: number): boolean {
  for (let sector = Math.floor(start / 512) * 512; sector < end; sector += 512) {
    const part = content.subarray(Math.max(start, sector), Math.min(end, sector + 512))
    if (part.length > 0 && Buffer.alloc(part.length).equals(part)) return true
  }
  return false
}

test('the sound log reads back', async () => {
  expect(await outcomeOf(sound)).toEqual({ kind: 'clean', offset: usedBytes, entries: 7 })
})

test('a file that ends anywhere is clean between records and torn within one', async () => {
  for (let length = frames[headFrames - 1]?.end ?? 0; length < usedBytes; length++) {
    const frame = frames.find(({ end }) => end > length)
    const isBoundary = frame?.offset === length
    const outcome = await outcomeOf(sound.subarray(0, length))
    expect([length, outcome.kind, outcome.offset]).toEqual([
      length,
      isBoundary ? 'clean' : 'torn',
      frame?.offset,
    ])
  }
})

test('a file that ends before its metadata does is refused', async () => {
  for (let length = 0; length < (frames[1]?.end ?? 0); length++) {
    expect((await outcomeOf(sound.subarray(0, length))).kind).toBe('corrupt')
  }
})

test('a file whose last sectors never arrived is clean or torn, never corrupt', async () => {
  for (let from = 512; from < usedBytes; from += 512) {
    const content = Buffer.from(sound)
    content.fill(0, from)
    const frame = damagedFrame(content)
    const kind = (frame?.offset ?? 0) >= from ? 'clean' : 'torn'
    const outcome = await outcomeOf(content)
    expect([from, outcome.kind, outcome.offset]).toEqual([from, kind, frame?.offset])
  }
})

test('zeros from any byte on are clean, torn or corrupt by the sectors they cover', async () => {
  for (let from = frames[headFrames - 1]?.end ?? 0; from < usedBytes; from++) {
    const content = Buffer.from(sound)
    content.fill(0, from)
    const frame = damagedFrame(content)
    if (frame === undefined || isPadding(frame, from)) continue
    expect([from, await outcomeOf(content)]).toMatchObject([from, expected(content, frame)])
  }
})

describe('a flipped bit', () => {
  for (let bit = 0; bit < 8; bit++) {
    test(`number ${bit} of any byte is reported where it is`, async () => {
      for (let at = 0; at < usedBytes; at++) {
        // One bit of each byte is enough for the inside of long data, where all are alike.
        const frame = frames.find(({ end }) => end > at)
        if (frame !== undefined && at - frame.offset > 48 && at % 8 !== bit) continue
        const content = Buffer.from(sound)
        content[at] = (content[at] ?? 0) ^ (1 << bit)
        await checkFlip(content, at)
      }
    })
  }
})

const isPadding = (frame: Frame, at: number): boolean => at >= frame.offset + 8 + frame.recordBytes

async function checkFlip(content: Buffer, at: number): Promise<void> {
  const frame = frames.find(({ end }) => end > at)
  if (frame === undefined) throw new Error(`no record at ${at}`)
  const outcome = await outcomeOf(content)
  const inRecord = at - frame.offset - 8
  // Padding is not checked by anyone.
  if (isPadding(frame, at)) return expect(outcome.entries).toBe(entries.length)
  // The type is in no checksum: such a record may pass, but then nothing wrong comes out. The
  // same holds for a length of padding, and for the checksum that the first record carries.
  const isUnchecked = inRecord === 0 || inRecord === 1 || inRecord === -1 || frame.offset === 0
  if (isUnchecked) return
  const frameNumber = frames.indexOf(frame)
  if (frameNumber < headFrames) return expect(outcome.kind).toBe('corrupt')
  expect([at, outcome]).toMatchObject([at, expected(content, frame)])
}

/** The rules, for content whose records before `frame` are sound and which itself is not. */
function expected(content: Buffer, frame: Frame): Partial<Outcome> {
  const word = content.readBigUInt64LE(frame.offset)
  const { offset } = frame
  if (word === 0n) return { kind: 'clean', offset }
  const recordBytes = word & 0xffffffffffffffn
  const padBytes = word >> 63n === 0n ? 0n : (word >> 56n) & 7n
  const end = BigInt(offset) + 8n + recordBytes + padBytes
  if (end > BigInt(content.length)) return { kind: 'torn', offset }
  const isTorn = coversZeroSector(content, offset + 8, Number(end))
  return { kind: isTorn ? 'torn' : 'corrupt', offset }
}

test('a torn tail is cut off once, the file kept as it was, and the log goes on', async () => {
  const disk = await emptyDisk()
  const length = (frames[6]?.end ?? 0) - 5
  await plant(disk, firstFile, sound.subarray(0, length))
  const { wal, entries: kept, hardState } = await openWal(dir, origin, disk.options)
  expect(kept).toEqual(entries.slice(0, 2))
  expect(hardState).toEqual({ term: 1, vote: metadata.nodeId, commit: 0 })
  const copy = await disk.files.readFile(`${dir}/${firstName}.broken`)
  expect(copy.equals(sound.subarray(0, length))).toBe(true)
  await wal.save(undefined, [entry(3, { term: 2 })], true)
  await wal.close()
  const again = await openWal(dir, origin, disk.options)
  expect(again.entries).toEqual([...entries.slice(0, 2), entry(3, { term: 2 })])
  await again.wal.close()
})

test('a corrupt log is left as it is', async () => {
  const disk = await emptyDisk()
  const content = Buffer.from(sound)
  const at = (frames[4]?.offset ?? 0) + 20
  content[at] = (content[at] ?? 0) ^ 1
  await plant(disk, firstFile, content)
  await expect(openWal(dir, origin, disk.options)).rejects.toThrow(CorruptionError)
  expect(await disk.files.list(dir)).toEqual([firstName])
  expect((await disk.files.readFile(firstFile)).equals(content)).toBe(true)
})

test('garbage behind a clean end is wiped', async () => {
  const disk = await emptyDisk()
  const content = Buffer.from(sound)
  content.fill(0xab, usedBytes + 8)
  await plant(disk, firstFile, content)
  const { wal, entries: kept } = await openWal(dir, origin, disk.options)
  expect(kept).toEqual(entries)
  await wal.close()
  const after = await disk.files.readFile(firstFile)
  expect(after.equals(sound)).toBe(true)
})

test('a committed entry that is missing is no torn tail', async () => {
  const disk = await emptyDisk()
  await plant(disk, firstFile, sound)
  const { wal } = await openWal(dir, origin, disk.options)
  await wal.save({ term: 1, vote: metadata.nodeId, commit: 9 }, [], true)
  await wal.close()
  await expect(openWal(dir, origin, disk.options)).rejects.toThrow('entry 9, which was committed')
})

test('the snapshot list of a torn log is read without repairing it', async () => {
  const disk = await emptyDisk()
  await plant(disk, firstFile, sound.subarray(0, usedBytes - 3))
  expect(await walSnapshots(dir, disk.options)).toEqual([origin])
  expect(await disk.files.list(dir)).toEqual([firstName])
})
