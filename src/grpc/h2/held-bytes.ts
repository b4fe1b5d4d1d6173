// held-bytes.ts: what came for a stream that nobody reads at the moment. A peer may send its
// window in pieces of one byte, and each may be a view of all that the socket gave at once: they
// are copied together, so that what is held takes the memory that the window says, and not more.
// An answer of our own asking may take some more, and large pieces of it are kept as they came.

/** Of a block that takes several pieces; the first is smaller, as most streams hold little. */
const blockBytesMax = 16 * 1024

const firstBlockBytes = 256

/** Of what a piece is a view of it is so much at least, for it to be kept without a copy. */
const keptShareMin = 1 / 4

export interface HeldBytesOptions {
  /** Up to four times the memory may be taken, to save copies. */
  readonly mayKeep: boolean
}

export class HeldBytes {
  readonly #mayKeep: boolean
  #blocks: Buffer[] = []
  /** Blocks before this one were taken. */
  #taken = 0
  /** Of the last block. */
  #fill = 0
  #bytes = 0

  constructor({ mayKeep }: HeldBytesOptions) {
    this.#mayKeep = mayKeep
  }

  get bytes(): number {
    return this.#bytes
  }

  push(piece: Buffer): void {
    this.#bytes += piece.length
    if (this.#mayKeep && piece.length >= keptShareMin * piece.buffer.byteLength) {
      this.#keep(piece)
      return
    }
    for (let at = 0; at < piece.length; ) {
      const last = this.#blocks.at(-1)
      if (last === undefined || this.#fill === last.length) {
        this.#addBlock(piece.length - at)
        continue
      }
      const copied = piece.copy(last, this.#fill, at)
      this.#fill += copied
      at += copied
    }
  }

  /** The oldest of it, which is the taker's from now on. */
  shift(): Buffer | undefined {
    const block = this.#blocks[this.#taken]
    if (block === undefined) return undefined
    const isLast = ++this.#taken === this.#blocks.length
    const bytes = isLast ? block.subarray(0, this.#fill) : block
    this.#bytes -= bytes.length
    if (isLast) this.clear()
    return bytes
  }

  clear(): void {
    this.#blocks = []
    this.#taken = 0
    this.#fill = 0
    this.#bytes = 0
  }

  #keep(piece: Buffer): void {
    const last = this.#blocks.length - 1
    const block = this.#blocks[last]
    if (block !== undefined) this.#blocks[last] = block.subarray(0, this.#fill)
    this.#blocks.push(piece)
    this.#fill = piece.length
  }

  #addBlock(needed: number): void {
    const twice = 2 * (this.#blocks.at(-1)?.length ?? firstBlockBytes / 2)
    const size = Math.max(needed, Math.min(twice, blockBytesMax))
    this.#blocks.push(Buffer.allocUnsafeSlow(size))
    this.#fill = 0
  }
}
