// websocket.ts: one WebSocket, from the handshake (RFC 6455, section 4.2) to the end of its
// connection. Messages come through a queue that holds little: whoever does not take them slows the
// client down, and so does a client that does not read what it is sent.
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import type { IncomingMessage } from 'node:http'
import type { Duplex } from 'node:stream'
import { MessageQueue } from '../../grpc/message-queue.js'
import { RpcError, Status } from '../../grpc/status.js'
import type { Clock, Timer } from '../../platform/clock.js'
import {
  encodeClose,
  encodeFrame,
  FrameReader,
  Opcode,
  WebSocketError,
  type WebSocketEvent,
} from './websocket-frame.js'

/** A client that does not go after our goodbye is not waited for any longer. */
const closeGraceMs = 5_000

/** Section 1.3: what proves that the other end means a WebSocket. */
const acceptGuid = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11'

export const isWebSocketUpgrade = ({ headers }: IncomingMessage): boolean =>
  hasToken(headers.upgrade, 'websocket') && hasToken(headers.connection, 'upgrade')

const hasToken = (list: string | undefined, token: string): boolean =>
  (list ?? '').split(',').some((each) => each.trim().toLowerCase() === token)

export interface HandshakeAnswer {
  isAccepted: boolean
  /** With a reason in its body when it is not. */
  bytes: string
}

export interface HandshakeOptions {
  /** The one chosen of those that the client offers. */
  protocol: string | undefined
  /** Of a refusal; the proxy of etcd has none of its own beside an acceptance. */
  headers: Readonly<Record<string, string>>
}

export function handshake(
  { method, headers }: Pick<IncomingMessage, 'method' | 'headers'>,
  { protocol, headers: others }: HandshakeOptions,
): HandshakeAnswer {
  const key = headers['sec-websocket-key'] ?? ''
  if (method !== 'GET') return refused(405, 'Method Not Allowed', others)
  // The key is 16 bytes in base64.
  const isKey = /^[A-Za-z0-9+/]{22}==$/.test(key)
  if (headers['sec-websocket-version'] !== '13' || !isKey)
    return refused(400, 'Bad Request', others)
  const accept = createHash('sha1').update(`${key}${acceptGuid}`).digest('base64')
  const lines = [
    'HTTP/1.1 101 Switching Protocols',
    'Upgrade: websocket',
    'Connection: Upgrade',
    `Sec-WebSocket-Accept: ${accept}`,
    ...(protocol === undefined ? [] : [`Sec-WebSocket-Protocol: ${protocol}`]),
  ]
  return { isAccepted: true, bytes: `${lines.join('\r\n')}\r\n\r\n` }
}

function refused(
  status: number,
  reason: string,
  headers: HandshakeOptions['headers'],
): HandshakeAnswer {
  const lines = [
    `HTTP/1.1 ${status} ${reason}`,
    ...Object.entries(headers).map(([name, value]) => `${name}: ${value}`),
    'Content-Type: text/plain; charset=utf-8',
    'Sec-Websocket-Version: 13',
    'X-Content-Type-Options: nosniff',
    `Content-Length: ${reason.length + 1}`,
    'Connection: close',
  ]
  return { isAccepted: false, bytes: `${lines.join('\r\n')}\r\n\r\n${reason}\n` }
}

export interface WebSocketOptions {
  clock: Clock
  messageBytesMax: number
  /** Why it ended, when that was the client's mistake or the network's. */
  onFailure(error: Error): void
}

/**
 * Ends a connection with the answer to a handshake that is not accepted. Node has let go of it, so
 * nobody else hears its errors, which would end the process, or sees that its client stays.
 */
export function refuse(
  socket: Duplex,
  { bytes }: HandshakeAnswer,
  { clock, onFailure }: Pick<WebSocketOptions, 'clock' | 'onFailure'>,
): void {
  socket.on('error', onFailure)
  const timer = clock.after(closeGraceMs, () => socket.destroy())
  socket.once('close', () => timer.cancel())
  socket.end(bytes)
  socket.resume() // what the client still sends is dropped
}

