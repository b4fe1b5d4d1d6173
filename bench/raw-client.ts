// raw-client.ts: the least of an HTTP/2 client that can call one gRPC method over and over. A load
// generator must cost less than the server that it loads; a real client costs as much. So headers
// are sent as indexes into the server's table from the second call on, answers are not decoded,
// and all frames that come out of one piece of input leave in one write.
//
// Not for anything but measuring: no TLS, requests of at most one frame, any refusal is fatal.
import net from 'node:net'

const frameType = { data: 0, headers: 1, reset: 3, settings: 4, ping: 6, goaway: 7, window: 8 }
const flag = { endStream: 1, ack: 1, endHeaders: 4 }
const frameHeadBytes = 9
const messageHeadBytes = 5
/** Both windows are opened so far that they never stand in the way. */
const windowBytes = 2 ** 30
/** What a server lets a connection send before it says more (RFC 9113 6.9.2). */
const initialWindowBytes = 65_535

/** Told when a call is over; false: the server refused it. */
type Done = (isOk: boolean) => void

interface PendingCall {
  hasMessage: boolean
  done: Done
}

export class RawClient {
  readonly #socket: net.Socket
  readonly #firstHeaders: Buffer
  readonly #laterHeaders = Buffer.from([0x83, 0x86, 0xc1, 0xc0, 0xbf, 0xbe])
  readonly #calls = new Map<number, PendingCall>()
  readonly #onEnd: (error: Error) => void
  #nextStream = 1
  #sendWindow = initialWindowBytes
  #received = 0
  #rest: Buffer | undefined
  #out: Buffer[] = []
  #isCollecting = false

  /** `onEnd` is called once, when the connection is of no more use. */
  constructor(port: number, path: string, onEnd: (error: Error) => void) {
    this.#onEnd = onEnd
    this.#firstHeaders = indexedHeaders(path, `127.0.0.1:${port}`)
    this.#socket = net.connect({ port, host: '127.0.0.1' })
    this.#socket.setNoDelay(true)
    this.#socket.on('data', (piece: Buffer) => this.#read(piece))
    this.#socket.on('error', (error) => onEnd(error))
    this.#socket.on('close', () => onEnd(new Error('the server closed the connection')))
    const settings = Buffer.from([0, 2, 0, 0, 0, 0, 0, 4, 0, 0, 0, 0])
    settings.writeUInt32BE(windowBytes, 8)
    this.#send(Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'))
    this.#send(framed({ type: frameType.settings, flags: 0, stream: 0 }, settings))
    this.#openWindow(windowBytes)
  }

  /** Calls under way. */
  get size(): number {
    return this.#calls.size
  }

  call(message: Uint8Array, done: Done): void {
    const stream = this.#nextStream
    this.#nextStream += 2
    this.#calls.set(stream, { hasMessage: false, done })
    const headers = stream === 1 ? this.#firstHeaders : this.#laterHeaders
    const size = messageHeadBytes + message.length
    this.#sendWindow -= size
    if (this.#sendWindow < 0) this.#onEnd(new Error('more in flight than the window holds'))
    const out = Buffer.alloc(2 * frameHeadBytes + headers.length + size)
    const head = { type: frameType.headers, flags: flag.endHeaders, stream }
    const at = writeHead(out, 0, head, headers.length) + headers.copy(out, frameHeadBytes)
    const body = writeHead(out, at, { type: frameType.data, flags: flag.endStream, stream }, size)
    out.writeUInt32BE(message.length, body + 1)
    out.set(message, body + messageHeadBytes)
    this.#send(out)
  }

  close(): void {
    this.#socket.removeAllListeners('close')
    this.#socket.destroy()
  }

  #read(piece: Buffer): void {
    const input = this.#rest === undefined ? piece : Buffer.concat([this.#rest, piece])
    let at = 0
    this.#isCollecting = true
    while (input.length - at >= frameHeadBytes) {
      const end = at + frameHeadBytes + input.readUIntBE(at, 3)
      if (end > input.length) break
      this.#frame(input, at, end)
      at = end
    }
    this.#rest = at === input.length ? undefined : input.subarray(at)
    this.#isCollecting = false
    this.#flush()
  }

