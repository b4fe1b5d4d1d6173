// writer.ts: makes a log, or opens the one that is there, for appending.
import path from 'node:path'
import type { Entry, HardState } from '../../api/gen/raft.js'
import { CorruptionError, DataDirError } from '../errors.js'
import { LogWriter, type Wal } from './log-writer.js'
import { type LogContent, readLog } from './reader.js'
import { FrameWriter, type SnapshotPosition, type WalMetadata } from './record.js'
import { repairSegment } from './repair.js'
import {
  defaultSegmentBytes,
  listSegments,
  segmentOf,
  type WalOptions,
  zeroTail,
} from './segment.js'

export type { Wal } from './log-writer.js'
export type { SnapshotPosition, WalMetadata } from './record.js'
export type { WalOptions } from './segment.js'

export interface OpenedWal {
  wal: Wal
  metadata: WalMetadata
  hardState: HardState
  /** After the snapshot that was asked for, contiguous. */
  entries: Entry[]
}

/** What a new log holds from its first moment on. */
export interface FirstRecords {
  hardState: HardState
  entries: readonly Entry[]
}

export interface CreateOptions extends WalOptions {
  first?: FirstRecords
  /** The log appears only after this, and not at all if it fails. */
  after?: Promise<unknown>
}

/**
 * Makes a new log in `dir`, which holds none; it appears there complete or not at all. What it
 * waits for may go on meanwhile: two files that are synced at the same time share the journal.
 */
export async function createWal(
  dir: string,
  metadata: WalMetadata,
  { first, after, ...options }: CreateOptions,
): Promise<Wal> {
  const { files } = options
  if ((await files.exists(dir)) && (await listSegments(dir, options)).length > 0) {
    throw new DataDirError(`wal-dir "${dir}" exists`)
  }
  const unfinished = `${dir}.tmp`
  await files.remove(unfinished)
  await files.makeDir(unfinished)
  const segment = segmentOf(0, 0)
  const handle = await files.open(`${unfinished}/${segment.name}`, 'create')
  try {
    const frames = new FrameWriter(0)
    frames.checksum()
    frames.metadata(metadata)
    frames.snapshot({ index: 0, term: 0 })
    for (const entry of first?.entries ?? []) frames.entry(entry)
    if (first !== undefined) frames.state(first.hardState)
    await handle.truncate(options.segmentBytes ?? defaultSegmentBytes)
    await handle.write([frames.bytes], 0)
    await handle.sync()
    await files.syncDir(unfinished)
    await after
    await files.rename(unfinished, dir)
    await files.syncDir(path.dirname(dir))
    const end = { offset: frames.length, crc: frames.crc }
    const lastIndex = first?.entries.at(-1)?.Index ?? 0
    const state = first?.hardState
    const written = { end, lastIndex, ...(state && { state }) }
    return new LogWriter({ dir, options, metadata, segments: [segment], handle, ...written })
  } catch (error) {
    await handle.close()
    throw error
  }
}

/**
 * Reads the log after `from`, whose snapshot record must be in it, and opens it for appending.
 * A torn tail is cut off, once; anything else that does not check is a CorruptionError.
 */
export async function openWal(
  dir: string,
  from: SnapshotPosition,
  options: WalOptions,
): Promise<OpenedWal> {
  const content = await readRepaired(dir, from, options)
  const { metadata, hardState, entries, segments, last, lastIndex, end } = content
  const handle = await options.files.open(`${dir}/${last.name}`, 'write')
  try {
    // What stands behind a clean end was never synced. Written over in part, it would look like
    // a damaged record.
    await zeroTail(handle, end.offset, options.segmentBytes ?? defaultSegmentBytes)
  } catch (error) {
    await handle.close()
    throw error
  }
  const parts = { dir, options, metadata, segments, handle, end, lastIndex, state: hardState }
  return { wal: new LogWriter(parts), metadata, hardState, entries }
}

async function readRepaired(
  dir: string,
  from: SnapshotPosition,
  options: WalOptions,
): Promise<LogContent> {
  const content = await readLog(dir, from, options)
  const { end, last } = content
  if (end.torn === undefined) return content
  const file = `${dir}/${last.name}`
  options.log.warn('repairing WAL: the last write was cut short', {
    file,
    offset: end.offset,
    found: end.torn,
  })
  await repairSegment({ dir, name: last.name }, end.offset, options.files)
  const repaired = await readLog(dir, from, options)
  if (repaired.end.torn === undefined) return repaired
  throw new CorruptionError('wal', {
    file,
    offset: repaired.end.offset,
    expected: 'a clean end after the repair',
    found: repaired.end.torn,
  })
}
