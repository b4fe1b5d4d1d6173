// fake-files.ts: a file system in memory that forgets on a crash what was not synced.
//
// Each file has the bytes that readers see and the bytes that are surely on disk; between them
// stands the list of changes since the last sync. crash() decides for each of these changes, by
// the seed, how much of it had reached the disk on its own:
//
//     write       any subset of its 512-byte sectors; the length grows as far as they reach
//     truncate    or not
//     rename, create, remove in a directory    the first so many since its last syncDir
//
// A write that ends early, for lack of space or power, has taken whole sectors. What was synced
// survives always. Handles opened before a crash are dead after it. Nothing is kept for lengths
// that were never written, so preallocated files cost no memory.
import path from 'node:path'
import type { FileHandle, FileStat, Files, OpenMode } from '../../src/platform/files.js'
import { FakeDir, FakeFile, wholeSectors } from './fake-disk.js'

export interface FakeFilesOptions {
  /** A whole number in [0, limit). Decides what survives a crash. */
  random: (limit: number) => number
}

/** Numbers that only the seed decides (mulberry32). */
export function seededRandom(seed: number): (limit: number) => number {
  let state = seed | 0
  return (limit) => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32) * limit)
  }
}

/** Thrown by every operation between powerFailsAfter() coming due and crash(). */
export class PowerFailure extends Error {
  override readonly name = 'PowerFailure'
}

export class FakeFiles implements Files {
  /** How often each kind of call was made; a test may set them back to zero. */
  readonly counts = { reads: 0, writes: 0, syncs: 0, dirSyncs: 0 }
  /** Bytes that writes may still take; sparse and overwritten bytes count too. */
  spaceBytes = Number.POSITIVE_INFINITY
  /** Called before each sync of a file; what it throws is the sync's failure. */
  onSync: (file: string) => void | Promise<void> = () => {}
  readonly #random: (limit: number) => number
  #root = new FakeDir()
  #powerLeft = Number.POSITIVE_INFINITY
  #boot = 0
  #inodes = 1n

  constructor({ random }: FakeFilesOptions) {
    this.#random = random
  }

  /** Lets that many more changes happen; the next one happens in part, and then all fail. */
  powerFailsAfter(changes: number): void {
    this.#powerLeft = changes
  }

  get hasPower(): boolean {
    return this.#powerLeft >= 0
  }

  /** The machine stops and starts again: what was not synced is lost, or partly kept. */
  crash(): void {
    this.#boot++
    this.#powerLeft = Number.POSITIVE_INFINITY
    this.#root = this.#root.afterCrash(this.#random)
  }

