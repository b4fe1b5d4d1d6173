// slab.ts: where the bytes of records live. A record's bytes are copied out of the request, which
// is a view of a network buffer, into blocks that many records share: a small value then neither
// pins a buffer of 64 KiB nor costs an ArrayBuffer of its own.
//
//     block  [ rec ][ rec ][ dropped ][ rec ][ free ... ]     live = bytes of records still kept
//
// A block goes when the last view of it goes. Compaction moves records out of blocks that are
// mostly dropped, so what is kept occupies at most about twice its size. Bytes once written never
// change, hence a view handed out stays valid even after its record has moved.

/** Large enough that the cost of a block is spread over hundreds of records. */
const blockSizeBytes = 128 * 1024
/** A record of at least this size gets its own block; at most an eighth of a block is wasted. */
const ownBlockSizeBytes = blockSizeBytes / 8

export class Block {
  readonly bytes: Buffer
  /** End of what is taken. Invariant: 0 <= live <= used <= bytes.length. */
  used = 0
  live = 0

  constructor(sizeBytes: number) {
    this.bytes = Buffer.allocUnsafeSlow(sizeBytes)
  }

  /** Whether moving the records that are left pays. */
  get isSparse(): boolean {
    return this.live * 2 < this.bytes.length
  }
}

export class Slab {
  private current = new Block(0)

  /** A block with room for `sizeBytes` at its `used`; the caller takes them with take(). */
  blockFor(sizeBytes: number): Block {
    if (sizeBytes >= ownBlockSizeBytes) return new Block(sizeBytes)
    if (this.current.used + sizeBytes > this.current.bytes.length) {
      this.current = new Block(blockSizeBytes)
    }
    return this.current
  }

  /** Whether new records go into that block: it is sparse because it is young. */
  isFilling(block: Block): boolean {
    return block === this.current
  }
}

/** Takes that many bytes of a block and says where they start. */
export function take(block: Block, sizeBytes: number): number {
  const offset = block.used
  block.used += sizeBytes
  block.live += sizeBytes
  return offset
}
