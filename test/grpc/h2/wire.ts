// wire.ts: an end of a connection without a socket: a test says bytes and sees frames.
import { HpackDecoder } from '../../../src/grpc/h2/hpack-decoder.js'
import type { Transport } from '../../../src/grpc/h2/link.js'
import type { SocketEnd } from '../../../src/grpc/h2/socket.js'
import type { Stream } from '../../../src/grpc/h2/stream.js'
import { type Frame, frameBytes, frameType } from '../../support/raw-http2.js'

export const preface = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n')
export const emptySettings = frameBytes(frameType.settings)
export const windowUpdate = 8

/** Of errors: RFC 9113 §7. */
export const code = {
  none: 0,
  protocol: 1,
  flowControl: 3,
  streamClosed: 5,
  frameSize: 6,
  refused: 7,
  cancel: 8,
  compression: 9,
  calm: 11,
} as const

export class Wire<Connection extends SocketEnd> implements Transport {
  readonly connection: Connection
  isEnded = false
  isDestroyed = false
  isPaused = false
  /** As if the peer read nothing: what was written stays pending. */
  isStuck = false
  pendingBytes = 0
  writes = 0
  #held: Buffer = Buffer.alloc(0)
  readonly #decoder = new HpackDecoder({ listBytesMax: 2 ** 20 })

  constructor(make: (transport: Transport) => Connection) {
    this.connection = make(this)
  }

  /** The frames that come in answer to these. */
  async says(...frames: readonly Buffer[]): Promise<Frame[]> {
    this.connection.receive(Buffer.concat(frames))
    return this.hears()
  }

  /** The frames since last time; a client's preface is passed over. */
  async hears(): Promise<Frame[]> {
    await new Promise((resolve) => setImmediate(resolve))
    if (this.#held.subarray(0, preface.length).equals(preface)) {
      this.#held = this.#held.subarray(preface.length)
    }
    const frames: Frame[] = []
    while (this.#held.length >= 9) {
      const end = 9 + this.#held.readUIntBE(0, 3)
      const [type = 0, flags = 0] = this.#held.subarray(3, 5)
      const stream = this.#held.readUInt32BE(5)
      frames.push({ type, flags, stream, payload: this.#held.subarray(9, end) })
      this.#held = this.#held.subarray(end)
    }
    return frames
  }

  /** The headers in a frame. Each must be read, in order: they share a table. */
  headers({ payload }: Frame): Record<string, string> {
    return { ...this.#decoder.decode(payload, 0, payload.length).headers }
  }

  write(pieces: readonly Buffer[]): void {
    this.writes++
    const bytes = Buffer.concat(pieces)
    this.#held = Buffer.concat([this.#held, bytes])
    if (this.isStuck) this.pendingBytes += bytes.length
    else if (bytes.length > 16_384) setImmediate(() => this.connection.drained())
  }

  /** The peer has read everything. */
  drain(): void {
    this.isStuck = false
    this.pendingBytes = 0
    this.connection.drained()
  }

  pause(): void {
    this.isPaused = true
  }

  resume(): void {
    this.isPaused = false
  }

  end(): void {
    this.isEnded = true
  }

  destroy(): void {
    this.isDestroyed = true
  }
}

export const data = (stream: number, payload: Buffer | string, flags = 0): Buffer =>
  frameBytes(frameType.data, { stream, flags, payload: Buffer.from(payload) })

export function number(type: number, stream: number, value: number): Buffer {
  const payload = Buffer.alloc(4)
  payload.writeUInt32BE(value)
  return frameBytes(type, { stream, payload })
}

export function setting(id: number, value: number): Buffer {
  const payload = Buffer.alloc(6)
  payload.writeUInt16BE(id)
  payload.writeUInt32BE(value, 2)
  return frameBytes(frameType.settings, { payload })
}

/** What is read of a request; sees its end. */
export function recorded(stream: Stream) {
  const seen = { text: '', isEnded: false, isClosed: false, isSent: false, drains: 0 }
  stream.reader = {
    onData: (piece) => {
      seen.text += piece.toString()
    },
    onEnd: () => {
      seen.isEnded = true
    },
    onDrain: () => {
      seen.drains++
    },
  }
  stream.owner = {
    onClose: () => {
      seen.isClosed = true
    },
    onSent: () => {
      seen.isSent = true
    },
  }
  return seen
}
