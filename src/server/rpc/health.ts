// health.ts: the standard health service. A server that answers at all is serving; only the empty
// service name is known, as in etcd.
import {
  HealthCheckRequest,
  HealthCheckResponse,
  HealthCheckResponse_ServingStatus as Serving,
} from '../../api/gen/health.js'
import type { ServerStream } from '../../grpc/server.js'
import { RpcError, Status } from '../../grpc/status.js'
import { type MethodTable, service, streaming, unary } from './handlers.js'

export function healthService(): MethodTable {
  return service('grpc.health.v1.Health', { Check: unary(check), Watch: streaming(watchHealth) })
}

/** The answer never changes, so the stream says it once and stays open. */
async function watchHealth(stream: ServerStream): Promise<void> {
  for await (const request of stream) await stream.write(check(request))
  if (stream.signal.aborted) return
  await new Promise<void>((resolve) => {
    stream.signal.addEventListener('abort', () => resolve(), { once: true })
  })
}

function check(data: Buffer): Uint8Array {
  const { service } = HealthCheckRequest.decode(data)
  if (service !== '') throw new RpcError(Status.notFound, 'unknown service')
  return HealthCheckResponse.encode({ status: Serving.SERVING }).finish()
}
