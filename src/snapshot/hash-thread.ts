// hash-thread.ts: SHA-256 of a large file on a thread of its own, while this one looks into the
// same file. Pieces are read here, because the files may be those of a test, and change hands
// without being copied: read, handed over, hashed, handed back.
import { Worker } from 'node:worker_threads'
import type { FileHandle } from '../platform/files.js'

const pieceSize = 1024 * 1024
/** One being read, one on its way, one being hashed. */
const piecesMax = 3

/** The other side. It stands here as text, because the command is one file without others. */
const program = `
const { parentPort } = require('node:worker_threads')
const hash = require('node:crypto').createHash('sha256')
parentPort.on('message', ({ piece, size }) => {
  if (piece === undefined) return parentPort.postMessage({ digest: hash.digest() })
  hash.update(piece.subarray(0, size))
  parentPort.postMessage({ piece }, [piece.buffer])
})
`

interface Answer {
  /** Memory that comes back. */
  piece?: Uint8Array<ArrayBuffer>
  digest?: Uint8Array
}

/** Digest of the first `sizeBytes` of the file. */
export async function hashOnThread(
  handle: FileHandle,
  sizeBytes: number,
  signal: AbortSignal | undefined,
): Promise<Buffer> {
  const worker = new Worker(program, { eval: true })
  const answers = answersOf(worker)
  try {
    for (let at = 0, made = 0; at < sizeBytes; at += pieceSize) {
      const piece =
        made < piecesMax
          ? new Uint8Array(Math.min(pieceSize, sizeBytes))
          : ((await answers()).piece ?? new Uint8Array(pieceSize))
      made++
      const size = Math.min(await handle.read(piece, at), sizeBytes - at)
      signal?.throwIfAborted()
      worker.postMessage({ piece, size }, [piece.buffer])
    }
    worker.postMessage({})
    for (;;) {
      const { digest } = await answers()
      if (digest !== undefined) return Buffer.from(digest)
    }
  } finally {
    await worker.terminate()
  }
}

/** The next answer, each time it is called. Fails when the thread does. */
function answersOf(worker: Worker): () => Promise<Answer> {
  const waiting: Answer[] = []
  let failure: Error | undefined
  let wake = (): void => {}
  worker.on('message', (answer: Answer) => {
    waiting.push(answer)
    wake()
  })
  worker.on('error', (error) => {
    failure = error
    wake()
  })
  return async () => {
    for (;;) {
      const answer = waiting.shift()
      if (answer !== undefined) return answer
      if (failure !== undefined) throw failure
      await new Promise<void>((resolve) => {
        wake = resolve
      })
    }
  }
}
