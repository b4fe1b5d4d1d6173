// callable.ts: what etcd3's RPC clients run on here. A client says which method of which service
// and gives a message in etcd3's shape (64-bit numbers as decimal strings, Buffers); we encode,
// send and decode. etcd3's own transport is never loaded.
import type { ICallable } from 'etcd3/lib/rpc.js'
import type { Calls } from './calls.js'
import type { CallOptions } from './clients.js'
import { type MethodCodec, type ServiceCodecs, withEnumNumbers } from './codecs.js'

export type ServiceName = 'KV' | 'Lease' | 'Cluster' | 'Maintenance' | 'Auth'

/** A `get` must not pay for the messages of all the other services. */
const loaders: Readonly<Record<ServiceName, () => Promise<{ codecs: ServiceCodecs }>>> = {
  KV: () => import('./codecs-kv.js'),
  Lease: () => import('./codecs-lease.js'),
  Cluster: () => import('./codecs-cluster.js'),
  Maintenance: () => import('./codecs-maintenance.js'),
  Auth: () => import('./codecs-auth.js'),
}

export function newCallable(calls: Calls): ICallable<never> {
  return {
    async exec<T>(service: string, method: string, message: unknown, options?: object): Promise<T> {
      const codec = await methodCodec(service, method)
      const { request, response, repetition } = codec
      const numbers = codec.enums ? withEnumNumbers(message, codec.enums) : message
      const bytes = request.encode(request.fromPartial(numbers ?? {})).finish()
      // clients.ts declares these options to callers; etcd3's declarations name another library's.
      const callOptions = options as CallOptions | undefined
      const answer = await calls.unary(methodPath(service, method), bytes, repetition, callOptions)
      // The codec was chosen by the method, and clients.ts pairs method and answer.
      return response.decode(answer) as T
    },
    withConnection() {
      throw new Error('streams are opened by watch(), keepAlive() and snapshot() of the connection')
    },
    markFailed() {},
    callOptionsFactory: undefined,
  }
}

/** KV and deleteRange → /etcdserverpb.KV/DeleteRange */
export function methodPath(service: string, method: string): string {
  return `/etcdserverpb.${service}/${method.charAt(0).toUpperCase()}${method.slice(1)}`
}

async function methodCodec(service: string, method: string): Promise<MethodCodec> {
  const { codecs } = (await loaders[service as ServiceName]?.()) ?? {}
  const codec = codecs?.[method]
  if (codec === undefined) throw new Error(`etcd has no call ${service}.${method} of one answer`)
  return codec
}
