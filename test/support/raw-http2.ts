// raw-http2.ts: HTTP/2 written frame by frame, for what no library lets a client do.
import { once } from 'node:events'
import net from 'node:net'

const preface = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n')

export const frameType = {
  data: 0,
  headers: 1,
  reset: 3,
  settings: 4,
  ping: 6,
  goaway: 7,
  continuation: 9,
} as const

export const endStream = 1
export const endHeaders = 4

export interface Frame {
  readonly type: number
  readonly flags: number
  readonly stream: number
  readonly payload: Buffer
}

export function frameBytes(
  type: number,
  { flags = 0, stream = 0, payload = Buffer.alloc(0) as Buffer } = {},
): Buffer {
  const head = Buffer.alloc(9)
  head.writeUIntBE(payload.length, 0, 3)
  head[3] = type
  head[4] = flags
  head.writeUInt32BE(stream, 5)
  return Buffer.concat([head, payload])
}

/** A header block that uses no table: each field is a literal with its name. */
export function headerBlock(fields: readonly (readonly [string, string])[]): Buffer {
  return Buffer.concat(fields.flatMap(([name, value]) => [Buffer.of(0), text(name), text(value)]))
}

function text(value: string): Buffer {
  const bytes = Buffer.from(value)
  const size: number[] = []
  let rest = bytes.length
  if (rest < 127) size.push(rest)
  else {
    size.push(127)
    for (rest -= 127; rest >= 128; rest = Math.floor(rest / 128)) size.push((rest % 128) + 128)
    size.push(rest)
  }
  return Buffer.concat([Buffer.from(size), bytes])
}

/** What a gRPC call opens with. */
export function callHead(path: string, stream: number, flags: number = endHeaders): Buffer {
  const payload = headerBlock([
    [':method', 'POST'],
    [':scheme', 'http'],
    [':path', path],
    [':authority', 'localhost'],
    ['content-type', 'application/grpc'],
    ['te', 'trailers'],
  ])
  return frameBytes(frameType.headers, { flags, stream, payload })
}

/** A connection that says what it is told, and reads only if it `reads`. */
export class RawHttp2 implements Disposable {
  readonly socket: net.Socket
  readonly received: Frame[] = []
  #held: Buffer = Buffer.alloc(0)
  #wake: (() => void) | undefined

  private constructor(socket: net.Socket) {
    this.socket = socket
  }

  static async connect(port: number, { reads = true } = {}): Promise<RawHttp2> {
    const socket = net.connect(port, '127.0.0.1')
    socket.on('error', () => {})
    await once(socket, 'connect')
    const client = new RawHttp2(socket)
    // One setting, so that nobody takes it for a client of Go.
    const payload = Buffer.from([0, 2, 0, 0, 0, 0])
    socket.write(Buffer.concat([preface, frameBytes(frameType.settings, { payload })]))
    if (reads) socket.on('data', (piece) => client.#read(piece))
    socket.on('close', () => client.#wake?.())
    return client
  }

  /** Resolves when the kernel has it all, or nobody is there to take it. */
  async send(...frames: readonly Buffer[]): Promise<void> {
    await new Promise<void>((resolve) => {
      this.socket.write(Buffer.concat(frames), () => resolve())
    })
  }

  /** The first frame that fits; undefined when the connection ends before one comes. */
  async frame(fits: (frame: Frame) => boolean): Promise<Frame | undefined> {
    for (;;) {
      const found = this.received.find(fits)
      if (found !== undefined || this.socket.destroyed) return found
      await new Promise<void>((resolve) => {
        this.#wake = resolve
      })
    }
  }

  /** Resolves when the server has done what came before: it answers a ping. */
  async settled(): Promise<void> {
    const payload = Buffer.from('settled?')
    await this.send(frameBytes(frameType.ping, { payload }))
    await this.frame(({ type, flags }) => type === frameType.ping && flags === 1)
  }

  [Symbol.dispose](): void {
    this.socket.destroy()
  }

  #read(piece: Buffer): void {
    this.#held = Buffer.concat([this.#held, piece])
    while (this.#held.length >= 9) {
      const end = 9 + this.#held.readUIntBE(0, 3)
      if (this.#held.length < end) break
      const [type = 0, flags = 0] = this.#held.subarray(3, 5)
      const stream = this.#held.readUInt32BE(5)
      this.received.push({ type, flags, stream, payload: Buffer.from(this.#held.subarray(9, end)) })
      this.#held = this.#held.subarray(end)
    }
    this.#wake?.()
  }
}
