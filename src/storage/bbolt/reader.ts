// reader.ts: reads a bbolt file of any size, leaf by leaf. (Types first; the bodies follow.)
import type { Files } from '../../platform/files.js'

/** A leaf page: items in ascending key order. Key and value are views of memory never reused. */
export interface Leaf extends Iterable<{ key: Buffer; value: Buffer }> {
  readonly count: number
  key(index: number): Buffer
  value(index: number): Buffer
  /** Byte offset of the item in the file. */
  offset(index: number): number
}

export interface Database {
  readonly file: string
  readonly pageSizeBytes: number
  /** Used pages × page size: the file may be longer, never shorter. */
  readonly sizeBytes: number
  /** In ascending order. */
  readonly bucketNames: readonly string[]
  /** The bucket's leaves in key order; none when there is no such bucket. */
  leaves(bucket: string): AsyncGenerator<Leaf, void, void>
  /** Walks the bucket: for small buckets only. */
  get(bucket: string, key: Uint8Array): Promise<Buffer | undefined>
  close(): Promise<void>
}

/** Opens a database for reading. Throws CorruptionError for what is not a usable database. */
export async function openDatabase(file: string, options: { files: Files }): Promise<Database> {
  throw new Error(`not written yet: ${file} ${options}`)
}
