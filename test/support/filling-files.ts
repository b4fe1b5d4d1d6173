// filling-files.ts: the machine's files on a disk that can be full: until there is room again, no
// write takes anything more, as on a file system whose last block is taken.
import type { FileHandle, Files } from '../../src/platform/files.js'

export interface FillingFiles extends Files {
  isFull: boolean
}

export function fillingFiles(files: Files): FillingFiles {
  const filling: FillingFiles = {
    ...files,
    isFull: false,
    async open(file, mode) {
      const handle = await files.open(file, mode)
      const write: FileHandle['write'] = (buffers, position) => {
        if (!filling.isFull) return handle.write(buffers, position)
        const text = `ENOSPC: no space left on device, write '${file}'`
        return Promise.reject(Object.assign(new Error(text), { code: 'ENOSPC' }))
      }
      return { ...handle, write }
    },
  }
  return filling
}
