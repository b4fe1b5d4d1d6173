// damage.ts: what a bad disk does to a log: a byte of the last record reads as another one. No
// member can make that good again, so it must not start. Least of all must it take the record for
// one that was never written, because it has answered for it.

import { frameHead, frameHeadBytes } from '../../src/storage/wal/record.js'
import { scanSegment } from '../../src/storage/wal/scan.js'
import { parseSegmentName } from '../../src/storage/wal/segment.js'
import type { FakeFiles } from '../support/fake-files.js'

/** Where a record stands in its file, from its length word to its last byte of data. */
export interface Place {
  file: string
  start: number
  end: number
}

const walDir = '/data/member/wal'

/** The last record of a log that nobody has open; undefined where there is none. */
export async function lastRecord(files: FakeFiles): Promise<Place | undefined> {
  if (!(await files.exists(walDir))) return undefined
  const names = (await files.list(walDir)).filter((name) => parseSegmentName(name) !== undefined)
  const file = `${walDir}/${names.at(-1)}`
  if (names.length === 0) return undefined
  const handle = await files.open(file, 'read')
  try {
    let start: number | undefined
    await scanSegment({ handle, file, isLast: true }, 0, (_, offset) => {
      start = offset
    })
    if (start === undefined) return undefined
    const head = Buffer.alloc(frameHeadBytes)
    await handle.read(head, start)
    const { recordBytes } = frameHead(head, 0) ?? { recordBytes: 0 }
    return { file, start, end: start + frameHeadBytes + recordBytes }
  } finally {
    await handle.close()
  }
}

/** The last byte of the record becomes another one. */
export async function spoil(files: FakeFiles, { file, end }: Place): Promise<void> {
  const byte = Buffer.alloc(1)
  await change(files, file, async (handle) => {
    await handle.read(byte, end - 1)
    const other = (byte[0] ?? 0) ^ 0x55
    await handle.write([Buffer.of(other === 0 ? 0x33 : other)], end - 1)
  })
}

/** As if the record had never reached the disk. */
export async function erase(files: FakeFiles, { file, start, end }: Place): Promise<void> {
  await change(files, file, async (handle) => {
    await handle.write([Buffer.alloc(end - start)], start)
  })
}

type Handle = Awaited<ReturnType<FakeFiles['open']>>

async function change(
  files: FakeFiles,
  file: string,
  write: (handle: Handle) => Promise<void>,
): Promise<void> {
  files.onSync = () => {}
  // A disk that goes bad does not ask for room.
  files.spaceBytes = Number.POSITIVE_INFINITY
  const handle = await files.open(file, 'write')
  try {
    await write(handle)
    await handle.sync()
  } finally {
    await handle.close()
  }
}
