// save.ts: stores a snapshot stream as a file. It is written beside the target as FILE.part,
// checked against the digest at its own end, synced and renamed, so that FILE is always a whole
// snapshot.
import path from 'node:path'
import type { FileHandle, Files } from '../platform/files.js'
import { digestMismatch, RunningDigest } from './digest.js'
import { SnapshotError, systemReason } from './errors.js'

/** The part of Maintenance.Snapshot's answer that counts here. */
export interface SnapshotBlob {
  blob: Uint8Array
  /** Bytes still to come after this blob, as the server says; decimal. */
  remaining_bytes: string
  /** Storage version of the server; empty before 3.6. */
  version: string
}

export interface SaveProgress {
  receivedBytes: number
  remainingBytes: number
}

export interface SavedSnapshot {
  /** Of the file, digest included. */
  sizeBytes: number
  /** Storage version the server named, or the empty string. */
  version: string
}

/** Where a snapshot goes that is not to become a file: `-` on the command line. */
export interface SnapshotTarget {
  write(data: Uint8Array): Promise<void>
}

export interface SaveOptions {
  files: Files
  progress?: (progress: SaveProgress) => void
}

/** Blobs have 32 KiB at most; a write should be worth its call. */
const writeSize = 1024 * 1024

/**
 * Stores the stream in a file, or hands it to a target as it comes. An error of the stream itself
 * is passed on; all others are SnapshotErrors. Either way nothing is left of the file.
 */
export async function saveSnapshot(
  blobs: AsyncIterable<SnapshotBlob>,
  target: string | SnapshotTarget,
  options: SaveOptions,
): Promise<SavedSnapshot> {
  if (typeof target !== 'string') return receive(blobs, target, options)
  const { files } = options
  const part = `${target}.part`
  const handle = await openPart(files, part)
  try {
    const saved = await receiveInto(handle, part, blobs, options)
    await attempt(files.rename(part, target), (error) => {
      const reason = systemReason('rename', `${part} ${target}`, error)
      return `could not rename ${part} to ${target} (${reason})`
    })
    await files.syncDir(path.dirname(target))
    return saved
  } catch (error) {
    await files.remove(part)
    throw error
  }
}

/** What a failed attempt left behind is written over, never anything but a file. */
async function openPart(files: Files, part: string): Promise<FileHandle> {
  const opened = files.open(part, 'create').catch(async (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EEXIST') throw error
    const handle = await files.open(part, 'write')
    await handle.truncate(0)
    return handle
  })
  return attempt(opened, (error) => `could not open ${part} (${systemReason('open', part, error)})`)
}

async function receiveInto(
  handle: FileHandle,
  part: string,
  blobs: AsyncIterable<SnapshotBlob>,
  options: SaveOptions,
): Promise<SavedSnapshot> {
  const writer = new BatchWriter(handle, part)
  try {
    const saved = await receive(blobs, writer, options)
    await writer.flush()
    const what = (error: unknown) =>
      `could not fsync snapshot: ${systemReason('sync', part, error)}`
    await attempt(handle.sync(), what)
    return saved
  } finally {
    await writer.idle()
    await handle.close()
  }
}

async function receive(
  blobs: AsyncIterable<SnapshotBlob>,
  target: SnapshotTarget,
  { progress }: SaveOptions,
): Promise<SavedSnapshot> {
  const digest = new RunningDigest()
  let version = ''
  for await (const { blob, remaining_bytes, version: named } of blobs) {
    digest.update(blob)
    await target.write(blob)
    if (named !== '') version = named
    progress?.({ receivedBytes: digest.sizeBytes, remainingBytes: Number(remaining_bytes) })
  }
  const { computed, stored } = digest.end()
  if (stored === undefined) {
    throw new SnapshotError(`sha256 checksum not found [bytes: ${digest.sizeBytes}]`)
  }
  if (!stored.equals(computed)) throw new SnapshotError(digestMismatch(stored, computed))
  return { sizeBytes: digest.sizeBytes, version }
}

/** Gathers blobs and keeps one write under way while the next ones arrive. */
class BatchWriter implements SnapshotTarget {
  readonly #handle: FileHandle
  readonly #file: string
  #batch: Uint8Array[] = []
  #batchBytes = 0
  #position = 0
  #writing: Promise<void> = Promise.resolve()

  constructor(handle: FileHandle, file: string) {
    this.#handle = handle
    this.#file = file
  }

  async write(data: Uint8Array): Promise<void> {
    this.#batch.push(data)
    this.#batchBytes += data.length
    if (this.#batchBytes >= writeSize) await this.#begin()
  }

  /** Returns when everything is written. */
  async flush(): Promise<void> {
    await this.#begin()
    await this.#writing
  }

  /** Returns when no write is under way, whatever became of it. */
  async idle(): Promise<void> {
    await this.#writing.catch(() => {})
  }

  async #begin(): Promise<void> {
    await this.#writing
    const [batch, position] = [Buffer.concat(this.#batch), this.#position]
    this.#batch = []
    this.#position += this.#batchBytes
    this.#batchBytes = 0
    const what = (error: unknown) =>
      `could not write snapshot: ${systemReason('write', this.#file, error)}`
    this.#writing = attempt(this.#handle.write([batch], position), what)
    this.#writing.catch(() => {}) // Seen by the next await of it.
  }
}

async function attempt<T>(work: Promise<T>, message: (error: unknown) => string): Promise<T> {
  try {
    return await work
  } catch (error) {
    throw new SnapshotError(message(error), { cause: error })
  }
}
