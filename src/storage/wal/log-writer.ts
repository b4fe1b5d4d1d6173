// log-writer.ts: appends to a log, and moves on to the next segment when one is full.
//
// All saves go through one queue. While one write and its sync are under way the next saves
// gather, and then share one write and one sync: the more callers wait, the fewer syncs each
// one costs. A save is answered when its bytes are on disk, never before.
//
//     frames      what the next write will hold, encoded when the write begins
//     end         file offset behind the last record that was written; zeros follow
//     held        a state that nobody needs on disk yet (only the commit index moved); it goes
//                 out with the next write
//
// A failed write for lack of space is undone: the file is cut back to `end` and that is synced,
// so that no half record of the failed write can mix with what is written there next. After any
// other failure nobody knows what is on disk (a sync that failed once may succeed when it is
// repeated, and the data be gone), so the log is broken and refuses everything.
import assert from 'node:assert/strict'
import type { ConfState, Entry, HardState } from '../../api/gen/raft.js'
import type { FileHandle } from '../../platform/files.js'
import { NoSpaceError, WalBrokenError } from '../errors.js'
import { FrameWriter, type SnapshotPosition, type WalMetadata } from './record.js'
import {
  defaultSegmentBytes,
  type Segment,
  segmentOf,
  type WalOptions,
  zeroTail,
} from './segment.js'

export interface Wal {
  /** Index of the last entry that is in the log, 0 when there is none. */
  readonly lastIndex: number
  /** Since it was opened; undefined where nothing goes to a disk. */
  readonly bytesWritten?: number | undefined
  /**
   * Appends entries, then the state. With `sync` it resolves when they are on disk, and so is
   * all that was saved before. Calls made while a sync is under way share the next one.
   * Without `sync` the records may stay in memory until the next synced call or close().
   * Rejects with NoSpaceError: nothing of this call, nor of calls behind it, is in the log, and
   * they may be repeated. Rejects with WalBrokenError: whether this call is on disk is unknown,
   * and the log takes no more.
   */
  save(state: HardState | undefined, entries: readonly Entry[], sync: boolean): Promise<void>
  /** Notes, durably, that the state after `index` is kept in a snapshot. The .snap file first. */
  saveSnapshot(snapshot: SnapshotPosition & { confState?: ConfState }): Promise<void>
  /** Deletes whole segments that a reader starting at snapshot `index` does not need. */
  release(index: number): Promise<void>
  /** Writes and syncs what is pending, then closes the file. */
  close(): Promise<void>
}

export interface LogWriterParts {
  dir: string
  options: WalOptions
  metadata: WalMetadata
  segments: Segment[]
  handle: FileHandle
  end: { offset: number; crc: number }
  lastIndex?: number
  state?: HardState
}

/** One call that waits for its records to be written. */
interface Save {
  state?: HardState
  entries: readonly Entry[]
  snapshot?: SnapshotPosition & { confState?: ConfState }
  sync: boolean
  resolve(): void
  reject(error: Error): void
}

/** A write may take more than this only when a single save is larger. */
const batchBytesMax = 8 * 1024 * 1024

/** Like etcd's --max-wals: older segments than that go once nobody can need them. */
const segmentsKept = 5

const emptyState: HardState = { term: 0, vote: 0n, commit: 0 }

export class LogWriter implements Wal {
  readonly #dir: string
  readonly #options: WalOptions
  readonly #segmentBytes: number
  readonly #metadata: WalMetadata
  readonly #segments: Segment[]
  readonly #frames: FrameWriter
  #handle: FileHandle
  #end: number
  #lastIndex: number
  #state: HardState
  #held: HardState | undefined
  #queue: Save[] = []
  /** Last index once the queue is written. Invariant: what is queued is contiguous. */
  #queuedIndex: number
  #bytesWritten = 0
  #isUnsynced = false
  #running: Promise<void> | undefined
  #closing: Promise<void> | undefined
  #broken: WalBrokenError | undefined

  constructor(parts: LogWriterParts) {
    this.#dir = parts.dir
    this.#options = parts.options
    this.#segmentBytes = parts.options.segmentBytes ?? defaultSegmentBytes
    this.#metadata = parts.metadata
    this.#segments = [...parts.segments]
    this.#handle = parts.handle
    this.#end = parts.end.offset
    this.#frames = new FrameWriter(parts.end.crc)
    this.#lastIndex = parts.lastIndex ?? 0
    this.#queuedIndex = this.#lastIndex
    this.#state = parts.state ?? emptyState
  }

