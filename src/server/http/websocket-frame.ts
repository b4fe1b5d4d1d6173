// websocket-frame.ts: what goes over a WebSocket, as bytes (RFC 6455, section 5):
//
//     byte 0        FIN, three reserved bits, opcode
//     byte 1        MASK, length 0..125 | 126: two bytes follow | 127: eight bytes follow
//     4 bytes       mask, from clients only and from them always: byte n is XORed with mask[n % 4]
//     the payload
//
// A message is one data frame, or a data frame without FIN, continuations, and one with FIN;
// control frames may stand between those. Pure: bytes in, events out. A breach of the rules is a
// WebSocketError with the code that the closing frame is to carry.
import { isUtf8 } from 'node:buffer'

export const Opcode = { continuation: 0, text: 1, binary: 2, close: 8, ping: 9, pong: 10 } as const
export type Opcode = (typeof Opcode)[keyof typeof Opcode]

/** Why a connection is closed (section 7.4.1). */
export const CloseCode = {
  normal: 1000,
  goingAway: 1001,
  protocolError: 1002,
  /** Stands for a closing frame without a code. */
  none: 1005,
  notUtf8: 1007,
  tooBig: 1009,
  serverError: 1011,
} as const

export class WebSocketError extends Error {
  override readonly name = 'WebSocketError'
  readonly code: number

  constructor(code: number, message: string) {
    super(message)
    this.code = code
  }
}

export type WebSocketEvent =
  | { kind: 'message'; data: Buffer }
  | { kind: 'ping'; data: Buffer }
  | { kind: 'pong' }
  | { kind: 'close'; code: number }

const controlBytesMax = 125

/** A frame of a server, which masks nothing. */
export function encodeFrame(opcode: Opcode, payload: Uint8Array): Buffer {
  const { length } = payload
  const extra = length <= 125 ? 0 : length <= 0xffff ? 2 : 8
  const frame = Buffer.allocUnsafe(2 + extra + length)
  frame[0] = 0x80 | opcode
  frame[1] = extra === 0 ? length : extra === 2 ? 126 : 127
  if (extra === 2) frame.writeUInt16BE(length, 2)
  if (extra === 8) frame.writeBigUInt64BE(BigInt(length), 2)
  frame.set(payload, 2 + extra)
  return frame
}

export function encodeClose(code: number, reason = ''): Buffer {
  if (code === CloseCode.none) return encodeFrame(Opcode.close, Buffer.alloc(0))
  const payload = Buffer.alloc(2 + Buffer.byteLength(reason))
  payload.writeUInt16BE(code)
  payload.write(reason, 2)
  return encodeFrame(Opcode.close, payload.subarray(0, controlBytesMax))
}

interface Header {
  isLast: boolean
  opcode: Opcode
  length: number
}

/** Reads what a client sends, in pieces of any size. Nothing may be pushed after an error. */
export class FrameReader {
  readonly #messageBytesMax: number
  readonly #pieces: Buffer[] = []
  #size = 0
  #header: Header | undefined
  /** The message under way; undefined between messages. */
  #message: GrowingBuffer | undefined
  #isText = false

  constructor(messageBytesMax: number) {
    this.#messageBytesMax = messageBytesMax
  }

