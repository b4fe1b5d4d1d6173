// header-repair.ts: finds the HEADERS frames in what an HTTP/2 client sends, whole or in pieces,
// and gives those with a URL as their :authority another one (authority.ts).
import { withoutUrl } from './authority.js'

const prefaceBytes = 24
export const frameHeadBytes = 9
export const headersType = 1
const endHeadersFlag = 4
const paddedOrPriorityFlags = 0x28

/** Larger frames than this need a leave that node:http2 does not give (RFC 9113 §6.5.2). */
export const frameBytesMax = 16_384

/** For all that comes after one another on a connection, preface first. */
export class HeaderRepair {
  /** A frame head or a HEADERS frame, as far as it is here. */
  #held: Buffer = Buffer.alloc(0)
  /** Bytes to come that are nothing to look at: of the preface, then of other frames. */
  #passing = prefaceBytes

  /** What can go on. */
  push(piece: Buffer): Buffer[] {
    const bytes = this.#held.length === 0 ? piece : Buffer.concat([this.#held, piece])
    const out: Buffer[] = []
    let at = 0
    const pass = (end: number) => {
      if (end > at) out.push(bytes.subarray(at, end))
      at = end
    }
    for (;;) {
      const end = Math.min(bytes.length, at + this.#passing)
      this.#passing -= end - at
      pass(end)
      if (bytes.length - at < frameHeadBytes) break
      const length = bytes.readUIntBE(at, 3)
      const frameBytes = frameHeadBytes + length
      if (bytes[at + 3] !== headersType || length > frameBytesMax) this.#passing = frameBytes
      else if (bytes.length - at < frameBytes) break
      else {
        out.push(repairedHeaders(bytes.subarray(at, at + frameBytes)))
        at += frameBytes
      }
    }
    this.#held = Buffer.from(bytes.subarray(at))
    return out
  }
}

/** The same frame where there is nothing to repair. */
export function repairedHeaders(frame: Buffer): Buffer {
  const flags = frame[4] ?? 0
  // grpc-go neither pads nor prioritises, and its blocks fit into one frame.
  if ((flags & paddedOrPriorityFlags) !== 0 || (flags & endHeadersFlag) === 0) return frame
  const block = withoutUrl(frame.subarray(frameHeadBytes))
  if (block === undefined) return frame
  const head = Buffer.from(frame.subarray(0, frameHeadBytes))
  head.writeUIntBE(block.length, 0, 3)
  return Buffer.concat([head, block])
}