  async open(file: string, mode: OpenMode): Promise<FileHandle> {
    this.#needPower()
    const { dir, name } = this.#parentOf(file)
    const found = dir.entries.get(name)
    if (found instanceof FakeDir) throw failure('EISDIR', 'illegal operation on a directory', file)
    if (mode !== 'create') {
      if (found === undefined) throw notFound(file)
      return this.#handle(file, found)
    }
    if (found !== undefined) throw failure('EEXIST', 'file already exists', file)
    this.#change()
    const made = new FakeFile(this.#inodes++)
    dir.change([[name, made]])
    return this.#handle(file, made)
  }

  async readFile(file: string): Promise<Buffer> {
    this.#needPower()
    const found = this.#file(file)
    const content = Buffer.alloc(found.length)
    found.read(content, 0)
    return content
  }

  async list(dir: string): Promise<string[]> {
    this.#needPower()
    const names = [...this.#dir(dir).entries.keys()]
    return names.sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)))
  }

  async exists(file: string): Promise<boolean> {
    return (await this.stat(file)) !== undefined
  }

  async stat(file: string): Promise<FileStat | undefined> {
    this.#needPower()
    const found = this.#find(file)
    if (found === undefined) return undefined
    if (found instanceof FakeDir) return { isDirectory: true, size: 0, mode: 0o700, inode: 0n }
    return { isDirectory: false, size: found.length, mode: 0o600, inode: found.inode }
  }

  async makeDir(dir: string): Promise<void> {
    this.#needPower()
    let at = this.#root
    for (const name of partsOf(dir)) {
      let next = at.entries.get(name)
      if (next instanceof FakeFile) throw failure('ENOTDIR', 'not a directory', dir)
      if (next === undefined) {
        this.#change()
        next = new FakeDir()
        at.change([[name, next]])
      }
      at = next
    }
  }

  async rename(from: string, to: string): Promise<void> {
    this.#needPower()
    const source = this.#parentOf(from)
    const target = this.#parentOf(to)
    const moved = source.dir.entries.get(source.name)
    if (moved === undefined) throw notFound(from)
    const replaced = target.dir.entries.get(target.name)
    if (replaced instanceof FakeDir && replaced.entries.size > 0) {
      throw failure('ENOTEMPTY', 'directory not empty', to)
    }
    if (source.dir !== target.dir) throw new Error('renames between directories are not modelled')
    this.#change()
    source.dir.change([
      [source.name, undefined],
      [target.name, moved],
    ])
  }

  async remove(file: string): Promise<void> {
    this.#needPower()
    if (this.#find(file) === undefined) return
    this.#change()
    const { dir, name } = this.#parentOf(file)
    dir.change([[name, undefined]])
  }

  async syncDir(dir: string): Promise<void> {
    this.#needPower()
    const found = this.#dir(dir)
    this.#change()
    this.counts.dirSyncs++
    found.sync()
  }

  #handle(name: string, file: FakeFile): FileHandle {
    const boot = this.#boot
    let isOpen = true
    const check = () => {
      this.#needPower()
      if (!isOpen) throw failure('EBADF', 'bad file descriptor', name)
      if (boot !== this.#boot) throw new PowerFailure(`${name} was opened before the crash`)
    }
    return {
      read: async (buffer, position) => {
        check()
        this.counts.reads++
        return file.read(buffer, position)
      },
      write: async (buffers, position) => {
        check()
        this.counts.writes++
        const data = Buffer.concat(buffers)
        const fitting = wholeSectors(data, position, this.spaceBytes)
        this.#change(() => {
          file.write(wholeSectors(fitting, position, this.#random(fitting.length + 1)), position)
        })
        file.write(fitting, position)
        this.spaceBytes -= fitting.length
        if (fitting.length < data.length) {
          throw failure('ENOSPC', 'no space left on device', name)
        }
      },
      sync: async () => {
        check()
        this.counts.syncs++
        await this.onSync(name)
        check()
        this.#change()
        file.sync()
      },
      truncate: async (length) => {
        check()
        this.#change()
        file.truncate(length)
      },
      size: async () => {
        check()
        return file.length
      },
      close: async () => {
        if (!isOpen) throw failure('EBADF', 'bad file descriptor', name)
        isOpen = false
      },
    }
  }

  #needPower(): void {
    if (!this.hasPower) throw new PowerFailure('the power is off')
  }

  /** Counts a change; the one at which the power fails happens as `partly` says. */
  #change(partly: () => void = () => {}): void {
    if (this.#powerLeft-- > 0) return
    partly()
    throw new PowerFailure('the power went off')
  }

  #parentOf(file: string): { dir: FakeDir; name: string } {
    return { dir: this.#dir(path.dirname(file)), name: path.basename(file) }
  }

  #dir(dir: string): FakeDir {
    const found = this.#find(dir)
    if (found === undefined) throw notFound(dir)
    if (found instanceof FakeFile) throw failure('ENOTDIR', 'not a directory', dir)
    return found
  }

  #file(file: string): FakeFile {
    const found = this.#find(file)
    if (found === undefined) throw notFound(file)
    if (found instanceof FakeDir) throw failure('EISDIR', 'illegal operation on a directory', file)
    return found
  }

  #find(file: string): FakeFile | FakeDir | undefined {
    let at: FakeFile | FakeDir | undefined = this.#root
    for (const name of partsOf(file)) {
      if (!(at instanceof FakeDir)) return undefined
      at = at.entries.get(name)
    }
    return at
  }
}

const partsOf = (file: string): string[] => file.split('/').filter((part) => part !== '')

function failure(code: string, reason: string, file: string): Error {
  return Object.assign(new Error(`${code}: ${reason}, '${file}'`), { code })
}

const notFound = (file: string): Error => failure('ENOENT', 'no such file or directory', file)
