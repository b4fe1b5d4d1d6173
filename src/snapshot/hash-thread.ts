// hash-thread.ts: SHA-256 of a large file on a thread of its own, while this one looks into the
// same file. The thread reads by itself: to hand it what was read here costs this one, which has
// more to do, a tenth of its time.
import { Worker } from 'node:worker_threads'

/** Stays in the cache of a processor between the reading and the hashing. */
const pieceBytes = 256 * 1024

/** The other side. It stands here as text, because the command is one file without others. */
const program = `
const { parentPort, workerData } = require('node:worker_threads')
const { readSync } = require('node:fs')
const { descriptor, sizeBytes, pieceBytes } = workerData
const hash = require('node:crypto').createHash('sha256')
const piece = new Uint8Array(pieceBytes)
for (let at = 0; at < sizeBytes; ) {
  const size = readSync(descriptor, piece, 0, Math.min(pieceBytes, sizeBytes - at), at)
  if (size === 0) break
  hash.update(piece.subarray(0, size))
  at += size
}
parentPort.postMessage(hash.digest())
`

/**
 * Digest of the first `sizeBytes` of an open file, or of all of it when it is shorter. Rejects
 * with what a read threw, and with the reason of the signal. The thread has ended by then.
 */
export async function hashOnThread(
  descriptor: number,
  sizeBytes: number,
  signal: AbortSignal | undefined,
): Promise<Buffer> {
  signal?.throwIfAborted()
  const worker = new Worker(program, {
    eval: true,
    workerData: { descriptor, sizeBytes, pieceBytes },
  })
  const giveUp = new AbortController()
  try {
    return await new Promise<Buffer>((resolve, reject) => {
      worker.once('message', (digest: Uint8Array) => resolve(Buffer.from(digest)))
      worker.once('error', reject)
      signal?.addEventListener('abort', () => reject(signal.reason), { signal: giveUp.signal })
    })
  } finally {
    giveUp.abort()
    await worker.terminate()
  }
}