/** Accepted: the answer to the handshake has been written. */
export class WebSocketConnection {
  /** What the client sends, until it closes. One reader only. */
  readonly messages: MessageQueue
  readonly #socket: Duplex
  readonly #options: WebSocketOptions
  readonly #reader: FrameReader
  readonly #gone = new AbortController()
  #isReaderFull = false
  /** A closing frame was sent. */
  #isClosing = false
  /** One came, or something that cannot be read on; nothing behind it is looked at. */
  #isOver = false
  #timer: Timer | undefined

  /** `head` is what came behind the handshake. */
  constructor(socket: Duplex, head: Buffer, options: WebSocketOptions) {
    this.#socket = socket
    this.#options = options
    this.#reader = new FrameReader(options.messageBytesMax)
    this.messages = new MessageQueue({
      pause: () => this.#pace({ isReaderFull: true }),
      resume: () => this.#pace({ isReaderFull: false }),
      leave: () => this.#pace({ isReaderFull: false }),
    })
    socket.on('error', (error) => options.onFailure(error))
    socket.once('close', () => {
      this.#timer?.cancel()
      this.#leave()
    })
    socket.once('end', () => this.#finish())
    socket.on('drain', () => this.#pace({}))
    socket.on('data', (piece: Buffer) => this.#onData(piece))
    if (head.length > 0) socket.unshift(head)
  }

  /** Aborted once the client cannot be reached, or wants to hear no more. */
  get signal(): AbortSignal {
    return this.#gone.signal
  }

  /** Resolves when there is room for more. After the end it does nothing. */
  async send(text: string): Promise<void> {
    if (this.#isClosing || this.#socket.destroyed) return
    if (this.#socket.write(encodeFrame(Opcode.text, Buffer.from(text)))) return
    await once(this.#socket, 'drain', { signal: this.signal })
  }

  /** Says goodbye; the connection ends when the client has answered, or has had time to. */
  close(code: number, reason = ''): void {
    if (this.#isClosing || this.#socket.destroyed) return
    this.#isClosing = true
    this.#socket.write(encodeClose(code, reason))
    this.#limitWait()
    this.#leave()
    this.#pace({ isReaderFull: false })
  }

  #onData(piece: Buffer): void {
    if (this.#isOver) return
    try {
      for (const event of this.#reader.push(piece)) this.#onEvent(event)
    } catch (error) {
      if (!(error instanceof WebSocketError)) throw error
      this.#options.onFailure(error)
      this.#finish(encodeClose(error.code, error.message))
    }
    // Answers to pings must not pile up before a client that does not read them.
    if (this.#socket.writableNeedDrain) this.#pace({})
  }

  #onEvent(event: WebSocketEvent): void {
    if (this.#isOver) return
    if (event.kind === 'ping') this.#socket.write(encodeFrame(Opcode.pong, event.data))
    else if (event.kind === 'message') this.messages.push(event.data)
    else if (event.kind === 'close') this.#finish(encodeClose(event.code))
  }

  /** There will be no more from the client; our closing frame goes out if it did not yet. */
  #finish(closing?: Buffer): void {
    if (this.#isOver) return
    this.#isOver = true
    if (closing === undefined || this.#isClosing) this.#socket.end()
    else this.#socket.end(closing)
    this.#isClosing = true
    this.#limitWait()
    this.#leave()
    this.#pace({ isReaderFull: false })
  }

  #limitWait(): void {
    this.#timer ??= this.#options.clock.after(closeGraceMs, () => this.#socket.destroy())
  }

  #pace({ isReaderFull = this.#isReaderFull }: { isReaderFull?: boolean }): void {
    this.#isReaderFull = isReaderFull
    const mayRead = this.#isClosing || !(isReaderFull || this.#socket.writableNeedDrain)
    if (mayRead) this.#socket.resume()
    else this.#socket.pause()
  }

  #leave(): void {
    this.messages.end()
    this.#gone.abort(new RpcError(Status.canceled, 'context canceled'))
  }
}
