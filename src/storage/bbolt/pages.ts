// pages.ts: fetches page blocks of an open file. Pages that one branch names are fetched together:
// neighbours in the file become one read, whatever their order in the tree, so that a file in
// perfect order is read in large pieces and one in no order at all still in few rounds.
import type { FileHandle } from '../../platform/files.js'
import { CorruptionError } from '../errors.js'
import type { Fail } from './leaf.js'
import type { Meta } from './meta.js'
import { countEnd, type PageHeader, pageFlag, readPageHeader } from './page.js'

/** A page with its further pages. `offset` is where it stands in the file. */
export interface Block {
  readonly header: PageHeader
  readonly data: Buffer
  readonly offset: number
}

/** One read takes at most this much, unless a single block is larger. */
const readSizeMax = 384 * 1024

/** Bytes between two wanted pages that are read along rather than asked around. */
const gapSizeMax = 16 * 1024

/** Larger blocks are no work of bbolt, whose values end at 2 GiB. */
const blockSizeMax = 2 ** 31

/**
 * Wanted pages of one round, without what lies between them. A branch over revisions names about
 * 124 pages of 4 KiB, which makes two rounds; the second is read while the first is looked at.
 */
export const roundSizeBytes = 256 * 1024

interface Run {
  readonly from: number
  readonly data: Buffer
}

export interface PageFileOptions {
  /**
   * Memory is used again for other pages once release() gave it back. For passes that keep nothing
   * of a page; spares the system handing out and clearing fresh memory as large as the file.
   */
  reusesMemory: boolean
}

export class PageFile {
  readonly file: string
  readonly meta: Meta
  readonly #handle: FileHandle
  readonly #reusesMemory: boolean
  readonly #spare: Buffer[] = []

  constructor(file: string, handle: FileHandle, meta: Meta, options: PageFileOptions) {
    this.file = file
    this.meta = meta
    this.#handle = handle
    this.#reusesMemory = options.reusesMemory
  }

  offsetOf(id: number): number {
    return id * this.meta.pageSizeBytes
  }

  /** Fetches the pages `ids`, each in range. What is found there is checked by block(). */
  async fetch(ids: readonly number[]): Promise<FetchedPages> {
    const { pageSizeBytes } = this.meta
    const sorted = [...ids].sort((a, b) => a - b)
    const spans: { from: number; end: number }[] = []
    for (const id of sorted) {
      const from = this.offsetOf(id)
      const end = from + pageSizeBytes
      const last = spans.at(-1)
      const joins = last && from - last.end <= gapSizeMax && end - last.from <= readSizeMax
      if (joins) last.end = Math.max(last.end, end)
      else spans.push({ from, end })
    }
    if (!this.#reusesMemory) {
      const runs = spans.map(({ from, end }) => this.#run(from, Buffer.allocUnsafeSlow(end - from)))
      return new FetchedPages(await Promise.all(runs))
    }
    // All of a round in one piece: a file in no order has a run for nearly every page.
    const memory = this.#memory(spans.reduce((size, { from, end }) => size + end - from, 0))
    let at = 0
    const runs = spans.map(({ from, end }) => {
      const start = at
      at += end - from
      return this.#run(from, memory.subarray(start, at))
    })
    return new FetchedPages(await Promise.all(runs), memory)
  }

  /** Nothing of these pages is needed any more. */
  release({ memory }: FetchedPages): void {
    if (memory !== undefined) this.#spare.push(memory)
  }

  /**
   * The block of page `id`, of which at least the first page was fetched; undefined when there is
   * more of it. Checks its header.
   */
  fetchedBlock(id: number, fetched: FetchedPages): Block | undefined {
    const offset = this.offsetOf(id)
    const run = fetched.runAt(offset)
    const at = offset - run.from
    const header = readPageHeader(run.data, at)
    this.#checkHeader(header, id)
    const end = at + this.#blockSize(header)
    return end <= run.data.length ? { header, data: run.data.subarray(at, end), offset } : undefined
  }

  /** The same with all of it, however much that is. */
  async block(id: number, fetched: FetchedPages): Promise<Block> {
    const block = this.fetchedBlock(id, fetched)
    if (block !== undefined) return block
    const offset = this.offsetOf(id)
    const run = fetched.runAt(offset)
    const header = readPageHeader(run.data, offset - run.from)
    // Not from Node's pool: what a caller keeps of a block should not hold unrelated memory.
    const { data } = await this.#run(offset, Buffer.allocUnsafeSlow(this.#blockSize(header)))
    return { header, data, offset }
  }

  #blockSize({ overflow }: PageHeader): number {
    return (overflow + 1) * this.meta.pageSizeBytes
  }

  /** The error for what stands at `offset` of the file. A property, so that it can be passed on. */
  readonly fail: Fail = (offset, expected, found) =>
    new CorruptionError('database', { file: this.file, offset, expected, found })

  #checkHeader({ id, flags, count, overflow }: PageHeader, expectedId: number): void {
    const offset = this.offsetOf(expectedId)
    if (id !== expectedId) throw this.fail(offset, `page ${expectedId}`, `page ${id}`)
    if (!knownFlags.has(flags)) {
      throw this.fail(offset + 8, 'page flags 1, 2, 4 or 16', `page flags ${flags}`)
    }
    if (flags !== pageFlag.freelist && count >= countEnd) {
      throw this.fail(offset + 10, `fewer than ${countEnd} elements`, `${count} elements`)
    }
    const { highWaterMark, pageSizeBytes } = this.meta
    const isInside = id + overflow < highWaterMark && (overflow + 1) * pageSizeBytes <= blockSizeMax
    if (!isInside) {
      const room = Math.min(highWaterMark - id, blockSizeMax / pageSizeBytes) - 1
      throw this.fail(offset + 12, `at most ${room} overflow pages`, `${overflow} overflow pages`)
    }
  }

  async #run(from: number, data: Buffer): Promise<Run> {
    const size = await this.#handle.read(data, from)
    if (size < data.length) {
      throw this.fail(from + size, `${data.length - size} more bytes`, 'the end of the file')
    }
    return { from, data }
  }

  /** Too small a piece is dropped, so that soon all are as large as a round needs. */
  #memory(size: number): Buffer {
    const spare = this.#spare.pop()
    return spare !== undefined && spare.length >= size
      ? spare
      : Buffer.allocUnsafeSlow(Math.max(size, readSizeMax))
  }
}

const knownFlags: ReadonlySet<number> = new Set(Object.values(pageFlag))

/** Pieces of the file that are in memory. */
export class FetchedPages {
  readonly runs: readonly Run[]
  /** What all runs are parts of, when it is to be used again. */
  readonly memory: Buffer | undefined

  constructor(runs: readonly Run[], memory?: Buffer) {
    this.runs = runs
    this.memory = memory
  }

  /** The piece with the byte at `offset`, which is known to be here. */
  runAt(offset: number): Run {
    let low = 0
    let high = this.runs.length
    while (low < high) {
      const middle = (low + high) >>> 1
      const run = this.runs[middle]
      if (run === undefined) break
      if (offset < run.from) high = middle
      else if (offset >= run.from + run.data.length) low = middle + 1
      else return run
    }
    throw new RangeError(`offset ${offset} was not fetched`)
  }
}
