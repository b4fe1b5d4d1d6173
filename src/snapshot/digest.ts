// digest.ts: the SHA-256 at the end of a snapshot file. It covers all bytes before it, and it is
// there exactly when the size leaves 32 over a multiple of 512; a bare copy of a database has none.
import { createHash } from 'node:crypto'
import type { FileHandle, Files } from '../platform/files.js'
import { SnapshotError, systemReason } from './errors.js'
import { hashOnThread } from './hash-thread.js'

export const digestSize = 32
export const blockSize = 512
const readSize = 1024 * 1024

export function hasDigest(sizeBytes: number): boolean {
  return sizeBytes % blockSize === digestSize
}

export interface DigestReading {
  /** SHA-256 of the content as it is. */
  computed: Buffer
  /** The digest that the file carries, or undefined when it has none. */
  stored: Buffer | undefined
  /** Bytes that the digest covers. */
  contentBytes: number
}

/** Starting a thread takes longer than hashing this much. */
const threadSizeMin = 32 * 1024 * 1024

/** Reads the whole file once, in pieces. */
export async function readDigest(
  handle: FileHandle,
  { signal }: { signal?: AbortSignal | undefined } = {},
): Promise<DigestReading> {
  const sizeBytes = await handle.size()
  const contentBytes = hasDigest(sizeBytes) ? sizeBytes - digestSize : sizeBytes
  const { descriptor } = handle
  const computed =
    descriptor === undefined || contentBytes < threadSizeMin
      ? await hashHere(handle, contentBytes, signal)
      : await hashOnThread(descriptor, contentBytes, signal)
  const stored = contentBytes < sizeBytes ? Buffer.alloc(digestSize) : undefined
  if (stored !== undefined) await handle.read(stored, contentBytes)
  return { computed, stored, contentBytes }
}

async function hashHere(
  handle: FileHandle,
  sizeBytes: number,
  signal: AbortSignal | undefined,
): Promise<Buffer> {
  const hash = createHash('sha256')
  const piece = Buffer.allocUnsafe(Math.min(readSize, sizeBytes))
  for (let at = 0; at < sizeBytes; at += readSize) {
    const size = await handle.read(piece, at)
    signal?.throwIfAborted()
    hash.update(piece.subarray(0, Math.min(size, sizeBytes - at)))
  }
  return hash.digest()
}

/** What is wrong with the digest that a file carries; undefined when it is right, or not there. */
export async function digestProblem(
  file: string,
  { files }: { files: Files },
): Promise<string | undefined> {
  const handle = await files.open(file, 'read').catch((error) => {
    throw new SnapshotError(systemReason('open', file, error), { cause: error })
  })
  try {
    if (!hasDigest(await handle.size())) return undefined
    const { stored, computed } = await readDigest(handle)
    if (stored === undefined || stored.equals(computed)) return undefined
    return digestMismatch(stored, computed)
  } finally {
    await handle.close()
  }
}

/** Follows a stream whose last 32 bytes are the digest of all others. */
export class RunningDigest {
  readonly #hash = createHash('sha256')
  /** The last bytes seen, at most 32, which may be the digest. */
  #tail: Buffer = Buffer.alloc(0)
  #sizeBytes = 0

  get sizeBytes(): number {
    return this.#sizeBytes
  }

  update(data: Uint8Array): void {
    this.#sizeBytes += data.length
    if (data.length >= digestSize) {
      this.#hash.update(this.#tail)
      this.#hash.update(data.subarray(0, data.length - digestSize))
      this.#tail = Buffer.from(data.subarray(data.length - digestSize))
      return
    }
    const joined = Buffer.concat([this.#tail, data])
    const content = Math.max(0, joined.length - digestSize)
    this.#hash.update(joined.subarray(0, content))
    this.#tail = joined.subarray(content)
  }

  /** To be called once, at the end of the stream. */
  end(): { computed: Buffer; stored: Buffer | undefined } {
    const stored = hasDigest(this.#sizeBytes) ? this.#tail : undefined
    return { computed: this.#hash.digest(), stored }
  }
}

/** `expected sha256 [99 202 …], got [122 192 …]`, as etcd's tools print it. */
export function digestMismatch(stored: Uint8Array, computed: Uint8Array): string {
  return `expected sha256 [${[...stored].join(' ')}], got [${[...computed].join(' ')}]`
}
