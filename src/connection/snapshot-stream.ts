// snapshot-stream.ts: the pieces of a snapshot as the server sends them.
import { SnapshotRequest, SnapshotResponse } from '../api/gen/rpc.js'
import type { Calls } from './calls.js'
import type { CallOptions } from './clients.js'
import { serverMessages } from './server-stream.js'

const path = '/etcdserverpb.Maintenance/Snapshot'

export async function* snapshotPieces(
  calls: Calls,
  endpointCount: number,
  options?: CallOptions,
): AsyncGenerator<SnapshotResponse, void, undefined> {
  const request = SnapshotRequest.encode({}).finish()
  for await (const message of serverMessages(calls, { path, request, endpointCount }, options)) {
    yield SnapshotResponse.decode(message)
  }
}