  get bytesWritten(): number {
    return this.#bytesWritten
  }

  get lastIndex(): number {
    return this.#lastIndex
  }

  async save(
    state: HardState | undefined,
    entries: readonly Entry[],
    sync: boolean,
  ): Promise<void> {
    this.#assertUsable()
    const kept = state === undefined || isEmptyState(state) ? undefined : state
    if (entries.length === 0) {
      if (kept === undefined) return
      if (!sync && this.#queue.length === 0) {
        this.#held = kept
        return
      }
    }
    this.#queuedIndex = lastOf(entries, this.#queuedIndex)
    await this.#enqueue({ ...(kept && { state: kept }), entries, sync })
  }

  async saveSnapshot(snapshot: SnapshotPosition & { confState?: ConfState }): Promise<void> {
    this.#assertUsable()
    this.#queuedIndex = Math.max(this.#queuedIndex, snapshot.index)
    await this.#enqueue({ entries: [], snapshot, sync: true })
  }

  async release(index: number): Promise<void> {
    this.#assertUsable()
    // The last segment that begins before `index` holds its entry; a reader starts there.
    const needed = this.#segments.findLastIndex((segment) => segment.index < index)
    const surplus = Math.min(needed, this.#segments.length - segmentsKept)
    if (surplus <= 0) return
    for (const { name } of this.#segments.splice(0, surplus)) {
      await this.#options.files.remove(`${this.#dir}/${name}`)
      // One at a time: a crash must not leave a gap, which a reader would take for damage.
      await this.#options.files.syncDir(this.#dir)
      this.#options.log.info('purged', { path: `${this.#dir}/${name}` })
    }
  }

  close(): Promise<void> {
    this.#closing ??= this.#finish()
    return this.#closing
  }

  async #finish(): Promise<void> {
    try {
      if (this.#held !== undefined || this.#isUnsynced) {
        if (this.#broken === undefined) await this.#enqueue({ entries: [], sync: true })
      }
    } catch (error) {
      // Nobody waits for these records: whoever does was told by the call that saved them.
      this.#options.log.warn('closing WAL with its last state unsaved', { error: String(error) })
    }
    await this.#running
    await this.#handle.close()
  }

  #assertUsable(): void {
    if (this.#broken !== undefined) throw this.#broken
    if (this.#closing !== undefined) throw new Error(`wal ${this.#dir} is closed`)
  }

  #enqueue(save: Omit<Save, 'resolve' | 'reject'>): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#queue.push({ ...save, resolve, reject })
      this.#running ??= this.#run()
    })
  }

  async #run(): Promise<void> {
    // Saves of the same turn go out together.
    await undefined
    try {
      while (this.#queue.length > 0) await this.#writeBatch()
    } catch (error) {
      this.#break('append', error)
    }
    this.#running = undefined
  }

  async #writeBatch(): Promise<void> {
    const frames = this.#frames
    const crcBefore = frames.crc
    const held = this.#held
    if (held !== undefined) frames.state(held)
    const batch = this.#encodeBatch()
    const sync = batch.some((save) => save.sync)
    try {
      await this.#handle.write([frames.bytes], this.#end)
    } catch (error) {
      frames.clear(crcBefore)
      return this.#writeFailed(error, batch)
    }
    try {
      if (sync) await this.#handle.sync()
    } catch (error) {
      return this.#break('sync', error, batch)
    }
    this.#isUnsynced = !sync
    this.#end += frames.length
    this.#bytesWritten += frames.length
    frames.clear()
    this.#state = batch.findLast(({ state }) => state !== undefined)?.state ?? held ?? this.#state
    if (this.#held === held) this.#held = undefined
    this.#lastIndex = batch.reduce(indexAfter, this.#lastIndex)
    for (const save of batch) save.resolve()
    if (this.#end >= this.#segmentBytes) await this.#cut()
  }

  /** Moves saves from the queue into the frames. */
  #encodeBatch(): Save[] {
    const frames = this.#frames
    let count = 0
    for (const { state, entries, snapshot } of this.#queue) {
      if (count > 0 && frames.length > batchBytesMax) break
      for (const entry of entries) frames.entry(entry)
      if (state !== undefined) frames.state(state)
      if (snapshot !== undefined) frames.snapshot(snapshot)
      count++
    }
    return this.#queue.splice(0, count)
  }

  async #writeFailed(error: unknown, batch: readonly Save[]): Promise<void> {
    if (!isNoSpace(error)) return this.#break('write', error, batch)
    try {
      await zeroTail(this.#handle, this.#end, 0)
      this.#isUnsynced = false
    } catch (undoError) {
      return this.#break('undo of a write', undoError, batch)
    }
    const file = `${this.#dir}/${this.#segments.at(-1)?.name}`
    const failure = new NoSpaceError(`wal ${file} at ${this.#end}: no space left on device`, {
      cause: error,
    })
    // What is queued behind builds on what could not be written.
    this.#rejectAll(batch, failure)
  }

  #break(action: string, cause: unknown, batch: readonly Save[] = []): void {
    const reason = cause instanceof Error ? cause.message : String(cause)
    this.#broken = new WalBrokenError(
      `wal ${this.#dir} takes no more writes, its last ${action} failed: ${reason}`,
      { cause },
    )
    this.#options.log.error('WAL failed', { dir: this.#dir, action, error: reason })
    this.#rejectAll(batch, this.#broken)
  }

  #rejectAll(batch: readonly Save[], error: Error): void {
    const all = [...batch, ...this.#queue]
    this.#queue = []
    this.#queuedIndex = this.#lastIndex
    for (const save of all) save.reject(error)
  }

  /** Ends the segment and begins the next one. Without space for that it goes on in this one. */
  async #cut(): Promise<void> {
    const { files, log } = this.#options
    const crcBefore = this.#frames.crc
    const next = segmentOf((this.#segments.at(-1)?.sequence ?? 0) + 1, this.#lastIndex + 1)
    const unfinished = `${this.#dir}/0.tmp`
    let handle: FileHandle | undefined
    try {
      handle = await this.#makeSegment(unfinished)
    } catch (error) {
      this.#frames.clear(crcBefore)
      if (!isNoSpace(error)) return this.#break('new segment', error)
      log.warn('no space for a new WAL segment', { dir: this.#dir, name: next.name })
      return
    }
    try {
      await this.#handle.truncate(this.#end)
      await this.#handle.sync()
      await files.rename(unfinished, `${this.#dir}/${next.name}`)
      await files.syncDir(this.#dir)
    } catch (error) {
      await handle.close()
      return this.#break('change of segments', error)
    }
    const full = this.#handle
    this.#handle = handle
    await full.close()
    this.#end = this.#frames.length
    this.#frames.clear()
    this.#segments.push(next)
    this.#isUnsynced = false
    log.info('created a new WAL segment', { path: `${this.#dir}/${next.name}` })
  }

  /** A file with the head of a segment: the checksum so far, whose log it is, and its state. */
  async #makeSegment(file: string): Promise<FileHandle> {
    const { files } = this.#options
    await files.remove(file)
    const handle = await files.open(file, 'create')
    try {
      this.#frames.checksum()
      this.#frames.metadata(this.#metadata)
      if (!isEmptyState(this.#state)) this.#frames.state(this.#state)
      await handle.truncate(this.#segmentBytes)
      await handle.write([this.#frames.bytes], 0)
      await handle.sync()
      return handle
    } catch (error) {
      await handle.close()
      throw error
    }
  }
}

function lastOf(entries: readonly Entry[], lastIndex: number): number {
  let last = lastIndex
  entries.forEach(({ Index }, at) => {
    const isNext = at === 0 ? Index >= 1 && Index <= lastIndex + 1 : Index === last + 1
    assert(isNext, `entry ${Index} does not follow entry ${last}`)
    last = Index
  })
  return last
}

const indexAfter = (lastIndex: number, { entries, snapshot }: Save): number =>
  Math.max(entries.at(-1)?.Index ?? lastIndex, snapshot?.index ?? 0)

const isEmptyState = ({ term, vote, commit }: HardState): boolean =>
  term === 0 && vote === 0n && commit === 0

function isNoSpace(error: unknown): boolean {
  const code = (error as NodeJS.ErrnoException | undefined)?.code
  return code === 'ENOSPC' || code === 'EDQUOT'
}
