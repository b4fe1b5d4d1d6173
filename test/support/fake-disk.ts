// fake-disk.ts: files and directories of fake-files.ts, each with what readers see, what is surely
// on disk, and the changes between the two. afterCrash() says what is found after a power failure.

const sectorBytes = 512

type Random = (limit: number) => number

type DirChange = readonly (readonly [name: string, to: FakeFile | FakeDir | undefined])[]

export class FakeDir {
  entries = new Map<string, FakeFile | FakeDir>()
  #synced = new Map<string, FakeFile | FakeDir>()
  #unsynced: DirChange[] = []

  change(change: DirChange): void {
    apply(change, this.entries)
    this.#unsynced.push(change)
  }

  sync(): void {
    this.#synced = new Map(this.entries)
    this.#unsynced = []
  }

  afterCrash(random: Random): FakeDir {
    const kept = this.#unsynced.slice(0, random(this.#unsynced.length + 1))
    const survived = new FakeDir()
    survived.entries = new Map(this.#synced)
    for (const change of kept) apply(change, survived.entries)
    for (const [name, entry] of survived.entries) {
      survived.entries.set(name, entry.afterCrash(random))
    }
    survived.sync()
    return survived
  }
}

function apply(change: DirChange, entries: Map<string, FakeFile | FakeDir>): void {
  for (const [name, to] of change) {
    if (to === undefined) entries.delete(name)
    else entries.set(name, to)
  }
}

type FileChange = { kind: 'write'; data: Buffer; at: number } | { kind: 'truncate'; length: number }

export class FakeFile {
  readonly inode: bigint
  #content = new Content()
  #synced = new Content()
  #unsynced: FileChange[] = []

  constructor(inode: bigint) {
    this.inode = inode
  }

  get length(): number {
    return this.#content.length
  }

  read(into: Uint8Array, at: number): number {
    return this.#content.read(into, at)
  }

  write(data: Buffer, at: number): void {
    this.#content.write(data, at)
    this.#unsynced.push({ kind: 'write', data, at })
  }

  truncate(length: number): void {
    this.#content.truncate(length)
    this.#unsynced.push({ kind: 'truncate', length })
  }

  sync(): void {
    for (const change of this.#unsynced) {
      if (change.kind === 'write') this.#synced.write(change.data, change.at)
      else this.#synced.truncate(change.length)
    }
    this.#unsynced = []
  }

  afterCrash(random: Random): FakeFile {
    const survived = new FakeFile(this.inode)
    const content = this.#synced.copy()
    // Nothing, everything, or some of it: the first two would be rare among coin tosses.
    const mood = random(3)
    const keeps = () => mood === 1 || (mood === 2 && random(2) === 1)
    for (const change of this.#unsynced) {
      if (change.kind === 'truncate') {
        if (keeps()) content.truncate(change.length)
      } else {
        for (const part of sectorsOf(change.data, change.at)) {
          if (keeps()) content.write(part.data, part.at)
        }
      }
    }
    survived.#content = content
    survived.#synced = content.copy()
    return survived
  }
}

/** As much of a write as `bytesMax` allows, all of it or up to the end of a sector. */
export function wholeSectors(data: Buffer, at: number, bytesMax: number): Buffer {
  if (bytesMax >= data.length) return data
  return data.subarray(0, Math.max(0, bytesMax - ((at + bytesMax) % sectorBytes)))
}

function* sectorsOf(data: Buffer, at: number): Generator<{ data: Buffer; at: number }> {
  let done = 0
  while (done < data.length) {
    const end = Math.min(data.length, done + sectorBytes - ((at + done) % sectorBytes))
    yield { data: data.subarray(done, end), at: at + done }
    done = end
  }
}

/** Bytes of a file; what lies between those written and the length reads as zeros. */
class Content {
  length = 0
  #bytes = Buffer.alloc(0)

  read(into: Uint8Array, at: number): number {
    const count = Math.max(0, Math.min(into.length, this.length - at))
    const part = into.subarray(0, count)
    part.fill(0)
    part.set(this.#bytes.subarray(at, at + count))
    return count
  }

  write(data: Buffer, at: number): void {
    const end = at + data.length
    if (end > this.#bytes.length) {
      const larger = Buffer.alloc(Math.max(end, this.#bytes.length * 2))
      larger.set(this.#bytes)
      this.#bytes = larger
    }
    this.#bytes.set(data, at)
    this.length = Math.max(this.length, end)
  }

  truncate(length: number): void {
    this.#bytes.fill(0, Math.min(length, this.#bytes.length))
    this.length = length
  }

  copy(): Content {
    const copy = new Content()
    copy.length = this.length
    copy.#bytes = Buffer.from(this.#bytes)
    return copy
  }
}
