// foreign.ts: a request over HTTP/2 that is no gRPC, such as a curl's for /health, in the form in
// which Node's server of HTTP/1.1 shows its own: whoever answers those answers these.
import type { IncomingHttpHeaders } from 'node:http'
import type { Socket } from 'node:net'
import { Readable, Writable } from 'node:stream'
import { errorCode } from './frame-types.js'
import type { Fields, Stream } from './stream.js'

/** The two halves. `wallMs`: the time of day, in milliseconds since 1970. */
export function foreignExchange(stream: Stream, socket: Socket, wallMs: number) {
  const request = new ForeignRequest(stream, socket)
  const response = new ForeignResponse(stream, wallMs)
  stream.reader = {
    onData: (piece) => request.receive(piece),
    onEnd: () => request.finish(),
    onDrain: () => response.drained(),
  }
  stream.owner = {
    onSent: ignore,
    onClose: () => {
      request.destroy()
      response.destroy()
    },
  }
  return { request, response }
}

/** What our handlers use of an IncomingMessage. */
export class ForeignRequest extends Readable {
  readonly httpVersion = '2.0'
  readonly method: string
  readonly url: string
  readonly headers: IncomingHttpHeaders
  readonly socket: Socket
  complete = false
  readonly #stream: Stream

  constructor(stream: Stream, socket: Socket) {
    super()
    this.#stream = stream
    this.socket = socket
    this.method = stream.headers[':method'] ?? ''
    this.url = stream.headers[':path'] ?? ''
    // The host of HTTP/1.1; a request may have both, of which :authority counts (RFC 9113 §8.3.1).
    const host = stream.headers[':authority'] ?? stream.headers.host
    this.headers = { ...stream.headers, ...(host === undefined ? {} : { host }) }
  }

  receive(piece: Buffer): void {
    if (!this.push(Buffer.from(piece))) this.#stream.pause()
  }

  finish(): void {
    this.complete = true
    this.push(null)
  }

  override _read(): void {
    this.#stream.resume()
  }
}

/** They are about a connection of HTTP/1.1 (RFC 9113 §8.2.2). */
const ofConnections = new Set(['connection', 'keep-alive', 'transfer-encoding', 'upgrade'])

/** What our handlers use of a ServerResponse. */
export class ForeignResponse extends Writable {
  statusCode = 200
  headersSent = false
  readonly #stream: Stream
  readonly #headers = new Map<string, string>()
  readonly #wallMs: number
  #onDrained: (() => void) | undefined

  constructor(stream: Stream, wallMs: number) {
    super()
    this.#stream = stream
    this.#wallMs = wallMs
  }

  setHeader(name: string, value: string | number | readonly string[]): this {
    const text = typeof value === 'object' ? value.join(', ') : String(value)
    this.#headers.set(name.toLowerCase(), text)
    return this
  }

  writeHead(status: number, headers: Record<string, string | number> = {}): this {
    this.statusCode = status
    for (const [name, value] of Object.entries(headers)) this.setHeader(name, value)
    this.#sendHeaders()
    return this
  }

  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    this.#sendHeaders()
    // An answer to HEAD is its headers.
    if (this.#stream.headers[':method'] === 'HEAD') done()
    else if (this.#stream.write(Buffer.from(chunk))) done()
    else this.#onDrained = done
  }

  override _final(done: () => void): void {
    this.#sendHeaders()
    this.#stream.end(undefined)
    done()
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    if (!this.writableFinished) this.#stream.reset(errorCode.internal)
    done(error)
  }

  drained(): void {
    const done = this.#onDrained
    this.#onDrained = undefined
    done?.()
  }

  #sendHeaders(): void {
    if (this.headersSent) return
    this.headersSent = true
    if (!this.#headers.has('date')) this.setHeader('date', new Date(this.#wallMs).toUTCString())
    const fields: Fields = [...this.#headers].filter(([name]) => !ofConnections.has(name))
    this.#stream.respond([[':status', String(this.statusCode)], ...fields])
  }
}

function ignore(): void {}
