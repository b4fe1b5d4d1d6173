// progress.ts: how far a pass over a snapshot file has come, for whoever waits for it.
import type { Files } from '../platform/files.js'
import type { Leaf } from '../storage/bbolt/leaf.js'

export type Progress = (amount: { doneBytes: number; totalBytes: number }) => void

/** To be called with each leaf. Branches and free pages are not counted: they are few. */
export async function leafCounter(
  file: string,
  { files, progress }: { files: Files; progress?: Progress | undefined },
): Promise<(leaf: Leaf) => void> {
  if (progress === undefined) return () => {}
  const totalBytes = (await files.stat(file))?.size ?? 0
  let doneBytes = 0
  return (leaf) => {
    doneBytes += leaf.bytes.length
    progress({ doneBytes, totalBytes })
  }
}