  #frame(input: Buffer, at: number, end: number): void {
    const type = input[at + 3]
    const flags = input[at + 4] ?? 0
    const stream = input.readUInt32BE(at + 5)
    const body = input.subarray(at + frameHeadBytes, end)
    if (type === frameType.data || type === frameType.headers) {
      this.#answer(stream, type === frameType.data ? body.length : 0, flags)
    } else if (type === frameType.window && stream === 0) {
      this.#sendWindow += body.readUInt32BE()
    } else if (type === frameType.settings && (flags & flag.ack) === 0) {
      this.#send(framed({ type, flags: flag.ack, stream: 0 }, Buffer.alloc(0)))
    } else if (type === frameType.ping && (flags & flag.ack) === 0) {
      this.#send(framed({ type, flags: flag.ack, stream: 0 }, body))
    } else if (type === frameType.goaway) {
      this.#onEnd(new Error('the server said GOAWAY'))
    } else if (type === frameType.reset) {
      this.#over(stream)
    }
  }

  #answer(stream: number, bodyBytes: number, flags: number): void {
    const call = this.#calls.get(stream)
    if (call !== undefined && bodyBytes >= messageHeadBytes) call.hasMessage = true
    this.#received += bodyBytes
    if (this.#received > windowBytes / 2) this.#openWindow(this.#received)
    if ((flags & flag.endStream) !== 0) this.#over(stream)
  }

  /** A refusal is a status without a message. */
  #over(stream: number): void {
    const call = this.#calls.get(stream)
    if (!this.#calls.delete(stream) || call === undefined) return
    call.done(call.hasMessage)
  }

  #openWindow(bytes: number): void {
    const increment = Buffer.alloc(4)
    increment.writeUInt32BE(bytes)
    this.#received = 0
    this.#send(framed({ type: frameType.window, flags: 0, stream: 0 }, increment))
  }

  #send(frame: Buffer): void {
    if (this.#out.length === 0 && !this.#isCollecting) process.nextTick(() => this.#flush())
    this.#out.push(frame)
  }

  #flush(): void {
    if (this.#out.length === 0) return
    this.#socket.write(this.#out.length === 1 ? (this.#out[0] as Buffer) : Buffer.concat(this.#out))
    this.#out = []
  }
}

/**
 * The headers of the first call: :method POST and :scheme http from the static table, four more
 * that enter the dynamic table. The last to enter has index 62, hence laterHeaders above.
 */
function indexedHeaders(path: string, authority: string): Buffer {
  return Buffer.concat([
    Buffer.from([0x83, 0x86]),
    Buffer.from([0x40 | 4]),
    hpackText(path),
    Buffer.from([0x40 | 1]),
    hpackText(authority),
    Buffer.from([0x40 | 31]),
    hpackText('application/grpc'),
    Buffer.from([0x40]),
    hpackText('te'),
    hpackText('trailers'),
  ])
}

/** Up to 126 bytes, as they are. */
const hpackText = (text: string): Buffer =>
  Buffer.concat([Buffer.from([text.length]), Buffer.from(text)])

interface FrameHead {
  type: number
  flags: number
  stream: number
}

function framed(head: FrameHead, body: Uint8Array): Buffer {
  const frame = Buffer.alloc(frameHeadBytes + body.length)
  frame.set(body, writeHead(frame, 0, head, body.length))
  return frame
}

function writeHead(into: Buffer, at: number, head: FrameHead, size: number): number {
  into.writeUIntBE(size, at, 3)
  into[at + 3] = head.type
  into[at + 4] = head.flags
  into.writeUInt32BE(head.stream, at + 5)
  return at + frameHeadBytes
}