  /** @throws WebSocketError at the frame that breaks the rules; events before it are yielded */
  *push(piece: Buffer): Generator<WebSocketEvent, void, void> {
    this.#pieces.push(piece)
    this.#size += piece.length
    for (;;) {
      this.#header ??= this.#readHeader()
      if (this.#header === undefined || this.#size < this.#header.length + maskBytes) return
      const { isLast, opcode, length } = this.#header
      this.#header = undefined
      const mask = this.#take(maskBytes)
      const event = this.#onFrame(opcode, unmasked(this.#take(length), mask), isLast)
      if (event !== undefined) yield event
    }
  }

  /** Undefined while it is not whole. */
  #readHeader(): Header | undefined {
    if (this.#size < 2) return undefined
    const [first = 0, second = 0] = this.#peek(2)
    const short = second & 0x7f
    const extra = short === 126 ? 2 : short === 127 ? 8 : 0
    if ((second & 0x80) === 0) throw breach('a frame of a client must be masked')
    if (this.#size < 2 + extra) return undefined
    const bytes = this.#take(2 + extra)
    const length =
      extra === 0 ? short : extra === 2 ? bytes.readUInt16BE(2) : Number(bytes.readBigUInt64BE(2))
    const opcode = opcodeOf(first)
    this.#check({ isLast: (first & 0x80) !== 0, opcode, length })
    return { isLast: (first & 0x80) !== 0, opcode, length }
  }

  /** Before the payload is waited for, so that nobody can make us keep more than the limit. */
  #check({ isLast, opcode, length }: Header): void {
    if (isControl(opcode)) {
      if (!isLast) throw breach('a control frame must be whole')
      if (length > controlBytesMax) throw breach(`a control frame of ${length} bytes`)
      return
    }
    const isUnderWay = this.#message !== undefined
    if (isUnderWay && opcode !== Opcode.continuation) throw breach('a message inside a message')
    if (!isUnderWay && opcode === Opcode.continuation) throw breach('a continuation of nothing')
    const size = (this.#message?.length ?? 0) + length
    if (size <= this.#messageBytesMax) return
    const problem = `a message of ${size} bytes, over ${this.#messageBytesMax}`
    throw new WebSocketError(CloseCode.tooBig, problem)
  }

  #onFrame(opcode: Opcode, data: Buffer, isLast: boolean): WebSocketEvent | undefined {
    if (opcode === Opcode.ping) return { kind: 'ping', data }
    if (opcode === Opcode.pong) return { kind: 'pong' }
    if (opcode === Opcode.close) return { kind: 'close', code: closeCodeOf(data) }
    if (opcode !== Opcode.continuation) this.#isText = opcode === Opcode.text
    if (this.#message !== undefined || !isLast) {
      this.#message ??= new GrowingBuffer()
      this.#message.append(data)
      if (!isLast) return undefined
    }
    const message = this.#message?.bytes ?? data
    this.#message = undefined
    if (this.#isText && !isUtf8(message)) throw notUtf8('a text message')
    return { kind: 'message', data: message }
  }

  #peek(count: number): Buffer {
    const first = this.#pieces[0]
    if (first !== undefined && first.length >= count) return first.subarray(0, count)
    const all = Buffer.concat(this.#pieces)
    this.#pieces.splice(0, this.#pieces.length, all)
    return all.subarray(0, count)
  }

  #take(count: number): Buffer {
    const taken = this.#peek(count)
    const [first = taken] = this.#pieces
    if (first.length === count) this.#pieces.shift()
    else this.#pieces[0] = first.subarray(count)
    this.#size -= count
    return taken
  }
}

const maskBytes = 4

/** What was appended, however small the pieces, takes twice its length at most. */
class GrowingBuffer {
  #room: Buffer = Buffer.alloc(0)
  length = 0

  append(data: Buffer): void {
    const length = this.length + data.length
    if (length > this.#room.length) {
      const room = Buffer.allocUnsafe(Math.max(length, 2 * this.#room.length))
      this.#room.copy(room, 0, 0, this.length)
      this.#room = room
    }
    data.copy(this.#room, this.length)
    this.length = length
  }

  get bytes(): Buffer {
    return this.#room.subarray(0, this.length)
  }
}

function unmasked(data: Buffer, mask: Buffer): Buffer {
  const plain = Buffer.allocUnsafe(data.length)
  for (let at = 0; at < data.length; at++) plain[at] = (data[at] ?? 0) ^ (mask[at & 3] ?? 0)
  return plain
}

const opcodes: ReadonlySet<number> = new Set(Object.values(Opcode))

function opcodeOf(first: number): Opcode {
  if ((first & 0x70) !== 0) throw breach('a reserved bit is set')
  const opcode = first & 0x0f
  if (!isOpcode(opcode)) throw breach(`unknown opcode ${opcode}`)
  return opcode
}

const isOpcode = (number: number): number is Opcode => opcodes.has(number)
const isControl = (opcode: Opcode): boolean => opcode >= Opcode.close

function closeCodeOf(data: Buffer): number {
  if (data.length === 0) return CloseCode.none
  if (data.length === 1) throw breach('a closing frame with half a code')
  const code = data.readUInt16BE()
  const isKnown = (code >= 1000 && code <= 1003) || (code >= 1007 && code <= 1014)
  if (!isKnown && (code < 3000 || code > 4999)) throw breach(`closing code ${code}`)
  if (!isUtf8(data.subarray(2))) throw notUtf8('a closing reason')
  return code
}

const breach = (what: string): WebSocketError =>
  new WebSocketError(CloseCode.protocolError, `protocol error: ${what}`)

const notUtf8 = (what: string): WebSocketError =>
  new WebSocketError(CloseCode.notUtf8, `${what} that is not UTF-8`)
