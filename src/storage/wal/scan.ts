// scan.ts: reads the records of one segment, verifies the checksum chain, and says how it ends.
//
//     clean    at the end of the file, or at a length word of zero; what follows is of no account
//     torn     in the middle of a write that a crash interrupted: last segment only, and the
//              file is too short for its last record, or a sector of that record is all zeros,
//              never having reached the disk
//     corrupt  anything else that does not parse or check: thrown, never repaired
//
// A sector is 512 bytes, aligned to the file. The rules are etcd's; 3.4 alone also refuses a
// length word of 10 MiB or more, where later versions see a torn write.

import type { FileHandle } from '../../platform/files.js'
import { crc32c } from '../crc32c.js'
import { CorruptionError } from '../errors.js'
import { decodeRecord, frameHead, frameHeadBytes, type LogRecord, RecordType } from './record.js'

export interface ScanTarget {
  handle: FileHandle
  /** Path, for messages. */
  file: string
  /** Only the last segment of a log can be torn. */
  isLast: boolean
}

export interface SegmentEnd {
  /** Where the last good record ends. */
  offset: number
  /** What is wrong behind it; undefined when the end is clean. */
  torn: string | undefined
  /** The running checksum there. */
  crc: number
}

/** Called for each record but checksums, in order; `offset` is where its frame starts. */
export type OnRecord = (record: LogRecord, offset: number) => void

const readBytes = 256 * 1024
const sectorBytes = 512

export async function scanSegment(
  target: ScanTarget,
  crcBefore: number,
  onRecord: OnRecord,
): Promise<SegmentEnd> {
  const window = new Window(target.handle, await target.handle.size())
  const scan = new Scan(target, crcBefore)
  for (;;) {
    const left = window.left
    if (left === 0) return scan.end()
    if (left < frameHeadBytes) return scan.tooShort(`${left} bytes of a length word`)
    await window.fill(frameHeadBytes)
    const head = frameHead(window.buffer, window.at)
    if (head === undefined) return scan.end()
    const { recordBytes, padBytes } = head
    const frameBytes = frameHeadBytes + recordBytes + padBytes
    if (frameBytes > left) {
      return scan.tooShort(`a record of ${recordBytes} bytes with ${left - frameHeadBytes} left`)
    }
    await window.fill(frameBytes)
    const start = window.at + frameHeadBytes
    const body = window.buffer.subarray(start, start + recordBytes + padBytes)
    const torn = scan.take(body, recordBytes, onRecord)
    if (torn !== undefined) return torn
    window.at += frameBytes
  }
}

/** Where a scan stands: end of the last good record, and the checksum up to there. */
class Scan {
  readonly #target: ScanTarget
  #offset = 0
  #crc: number

  constructor(target: ScanTarget, crc: number) {
    this.#target = target
    this.#crc = crc
  }

  end(torn?: string): SegmentEnd {
    return { offset: this.#offset, torn, crc: this.#crc }
  }

  tooShort(found: string): SegmentEnd {
    if (!this.#target.isLast) throw this.#corruption(found, 'a whole record')
    return this.end(found)
  }

  /** Checks one record and hands it on. Returns the end of the segment if it is torn. */
  take(body: Buffer, recordBytes: number, onRecord: OnRecord): SegmentEnd | undefined {
    const record = decodeRecord(body, 0, recordBytes)
    if (record === undefined) return this.#tornOrCorrupt(body, 'no record', 'a record')
    if (record.type === RecordType.crc) {
      // Reading may start at any segment, so the first checksum is taken as it stands.
      if (this.#crc !== 0 && this.#crc !== record.crc) {
        throw this.#corruption(`checksum ${hex(record.crc)}`, hex(this.#crc))
      }
      this.#crc = record.crc
    } else {
      const crc = crc32c(record.data, this.#crc)
      if (crc !== record.crc) {
        return this.#tornOrCorrupt(body, `checksum ${hex(record.crc)}`, hex(crc))
      }
      this.#crc = crc
      onRecord(record, this.#offset)
    }
    this.#offset += frameHeadBytes + body.length
    return undefined
  }

  #tornOrCorrupt(body: Buffer, found: string, expected: string): SegmentEnd {
    const start = this.#offset + frameHeadBytes
    if (this.#target.isLast && hasZeroSector(body, start)) return this.end(found)
    throw this.#corruption(found, expected)
  }

  #corruption(found: string, expected: string): CorruptionError {
    const { file } = this.#target
    return new CorruptionError('wal', { file, offset: this.#offset, expected, found })
  }
}

/** Whether one of the sectors that `body` covers, or its part of one, is all zeros. */
function hasZeroSector(body: Buffer, fileOffset: number): boolean {
  let at = 0
  while (at < body.length) {
    const end = Math.min(body.length, at + sectorBytes - ((fileOffset + at) % sectorBytes))
    if (body.subarray(at, end).every((byte) => byte === 0)) return true
    at = end
  }
  return false
}

/**
 * The part of a file that is in memory. Each fill makes a new buffer, because the data of
 * entries stays a view of the old one.
 */
class Window {
  buffer = Buffer.alloc(0)
  /** Next byte to be taken, within the buffer. */
  at = 0
  readonly #handle: FileHandle
  readonly #size: number
  /** File offset at which the buffer ends. */
  #end = 0

  constructor(handle: FileHandle, size: number) {
    this.#handle = handle
    this.#size = size
  }

  /** Bytes of the file from the next one on. */
  get left(): number {
    return this.#size - this.#end + this.buffer.length - this.at
  }

  /** Makes at least `count` bytes available; there must be as many left in the file. */
  async fill(count: number): Promise<void> {
    const kept = this.buffer.length - this.at
    if (kept >= count) return
    const wanted = Math.min(this.left, Math.max(count, readBytes))
    const larger = Buffer.allocUnsafeSlow(wanted)
    this.buffer.copy(larger, 0, this.at)
    const read = await this.#handle.read(larger.subarray(kept), this.#end)
    if (read < wanted - kept) throw new Error(`the file shrank while it was read, at ${this.#end}`)
    this.#end += read
    this.buffer = larger
    this.at = 0
  }
}

const hex = (crc: number): string => crc.toString(16)
