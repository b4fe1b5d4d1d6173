// held-bytes.ts: what came for a stream that nobody reads at the moment. A peer may send its
// window in pieces of one byte, and each may be a view of all that the socket gave at once: they
// are copied together, so that what is held takes the memory that the window says, and not more.
// An answer of our own asking may take some more, and large pieces of it are kept as they came.

import { Fifo } from '../fifo.js'

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
  readonly #full = new Fifo<Buffer>()
  /** Behind the full ones: the block that is being filled, so far. */
  #open: Buffer | undefined
  #fill = 0
  #bytes = 0
  /** Of the next block. */
  #blockBytes = firstBlockBytes

  constructor({ mayKeep }: HeldBytesOptions) {
    this.#mayKeep = mayKeep
  }

  get bytes(): number {
    return this.#bytes
  }

  push(piece: Buffer): void {
    this.#bytes += piece.length
    if (this.#mayKeep && piece.length >= keptShareMin * piece.buffer.byteLength) {
      this.#seal()
      this.#full.push(piece)
      return
    }
    for (let at = 0; at < piece.length; ) {
      const open = this.#open ?? this.#newBlock(piece.length - at)
      const copied = piece.copy(open, this.#fill, at)
      this.#fill += copied
      at += copied
      if (this.#fill === open.length) this.#seal()
    }
  }

  /** The oldest of it, which is the taker's from now on. */
  shift(): Buffer | undefined {
    if (this.#full.length === 0) this.#seal()
    const block = this.#full.shift()
    if (block === undefined) return undefined
    this.#bytes -= block.length
    if (this.#bytes === 0) this.clear()
    return block
  }

  clear(): void {
    this.#full.clear()
    this.#open = undefined
    this.#fill = 0
    this.#bytes = 0
    this.#blockBytes = firstBlockBytes
  }

  #seal(): void {
    if (this.#open !== undefined) this.#full.push(this.#open.subarray(0, this.#fill))
    this.#open = undefined
    this.#fill = 0
  }

  #newBlock(needed: number): Buffer {
    const block = Buffer.allocUnsafeSlow(Math.max(needed, this.#blockBytes))
    this.#blockBytes = Math.min(2 * block.length, blockBytesMax)
    this.#open = block
    return block
  }
}
