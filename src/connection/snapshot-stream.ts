// snapshot-stream.ts: the pieces of a snapshot as the server sends them. Opening it is a read and
// is retried; once a piece has come the stream must last, for another one would be another file.
import { SnapshotRequest, SnapshotResponse } from '../api/gen/rpc.js'
import type { ClientStream } from '../grpc/channel.js'
import type { Calls } from './calls.js'
import type { CallOptions } from './clients.js'
import { withRetry } from './retry.js'

const snapshotPath = '/etcdserverpb.Maintenance/Snapshot'

export async function* snapshotPieces(
  calls: Calls,
  endpointCount: number,
  options: CallOptions = {},
): AsyncGenerator<SnapshotResponse, void, undefined> {
  const { clock, random, switchAddress } = calls
  const { deadlineMs, signal } = options
  const deadline = deadlineMs === undefined ? undefined : clock.now() + deadlineMs
  let stream: ClientStream | undefined
  const open = async () => {
    stream?.cancel()
    const left = deadline === undefined ? {} : { deadlineMs: deadline - clock.now() }
    const opened = calls.stream(snapshotPath, { signal, ...left })
    stream = opened
    opened.write(SnapshotRequest.encode({}).finish()).catch(() => {})
    opened.end()
    const pieces = opened[Symbol.asyncIterator]()
    return { pieces, first: await pieces.next() }
  }
  try {
    const { pieces, first } = await withRetry(
      open,
      { clock, random, endpointCount, switchAddress },
      { isRepeatable: true, deadline, signal, repair: calls.renewToken },
    )
    for (let next = first; !next.done; next = await pieces.next()) {
      yield SnapshotResponse.decode(next.value)
    }
  } catch (error) {
    throw calls.named(error, options)
  } finally {
    stream?.cancel()
  }
}
