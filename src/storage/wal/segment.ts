// segment.ts: the files of a log, by name and size.
//
//     member/wal/0000000000000000-0000000000000000.wal    sequence 0, entries from 0
//     member/wal/0000000000000001-0000000000002711.wal    sequence 1, entries from 10001
//     member/wal/0.tmp, 1.tmp                             successors made ahead
//     member/wal/*.wal.broken                             copies made before a repair
//
// The name's second number is the index of the first entry that the file may hold. A segment is
// given its full length when it is made and reads as zeros behind its last record; the length
// is only noted, not filled, so that making one costs no time.
import type { FileHandle, Files } from '../../platform/files.js'
import type { Log } from '../../platform/log.js'

/** etcd's: 64 million bytes, not 64 MiB. */
export const defaultSegmentBytes = 64_000_000

export interface WalOptions {
  files: Files
  log: Log
  /** A segment that an append has filled to here is closed and the next one begun. */
  segmentBytes?: number
}

export interface Segment {
  name: string
  sequence: number
  /** Index of the first entry that it may hold. */
  index: number
}

export function segmentOf(sequence: number, index: number): Segment {
  return { name: `${hex(sequence)}-${hex(index)}.wal`, sequence, index }
}

export function parseSegmentName(name: string): Segment | undefined {
  const match = /^([0-9a-f]{16})-([0-9a-f]{16})\.wal$/.exec(name)
  if (match === null) return undefined
  const sequence = Number.parseInt(match[1] ?? '', 16)
  const index = Number.parseInt(match[2] ?? '', 16)
  if (!Number.isSafeInteger(sequence) || !Number.isSafeInteger(index)) return undefined
  return { name, sequence, index }
}

/** The segments in `dir`, oldest first. Names that do not belong there are mentioned. */
export async function listSegments(dir: string, { files, log }: WalOptions): Promise<Segment[]> {
  const segments: Segment[] = []
  for (const name of await files.list(dir)) {
    const segment = parseSegmentName(name)
    if (segment !== undefined) segments.push(segment)
    else if (!/\.(tmp|broken)$/.test(name)) {
      log.warn('ignored file in WAL directory', { dir, name })
    }
  }
  return segments
}

/** Makes everything from `end` on read as zeros, up to at least `lengthMin`, lastingly. */
export async function zeroTail(handle: FileHandle, end: number, lengthMin: number): Promise<void> {
  const length = Math.max(await handle.size(), lengthMin)
  await handle.truncate(end)
  await handle.truncate(length)
  await handle.sync()
}

const hex = (value: number): string => value.toString(16).padStart(16, '0')
