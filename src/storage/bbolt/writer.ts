// writer.ts: writes a whole bbolt file in one pass. (Types first; the bodies follow.)
import type { FileHandle, Files } from '../../platform/files.js'

export interface Item {
  readonly key: Uint8Array
  readonly value: Uint8Array
}

/**
 * Items in ascending key order, held in memory. planDatabase() iterates them twice and both times
 * must see the same; the other functions iterate once.
 */
export interface Bucket {
  readonly name: string
  readonly items: Iterable<Item>
}

/** Items in ascending key order, read from elsewhere in batches. */
export interface BucketStream {
  readonly name: string
  readonly batches: AsyncIterable<Iterable<Item>>
}

export interface WriteOptions {
  /** Default 4096. Other sizes are for tests. */
  pageSizeBytes?: number
  /** Lets other work run; called every millisecond or so. Default: a turn of the event loop. */
  pause?: () => Promise<void>
}

export interface PlannedDatabase {
  readonly sizeBytes: number
  /** The file front to back, in chunks of whole pages; each may be kept. Once only. */
  chunks(): AsyncGenerator<Buffer, void, void>
}

/** Computes the layout from lengths alone, so that size and metas are known before any page. */
export async function planDatabase(
  buckets: readonly Bucket[],
  options: WriteOptions = {},
): Promise<PlannedDatabase> {
  throw new Error(`not written yet: ${buckets} ${options}`)
}

/** Writes a database into an empty file, metas last. Does not sync. */
export async function writeDatabase(
  handle: FileHandle,
  buckets: readonly (Bucket | BucketStream)[],
  options: WriteOptions = {},
): Promise<{ sizeBytes: number }> {
  throw new Error(`not written yet: ${handle} ${buckets} ${options}`)
}

/** Writes a database beside `file`, syncs it and renames it into place, lastingly. */
export async function saveDatabase(
  file: string,
  buckets: readonly (Bucket | BucketStream)[],
  options: WriteOptions & { files: Files },
): Promise<{ sizeBytes: number }> {
  throw new Error(`not written yet: ${file} ${buckets} ${options}`)
}
