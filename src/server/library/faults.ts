// faults.ts: what goes wrong between clients and servers, on request, so that a test can
// see how its client takes it. A method is named as in 'Put', 'KV/Put' or '*' for all.
import type { Handler, ServerCall, ServerStream } from '../../grpc/server.js'
import { RpcError, type StatusCode, statusName } from '../../grpc/status.js'
import type { Clock } from '../../platform/clock.js'
import { streaming, streamWith, unary } from '../rpc/handlers.js'
import { millisecondsOf } from './clock.js'

export interface Failure {
  /** A gRPC status: 14, 'UNAVAILABLE' or 'Unavailable'. Default: Unavailable. */
  code?: StatusCode | string
  message?: string
  /** How many calls fail. Default: one. */
  times?: number
}

export interface Faults {
  /** Breaks every connection. The server goes on to listen. */
  dropConnections(): void
  /** Answers nothing until resume(): neither calls nor streams. */
  pause(): void
  resume(): void
  /** Each call of the method takes so much longer; 0 takes it back. */
  latency(method: string, duration: number | string): void
  /** The next calls of the method fail. */
  fail(method: string, failure?: Failure): void
  /** Takes everything back. */
  clear(): void
}

interface Planned {
  method: string
  error: RpcError
  left: number
}

export class LibraryFaults implements Faults {
  readonly #clock: Clock
  readonly #latencies = new Map<string, number>()
  #failures: Planned[] = []
  #gate: { opened: Promise<void>; open: () => void } | undefined
  #drop: () => void = () => {}

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** What breaks the connections is only there once the server is. */
  onDrop(drop: () => void): void {
    this.#drop = drop
  }

  dropConnections(): void {
    this.#drop()
  }

  pause(): void {
    if (this.#gate !== undefined) return
    let open = (): void => {}
    const opened = new Promise<void>((resolve) => {
      open = resolve
    })
    this.#gate = { opened, open }
  }

  resume(): void {
    this.#gate?.open()
    this.#gate = undefined
  }

  latency(method: string, duration: number | string): void {
    const ms = millisecondsOf(duration)
    if (ms > 0) this.#latencies.set(method, ms)
    else this.#latencies.delete(method)
  }

  fail(method: string, { code = 'Unavailable', message, times = 1 }: Failure = {}): void {
    const status = statusCode(code)
    const text = message ?? `the test wants ${method} to fail`
    this.#failures.push({ method, error: new RpcError(status, text), left: times })
  }

  clear(): void {
    this.resume()
    this.#latencies.clear()
    this.#failures = []
  }

  /** Puts itself in front of a handler. */
  readonly wrap = (path: string, handler: Handler): Handler => {
    if (handler.kind === 'unary') {
      return unary((request, call) => {
        if (!this.#isActive) return handler.handle(request, call)
        return this.#before(path, call).then(() => handler.handle(request, call))
      })
    }
    return streaming(async (stream) => {
      if (this.#isActive) await this.#before(path, stream)
      await handler.handle(this.#pausable(stream))
    })
  }

  get #isActive(): boolean {
    return this.#gate !== undefined || this.#latencies.size > 0 || this.#failures.length > 0
  }

  async #before(path: string, call: ServerCall): Promise<void> {
    const failure = this.#failures.find(({ method }) => isMethod(method, path))
    if (failure !== undefined) {
      failure.left--
      if (failure.left <= 0) this.#failures = this.#failures.filter((each) => each !== failure)
      throw failure.error
    }
    for (const [method, ms] of this.#latencies) {
      if (isMethod(method, path)) await this.#wait(ms, call.signal)
    }
    await this.#gate?.opened
    call.signal.throwIfAborted()
  }

  #wait(ms: number, signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const timer = this.#clock.after(ms, resolve)
      timer.hold?.()
      signal.addEventListener('abort', () => {
        timer.cancel()
        resolve()
      })
    })
  }

  #pausable(stream: ServerStream): ServerStream {
    return streamWith(stream, {
      write: (...messages) => {
        if (this.#gate === undefined) return stream.write(...messages)
        return this.#gate.opened.then(() => stream.write(...messages))
      },
    })
  }
}

function isMethod(name: string, path: string): boolean {
  return name === '*' || path === name || path.endsWith(`/${name}`) || path.endsWith(`.${name}`)
}

function statusCode(code: StatusCode | string): StatusCode {
  if (typeof code === 'number') return code
  const plain = (text: string) => text.replaceAll('_', '').toUpperCase()
  const found = codes.find((each) => plain(statusName(each)) === plain(code))
  if (found === undefined) throw new TypeError(`'${code}' is no gRPC status`)
  return found
}

const codes: readonly StatusCode[] = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16]
