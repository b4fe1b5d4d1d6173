// handlers.ts: how a service writes down its methods.
import type { Handler, StreamHandler, UnaryHandler } from '../../grpc/server.js'

export type MethodTable = readonly (readonly [path: string, handler: Handler])[]

export function unary(handle: UnaryHandler): Handler {
  return { kind: 'unary', handle }
}

export function streaming(handle: StreamHandler): Handler {
  return { kind: 'stream', handle }
}

/** `name`: the service with its package, as in etcdserverpb.KV. */
export function service(name: string, methods: Readonly<Record<string, Handler>>): MethodTable {
  return Object.entries(methods).map(([method, handler]) => [`/${name}/${method}`, handler])
}
