// calls.ts: how simulated clients call a member: through the handlers that its client port would
// call, with nothing in between. What a crash of the member leaves unanswered stays unanswered.
import assert from 'node:assert/strict'
import type { ServerStream } from '../../src/grpc/server.js'
import { guarded } from '../../src/server/rpc/guard.js'
import type { MethodTable } from '../../src/server/rpc/handlers.js'
import { kvService } from '../../src/server/rpc/kv.js'
import { leaseService } from '../../src/server/rpc/lease.js'
import type { ServiceParts } from '../../src/server/rpc/parts.js'
import { watchService } from '../../src/server/rpc/watch.js'

const services: Readonly<Record<string, (parts: ServiceParts) => MethodTable>> = {
  KV: kvService,
  Lease: leaseService,
  Watch: watchService,
}

const peer = { address: 'simulated' }
const never = new AbortController().signal

/** `method` as in KV/Range. @throws what the handler throws */
export async function callUnary(
  service: ServiceParts,
  method: string,
  request: Uint8Array,
): Promise<Buffer> {
  const { path, handler } = find(service, method)
  assert(handler.kind === 'unary')
  const call = { path, metadata: {}, signal: never, peer }
  return Buffer.from(await handler.handle(Buffer.from(request), call))
}

export interface StreamCall {
  request: Uint8Array
  /** The client says no more after its request, and so the call ends with the answer. */
  isShort: boolean
  /** The client hangs up by it. */
  signal: AbortSignal
  /** The member goes on when the client has taken what it was sent. */
  onMessage(message: Buffer): Promise<void>
}

/** Resolves when the handler has ended. @throws what the handler throws */
export async function callStream(
  service: ServiceParts,
  method: string,
  { request, isShort, signal, onMessage }: StreamCall,
): Promise<void> {
  const { path, handler } = find(service, method)
  assert(handler.kind === 'stream')
  const stream: ServerStream = {
    path,
    metadata: {},
    peer,
    signal,
    async write(...messages) {
      for (const message of messages) await onMessage(Buffer.from(message))
    },
    async *[Symbol.asyncIterator]() {
      yield Buffer.from(request)
      if (!isShort) await aborted(signal)
    },
  }
  await handler.handle(stream)
}

function find(service: ServiceParts, method: string) {
  const [name = ''] = method.split('/')
  const path = `/etcdserverpb.${method}`
  const found = services[name]?.(service).find(([each]) => each === path)
  assert(found !== undefined, `no method ${path}`)
  return { path, handler: guarded(service, path, found[1]) }
}

function aborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve()
  return new Promise((resolve) => {
    signal.addEventListener('abort', () => resolve(), { once: true })
  })
}
