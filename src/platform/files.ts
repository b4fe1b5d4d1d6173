// files.ts: the file operations that storage is built on, as an interface, so that a simulation
// can lose what was not synced and a test can run out of space. Paths are absolute or relative to
// the working directory; errors carry Node's `code` (ENOENT, ENOSPC, EACCES, ...).
import callbackFs, { constants } from 'node:fs'
import fs from 'node:fs/promises'
import { setImmediate } from 'node:timers/promises'
import { promisify } from 'node:util'

export interface FileHandle {
  /** Fills `buffer` from `position`; returns the bytes read, fewer only at the end of the file. */
  read(buffer: Uint8Array, position: number): Promise<number>
  /** Writes all of `buffers` one after the other from `position` on. */
  write(buffers: readonly Uint8Array[], position: number): Promise<void>
  /** Returns when content and length are on disk (fdatasync). */
  sync(): Promise<void>
  truncate(length: number): Promise<void>
  size(): Promise<number>
  close(): Promise<void>
  /** What another thread can read the same file by; absent where the system knows no such file. */
  readonly descriptor?: number
}

/** `read`: must exist. `write`: must exist, read and write. `create`: must not exist, 0600. */
export type OpenMode = 'read' | 'write' | 'create'

export interface FileStat {
  isDirectory: boolean
  size: number
  /** Permission bits, such as 0o700. */
  mode: number
  inode: bigint
}

export interface Files {
  open(file: string, mode: OpenMode): Promise<FileHandle>
  readFile(file: string): Promise<Buffer>
  /** Names in a directory, in byte order. */
  list(dir: string): Promise<string[]>
  exists(file: string): Promise<boolean>
  /** Undefined when nothing has that name. */
  stat(file: string): Promise<FileStat | undefined>
  /** Makes a directory and its missing parents, mode 0700. */
  makeDir(dir: string): Promise<void>
  rename(from: string, to: string): Promise<void>
  /** Removes a file or a whole directory; what is not there is no error. */
  remove(file: string): Promise<void>
  /** Makes renames and removals inside `dir` lasting. */
  syncDir(dir: string): Promise<void>
}

const flags: Record<OpenMode, number> = {
  read: constants.O_RDONLY,
  write: constants.O_RDWR,
  create: constants.O_RDWR | constants.O_CREAT | constants.O_EXCL,
}

export const systemFiles: Files = {
  async open(file, mode) {
    const fd = await open(file, flags[mode], 0o600)
    return handle(fd, (...piece) => readElsewhere(fd, ...piece))
  },
  readFile: (file) => fs.readFile(file),
  async list(dir) {
    const names = await fs.readdir(dir)
    return names.sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)))
  },
  async exists(file) {
    return (await systemFiles.stat(file)) !== undefined
  },
  async stat(file) {
    try {
      const found = await fs.stat(file, { bigint: true })
      return {
        isDirectory: found.isDirectory(),
        size: Number(found.size),
        mode: Number(found.mode) & 0o7777,
        inode: found.ino,
      }
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
      throw error
    }
  },
  async makeDir(dir) {
    await fs.mkdir(dir, { recursive: true, mode: 0o700 })
  },
  rename: (from, to) => fs.rename(from, to),
  remove: (file) => fs.rm(file, { recursive: true, force: true }),
  async syncDir(dir) {
    const opened = await fs.open(dir, constants.O_RDONLY)
    try {
      await opened.sync()
    } finally {
      await opened.close()
    }
  },
}

/**
 * For a program that has nothing else to do while it reads. Most of a file is in the system's
 * cache, and copying it from there takes less time than handing the copying to another thread.
 */
export const blockingFiles: Files = {
  ...systemFiles,
  async open(file, mode) {
    const fd = await open(file, flags[mode], 0o600)
    return handle(fd, readingHere(fd))
  },
}

// Plain descriptors: a write and a sync through fs.promises take 30 µs more, a quarter of what
// a fast disk needs for the sync itself.
const open = promisify(callbackFs.open)
const close = promisify(callbackFs.close)
const read = promisify(callbackFs.read)
const write = promisify(callbackFs.write)
const fdatasync = promisify(callbackFs.fdatasync)
const ftruncate = promisify(callbackFs.ftruncate)
const fstat = promisify(callbackFs.fstat)

/**
 * So much is in the system's cache sooner than another thread could be woken to copy it there: a
 * small write and its sync take 60 µs of processor time instead of 75. What is larger may take new
 * pages, and the loop has better things to do meanwhile.
 */
const writeHereMax = 4096

type Read = FileHandle['read']

/** On a thread of the pool. */
async function readElsewhere(fd: number, buffer: Uint8Array, position: number): Promise<number> {
  let done = 0
  while (done < buffer.length) {
    const left = buffer.length - done
    const { bytesRead } = await read(fd, buffer, done, left, position + done)
    if (bytesRead === 0) break
    done += bytesRead
  }
  return done
}

/** After so much, whatever else waits (a signal, a timer) has its turn: about every millisecond. */
const readHereBytesMax = 1024 * 1024

function readingHere(fd: number): Read {
  let sinceTurn = 0
  return async (buffer, position) => {
    let done = 0
    while (done < buffer.length) {
      const left = buffer.length - done
      const bytesRead = callbackFs.readSync(fd, buffer, done, left, position + done)
      if (bytesRead === 0) break
      done += bytesRead
    }
    sinceTurn += done
    if (sinceTurn >= readHereBytesMax) {
      sinceTurn = 0
      await setImmediate()
    }
    return done
  }
}

function handle(fd: number, read: Read): FileHandle {
  return {
    descriptor: fd,
    read,
    async write(buffers, position) {
      let at = position
      for (const buffer of buffers) {
        let done = 0
        while (done < buffer.length) {
          const left = buffer.length - done
          const bytesWritten =
            left <= writeHereMax
              ? callbackFs.writeSync(fd, buffer, done, left, at)
              : (await write(fd, buffer, done, left, at)).bytesWritten
          done += bytesWritten
          at += bytesWritten
        }
      }
    },
    sync: () => fdatasync(fd),
    truncate: (length) => ftruncate(fd, length),
    async size() {
      return (await fstat(fd)).size
    },
    close: () => close(fd),
  }
}
