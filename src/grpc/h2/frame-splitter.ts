// frame-splitter.ts: cuts what a peer sends into frames; a client says its preface first. A frame
// that arrives whole in one piece is handed on as a place in that piece, without a copy; of others
// the parts are put together, in a buffer of the frame's own: what reads the payload may keep views
// of it.
import { protocolFault, sizeFault } from './faults.js'
import { frameHeadBytes, framePayloadMax } from './frame-types.js'

export const preface = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 'latin1')

export interface FrameHead {
  readonly type: number
  readonly flags: number
  readonly stream: number
}

/** The payload is `bytes` from `from` to `end`. False: no more frames are wanted. */
export type OnFrame = (head: FrameHead, bytes: Buffer, from: number, end: number) => boolean

export interface FrameSplitterOptions {
  /** The preface comes first. */
  readonly isGreeted: boolean
  readonly onFrame: OnFrame
}

export class FrameSplitter {
  readonly #onFrame: OnFrame
  /** Of the preface. */
  #greeted: number
  readonly #head = Buffer.allocUnsafe(frameHeadBytes)
  #headFill = 0
  /** The payload being put together. */
  #payload: Buffer | undefined
  #payloadFill = 0

  constructor({ isGreeted, onFrame }: FrameSplitterOptions) {
    this.#onFrame = onFrame
    this.#greeted = isGreeted ? 0 : preface.length
  }

  push(piece: Buffer): void {
    let at = this.#greeted < preface.length ? this.#greet(piece) : 0
    while (at < piece.length) {
      if (this.#payload !== undefined) {
        at += this.#fill(this.#payload, piece, at)
        if (this.#payloadFill < this.#payload.length) return
        const payload = this.#payload
        this.#payload = undefined
        this.#headFill = 0
        if (!this.#onFrame(headAt(this.#head, 0), payload, 0, payload.length)) return
        continue
      }
      if (this.#headFill === 0 && piece.length - at >= frameHeadBytes) {
        const from = at + frameHeadBytes
        const end = from + lengthAt(piece, at)
        if (end <= piece.length) {
          if (!this.#onFrame(headAt(piece, at), piece, from, end)) return
          at = end
          continue
        }
      }
      at += this.#fillHead(piece, at)
      if (this.#headFill < frameHeadBytes) return
      const length = lengthAt(this.#head, 0)
      if (length === 0) {
        this.#headFill = 0
        if (!this.#onFrame(headAt(this.#head, 0), this.#head, 0, 0)) return
      } else {
        this.#payload = Buffer.allocUnsafe(length)
        this.#payloadFill = 0
      }
    }
  }

  #greet(piece: Buffer): number {
    const end = Math.min(piece.length, preface.length - this.#greeted)
    if (preface.compare(piece, 0, end, this.#greeted, this.#greeted + end) !== 0) {
      throw protocolFault('no preface of HTTP/2')
    }
    this.#greeted += end
    return end
  }

  #fillHead(piece: Buffer, at: number): number {
    const taken = piece.copy(this.#head, this.#headFill, at, at + frameHeadBytes - this.#headFill)
    this.#headFill += taken
    return taken
  }

  #fill(payload: Buffer, piece: Buffer, at: number): number {
    const taken = piece.copy(payload, this.#payloadFill, at)
    this.#payloadFill += taken
    return taken
  }
}

function lengthAt(bytes: Buffer, at: number): number {
  const length = bytes.readUIntBE(at, 3)
  if (length > framePayloadMax) throw sizeFault('a frame', length)
  return length
}

const headAt = (bytes: Buffer, at: number): FrameHead => ({
  type: bytes[at + 3] as number,
  flags: bytes[at + 4] as number,
  stream: bytes.readUInt32BE(at + 5) & 0x7fff_ffff,
})
