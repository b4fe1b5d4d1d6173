// handlers.ts: how a service writes down its methods.
import type { Handler, ServerStream, StreamHandler, UnaryHandler } from '../../grpc/server.js'

export type MethodTable = readonly (readonly [path: string, handler: Handler])[]

export function unary(handle: UnaryHandler): Handler {
  return { kind: 'unary', handle }
}

export function streaming(handle: StreamHandler): Handler {
  return { kind: 'stream', handle }
}

/** The same stream with another way to write or read. Its fields are looked up when asked for. */
export function streamWith(
  stream: ServerStream,
  changes: Partial<Pick<ServerStream, 'write' | 'writeFramed' | typeof Symbol.asyncIterator>>,
): ServerStream {
  // Who changes one way to write has to change the other as well, or does without.
  const writeFramed = changes.write === undefined ? stream.writeFramed?.bind(stream) : undefined
  return {
    ...(writeFramed && { writeFramed }),
    path: stream.path,
    peer: stream.peer,
    get metadata() {
      return stream.metadata
    },
    get signal() {
      return stream.signal
    },
    write: (...messages) => stream.write(...messages),
    [Symbol.asyncIterator]: () => stream[Symbol.asyncIterator](),
    ...changes,
  }
}

/** `name`: the service with its package, as in etcdserverpb.KV. */
export function service(name: string, methods: Readonly<Record<string, Handler>>): MethodTable {
  return Object.entries(methods).map(([method, handler]) => [`/${name}/${method}`, handler])
}
