// fake-server.ts: a gRPC server whose answers a test writes down, for what a real etcd cannot be
// made to do on demand.
import { newGrpcServer, type ServerCall, type ServerStream } from '../../src/grpc/server.js'
import { RpcError, Status, type StatusCode } from '../../src/grpc/status.js'
import { systemClock } from '../../src/platform/clock.js'
import { silentLog } from '../../src/platform/log.js'

export interface FakeServer extends AsyncDisposable {
  /** 127.0.0.1:PORT */
  readonly endpoint: string
  /** The calls that came, in order. */
  readonly calls: ServerCall[]
}

type Unary = (request: Buffer, call: ServerCall) => Uint8Array | Promise<Uint8Array>

export interface FakeHandlers {
  unary?: Readonly<Record<string, Unary>>
  streams?: Readonly<Record<string, (stream: ServerStream) => Promise<void>>>
}

/** Handlers by the path below /etcdserverpb. */
export async function startFakeServer({ unary, streams }: FakeHandlers): Promise<FakeServer> {
  const calls: ServerCall[] = []
  const handlers = new Map()
  for (const [path, handle] of Object.entries(unary ?? {})) {
    const counted: Unary = (request, call) => {
      calls.push(call)
      return handle(request, call)
    }
    handlers.set(`/etcdserverpb.${path}`, { kind: 'unary', handle: counted })
  }
  for (const [path, handle] of Object.entries(streams ?? {})) {
    const counted = (stream: ServerStream): Promise<void> => {
      calls.push(stream)
      return handle(stream)
    }
    handlers.set(`/etcdserverpb.${path}`, { kind: 'stream', handle: counted })
  }
  const server = newGrpcServer({
    handlers,
    receiveMaxBytes: 2 ** 21,
    keepalive: { minTimeMs: 0, permitWithoutStream: true, timeMs: 0, timeoutMs: 0 },
    log: silentLog,
    clock: systemClock,
  })
  const { port } = await server.listen({ host: '127.0.0.1', port: 0 })
  return {
    endpoint: `127.0.0.1:${port}`,
    calls,
    [Symbol.asyncDispose]: () => server.close(0),
  }
}

/** Answers of the list one after the other; the last one again and again. */
export function inTurn(...answers: readonly (Uint8Array | Error)[]): Unary {
  let turn = 0
  return () => {
    const answer = answers[Math.min(turn++, answers.length - 1)]
    if (answer instanceof Error) throw answer
    return answer ?? Buffer.alloc(0)
  }
}

export function status(code: keyof typeof Status, details: string): RpcError {
  const number: StatusCode = Status[code]
  return new RpcError(number, details)
}

/** Resolves when the client leaves. */
export function gone({ signal }: ServerCall): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve()
    else signal.addEventListener('abort', () => resolve(), { once: true })
  })
}
