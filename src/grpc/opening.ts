// opening.ts: the first frames of an HTTP/2 connection, looked at before node:http2 gets them. Only
// Go's clients are held up by that: they open with a SETTINGS frame that is empty, while nearly
// everybody else has something to set and is passed on at once.
//
//     client                                   we
//     preface, empty SETTINGS            ──►
//                                        ◄──   empty SETTINGS: grpc-go makes no call before it
//     ACK, HEADERS (in either order)     ──►   take the ACK out, repair :authority, pass on
//
// The ACK must not reach node:http2, which did not send the SETTINGS that it belongs to. What
// node:http2 then sends, a second SETTINGS frame and the ACK of the client's own, is nothing that
// HTTP/2 forbids. Where there was something to repair, repairing-socket.ts sees to later calls; it
// does, too, where no call came before something that must be answered, or for a long time.
import { frameBytesMax, frameHeadBytes, headersType, repairedHeaders } from './header-repair.js'

const preface = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 'latin1')

/** Length 0, type SETTINGS, no flags, stream 0. */
export const emptySettings = Buffer.from([0, 0, 0, 4, 0, 0, 0, 0, 0])

const goOpening = Buffer.concat([preface, emptySettings])

const settingsType = 4
const windowUpdateType = 8
const ackFlag = 1

/** A window of data (65535), which may come before the ACK, and some HEADERS. */
const heldBytesMax = 128 * 1024

export interface Opening {
  readonly next: 'wait' | 'greet' | 'pass' | 'refuse'
  /** What node:http2 is to get: at `pass` now, at `wait` should the client say no more. */
  readonly bytes?: Buffer
  /** Calls to come may have a URL as their :authority: the first one had, or there was none. */
  readonly needsRepair?: boolean
}

/**
 * What to do with a connection of which `held` is all that came so far, and to which
 * `emptySettings` were sent or not (`isGreeted`). Looks at everything anew each time: it is some
 * hundred bytes.
 */
export function judgeOpening(held: Buffer, isGreeted: boolean): Opening {
  const common = Math.min(held.length, goOpening.length)
  if (goOpening.compare(held, 0, common, 0, common) !== 0) return { next: 'pass', bytes: held }
  if (held.length < goOpening.length) return { next: 'wait' }
  const frames = firstFrames(held, isGreeted)
  const { ack, headers, isOther, isSilent } = frames
  if (isSilent && !isGreeted) return { next: 'greet' }
  const isSettled = !isGreeted || ack !== undefined
  const isEnough = isSettled && (headers !== undefined || isOther)
  if (!isEnough && held.length > heldBytesMax) return { next: 'refuse' }
  if (!isSettled) return { next: 'wait' }
  return { next: isEnough ? 'pass' : 'wait', ...settled(held, frames) }
}

interface Frame {
  readonly start: number
  readonly end: number
}

interface FirstFrames {
  readonly ack: Frame | undefined
  /** The first frame that tells something, if it is a HEADERS frame and here to its end. */
  readonly headers: Frame | undefined
  /** There is another frame in that place. */
  readonly isOther: boolean
  /** No such frame has begun. */
  readonly isSilent: boolean
}

function firstFrames(held: Buffer, isGreeted: boolean): FirstFrames {
  let ack: Frame | undefined
  let first: Frame | undefined
  let isOther = false
  let start = goOpening.length
  while (start + frameHeadBytes <= held.length) {
    const length = held.readUIntBE(start, 3)
    const type = held[start + 3]
    const frame = { start, end: start + frameHeadBytes + length }
    const isAck = type === settingsType && ((held[start + 4] ?? 0) & ackFlag) !== 0 && length === 0
    if (isGreeted && isAck && ack === undefined) ack = frame
    else if (first === undefined && type !== windowUpdateType) {
      first = frame
      isOther = type !== headersType || length > frameBytesMax
    }
    start = frame.end
  }
  const isWhole = first !== undefined && first.end <= held.length
  const isSilent = first === undefined && start === held.length
  return { ack, headers: isWhole && !isOther ? first : undefined, isOther, isSilent }
}

/** All bytes but those of the ACK, and the HEADERS with an :authority that will be taken. */
function settled(held: Buffer, { ack, headers }: FirstFrames) {
  const original = headers && held.subarray(headers.start, headers.end)
  const frame = original && repairedHeaders(original)
  const changes = [
    ...(ack === undefined ? [] : [{ ...ack, bytes: Buffer.alloc(0) }]),
    ...(headers === undefined || frame === undefined ? [] : [{ ...headers, bytes: frame }]),
  ]
  // From the last to the first: what stands before a change keeps its place.
  changes.sort((a, b) => b.start - a.start)
  const bytes = changes.reduce(
    (all, { start, end, bytes }) =>
      Buffer.concat([all.subarray(0, start), bytes, all.subarray(end)]),
    held,
  )
  return { bytes, needsRepair: headers === undefined || frame !== original }
}
