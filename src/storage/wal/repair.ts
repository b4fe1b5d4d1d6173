// repair.ts: cuts a torn tail off the last segment. The file as it was found is kept beside it as
// NAME.broken, because what is cut off may be of use to a person.
import type { FileHandle, Files } from '../../platform/files.js'

const copyBytes = 1024 * 1024

/** Keeps a copy of `file`, then ends it at `offset`, lastingly. */
export async function repairSegment(
  { dir, name }: { dir: string; name: string },
  offset: number,
  files: Files,
): Promise<void> {
  const handle = await files.open(`${dir}/${name}`, 'write')
  try {
    await copySparse(handle, `${dir}/${name}.broken`, files)
    await files.syncDir(dir)
    await handle.truncate(offset)
    await handle.sync()
  } finally {
    await handle.close()
  }
}

/** Copies without writing stretches of zeros: most of a segment was never written. */
async function copySparse(from: FileHandle, to: string, files: Files): Promise<void> {
  await files.remove(to)
  const copy = await files.open(to, 'create')
  try {
    const size = await from.size()
    await copy.truncate(size)
    const zeros = Buffer.alloc(copyBytes)
    const buffer = Buffer.alloc(copyBytes)
    for (let at = 0; at < size; at += copyBytes) {
      const part = buffer.subarray(0, await from.read(buffer, at))
      if (!part.equals(zeros.subarray(0, part.length))) await copy.write([part], at)
    }
    await copy.sync()
  } finally {
    await copy.close()
  }
}
