// frame-writer.ts: puts frames one behind the other, for one write to the socket. Small ones are
// copied together; a large payload is kept as it is, so that nobody may change it afterwards.
import { frameHeadBytes } from './frame-types.js'

/** What a connection with little to say keeps for its frames; doubled as need be. */
const startBytes = 1024

/** Of these a buffer with nothing in it is given up. */
const keptBytesMax = 16 * 1024

/** Payloads from this on are not copied. */
const largeBytes = 4096

export class FrameWriter {
  #buffer = Buffer.allocUnsafeSlow(startBytes)
  #fill = 0
  /** What stands before the buffer. */
  #earlier: Buffer[] = []
  #earlierBytes = 0

  get size(): number {
    return this.#earlierBytes + this.#fill
  }

  frame(type: number, flags: number, stream: number, payload: Uint8Array): void {
    this.head(type, flags, stream, payload.length)
    this.put(payload)
  }

  /** What follows with put() has `length` bytes in all. */
  head(type: number, flags: number, stream: number, length: number): void {
    this.#reserve(frameHeadBytes)
    const buffer = this.#buffer
    let at = this.#fill
    buffer[at++] = length >>> 16
    buffer[at++] = length >>> 8
    buffer[at++] = length
    buffer[at++] = type
    buffer[at++] = flags
    buffer[at++] = stream >>> 24
    buffer[at++] = stream >>> 16
    buffer[at++] = stream >>> 8
    buffer[at++] = stream
    this.#fill = at
  }

  put(bytes: Uint8Array): void {
    const { length } = bytes
    if (length >= largeBytes) {
      this.#seal()
      this.#earlier.push(Buffer.from(bytes.buffer, bytes.byteOffset, length))
      this.#earlierBytes += length
      return
    }
    this.#reserve(length)
    if (length < 32) {
      // A call of set() costs more than this.
      const buffer = this.#buffer
      let at = this.#fill
      for (let i = 0; i < length; i++) buffer[at++] = bytes[i] as number
    } else this.#buffer.set(bytes, this.#fill)
    this.#fill += length
  }

  /** The head of a message of gRPC: not compressed, and its length. */
  messageHead(length: number): void {
    this.#reserve(5)
    this.#buffer[this.#fill] = 0
    this.#buffer.writeUInt32BE(length, this.#fill + 1)
    this.#fill += 5
  }

  uint32(value: number): void {
    this.#reserve(4)
    this.#buffer.writeUInt32BE(value, this.#fill)
    this.#fill += 4
  }

  /** All of it, as few pieces. */
  take(): Buffer[] {
    this.#seal()
    const taken = this.#earlier
    this.#earlier = []
    this.#earlierBytes = 0
    if (this.#buffer.length > keptBytesMax) this.#buffer = Buffer.allocUnsafeSlow(startBytes)
    return taken
  }

  #seal(): void {
    if (this.#fill === 0) return
    // Copied: the socket may keep it for a while, and the buffer is used again.
    this.#earlier.push(Buffer.from(this.#buffer.subarray(0, this.#fill)))
    this.#earlierBytes += this.#fill
    this.#fill = 0
  }

  #reserve(bytes: number): void {
    const needed = this.#fill + bytes
    if (needed <= this.#buffer.length) return
    const larger = Buffer.allocUnsafeSlow(Math.max(needed, 2 * this.#buffer.length))
    this.#buffer.copy(larger, 0, 0, this.#fill)
    this.#buffer = larger
  }
}
