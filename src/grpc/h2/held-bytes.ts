// held-bytes.ts: what came for a stream that nobody reads at the moment. A client may send its
// window in pieces of one byte, and each may be a view of all that the socket gave at once: they
// are copied together, so that what is held takes the memory that the window says, and not more.

/** Of a block that takes several pieces; the first is smaller, as most streams hold little. */
const blockBytesMax = 16 * 1024

const firstBlockBytes = 256

export class HeldBytes {
  #blocks: Buffer[] = []
  /** Blocks before this one were taken. */
  #taken = 0
  /** Of the last block. */
  #fill = 0
  #bytes = 0

  get bytes(): number {
    return this.#bytes
  }

  push(piece: Buffer): void {
    this.#bytes += piece.length
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

  #addBlock(needed: number): void {
    const twice = 2 * (this.#blocks.at(-1)?.length ?? firstBlockBytes / 2)
    const size = Math.max(needed, Math.min(twice, blockBytesMax))
    this.#blocks.push(Buffer.allocUnsafeSlow(size))
    this.#fill = 0
  }
}
