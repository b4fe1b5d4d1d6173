// watch.ts: the Watch service: many watchers on one stream. What a client asks for goes to the
// hub as it comes; what the hub has to tell goes out as fast as the client takes it. The two
// directions are independent: a client that has no more to say goes on watching.
import {
  WatchCreateRequest_FilterType as Filter,
  type WatchCreateRequest,
  WatchRequest,
  WatchResponse,
} from '../../api/gen/rpc.js'
import { EtcdError } from '../../api/rpc-errors.js'
import type { ServerStream } from '../../grpc/server.js'
import { isStatusCode, Status, statusName } from '../../grpc/status.js'
import type { WatchBatch, WatchEvent, WatchStream } from '../../mvcc/watchable-store.js'
import { requestOverheadBytes } from '../config.js'
import { checkRead } from '../permission.js'
import { type MethodTable, service, streaming } from './handlers.js'
import type { Headers } from './header.js'
import type { ServiceParts } from './parts.js'
import { fieldSize, writeField } from './wire.js'

export function watchService(parts: ServiceParts): MethodTable {
  return service('etcdserverpb.Watch', { Watch: streaming((stream) => watch(parts, stream)) })
}

async function watch(parts: ServiceParts, stream: ServerStream): Promise<void> {
  const hub = parts.store.newWatchStream()
  const fragmented = new Set<bigint>()
  const close = () => hub.close()
  stream.signal.addEventListener('abort', close, { once: true })
  const ticker = parts.clock.every(parts.config.watchProgressNotifyIntervalMs, () =>
    hub.progressTick(),
  )
  try {
    await Promise.all([
      receive(parts, stream, { hub, fragmented }),
      send(stream, hub, { fragmented, headers: parts.headers, bytesMax: messageBytesMax(parts) }),
    ])
  } finally {
    ticker.cancel()
    stream.signal.removeEventListener('abort', close)
    hub.close()
  }
}

function messageBytesMax({ config }: ServiceParts): number {
  return config.maxRequestBytes + requestOverheadBytes
}

async function receive(
  parts: ServiceParts,
  stream: ServerStream,
  { hub, fragmented }: { hub: WatchStream; fragmented: Set<bigint> },
): Promise<void> {
  for await (const data of stream) {
    await hub.whenRoom()
    const { create_request, cancel_request, progress_request } = WatchRequest.decode(data)
    if (create_request) {
      const refusal = await refused(parts, create_request, stream)
      if (stream.signal.aborted) return
      if (refusal !== undefined) {
        hub.refuse(refusal)
        continue
      }
      const { watchId } = hub.create(watchCreate(create_request))
      if (create_request.fragment) fragmented.add(watchId)
    } else if (cancel_request) {
      const id = BigInt(cancel_request.watch_id)
      hub.cancel(id)
      fragmented.delete(id)
    } else if (progress_request) {
      hub.requestProgress()
    }
  }
}

/** Reasons that the client is told as they are; all else is a denied permission to it. */
const toldReasons: readonly string[] = ['userEmpty', 'invalidAuthToken', 'authOldRevision']

/** Why the caller may not watch these keys, in the words of Go's gRPC; undefined: they may. */
async function refused(
  parts: ServiceParts,
  request: WatchCreateRequest,
  stream: ServerStream,
): Promise<string | undefined> {
  // Refused for that first, and by the hub.
  if (!parts.auth.isEnabled || Number(request.start_revision) < 0) return undefined
  const key = request.key.length === 0 ? firstKey : request.key
  try {
    checkRead(parts, { key, range_end: request.range_end }, await parts.access.identify(stream))
    return undefined
  } catch (error) {
    if (!(error instanceof EtcdError)) throw error
    const told = toldReasons.includes(error.code) ? error : new EtcdError('permissionDenied')
    const code = isStatusCode(told.status) ? told.status : Status.unknown
    return `rpc error: code = ${statusName(code)} desc = ${told.message}`
  }
}

const firstKey = Buffer.alloc(1)

function watchCreate(request: WatchCreateRequest) {
  const { key, range_end: end, filters } = request
  return {
    key,
    end: end.length === 0 ? undefined : end,
    startRevision: Number(request.start_revision),
    watchId: BigInt(request.watch_id),
    prevKv: request.prev_kv,
    progressNotify: request.progress_notify,
    filters: {
      noPut: filters.includes(Filter.NOPUT),
      noDelete: filters.includes(Filter.NODELETE),
    },
  }
}

interface SendOptions {
  fragmented: ReadonlySet<bigint>
  headers: Headers
  bytesMax: number
}

async function send(stream: ServerStream, hub: WatchStream, options: SendOptions): Promise<void> {
  for await (const batch of hub) {
    if (batch.events.length === 0) {
      await stream.write(controlResponse(options.headers, batch))
      continue
    }
    const isSplit = options.fragmented.has(batch.watchId)
    const pieces = isSplit ? fragments(batch.events, options.bytesMax) : [batch.events]
    for (const [index, events] of pieces.entries()) {
      const isFragment = index < pieces.length - 1
      await stream.write(eventResponse(options.headers, batch, { events, isFragment }))
    }
  }
}

/** An answer about the watcher itself: created, canceled or progress. */
function controlResponse(headers: Headers, batch: WatchBatch): Uint8Array {
  return WatchResponse.encode({
    header: headers.message(batch.revision),
    watch_id: batch.watchId.toString(),
    created: batch.created ?? false,
    canceled: batch.canceled ?? false,
    compact_revision: String(batch.compactRevision ?? 0),
    cancel_reason: batch.cancelReason ?? '',
    fragment: false,
    events: [],
  }).finish()
}

/** WatchResponse{1 header, 2 watch_id, 7 fragment, 11 events}, spliced from shared event bytes. */
function eventResponse(
  headers: Headers,
  { watchId, revision }: WatchBatch,
  { events, isFragment }: { events: readonly WatchEvent[]; isFragment: boolean },
): Buffer {
  const header = headers.encoded(revision)
  const id = watchIdField(watchId)
  let size = fieldSize(header.length) + id.length + (isFragment ? 2 : 0)
  for (const { encoded } of events) size += fieldSize(encoded.length)
  const out = Buffer.allocUnsafe(size)
  let at = writeField(out, 0, 0x0a, header)
  out.set(id, at)
  at += id.length
  if (isFragment) {
    out[at++] = 0x38
    out[at++] = 1
  }
  for (const { encoded } of events) at = writeField(out, at, 0x5a, encoded)
  return out
}

/** Ids are small unless a client chose them, and may then be negative. */
function watchIdField(watchId: bigint): Buffer {
  if (watchId === 0n) return noBytes
  const bytes = [0x10]
  let rest = BigInt.asUintN(64, watchId)
  for (; rest >= 0x80n; rest >>= 7n) bytes.push(Number(rest & 0x7fn) | 0x80)
  bytes.push(Number(rest))
  return Buffer.from(bytes)
}

const noBytes = Buffer.alloc(0)

/** Splits between events so that each piece stays below the limit, or holds a single event. */
function fragments(events: readonly WatchEvent[], bytesMax: number): WatchEvent[][] {
  const pieces: WatchEvent[][] = []
  let piece: WatchEvent[] = []
  let bytes = 0
  for (const event of events) {
    const size = fieldSize(event.encoded.length)
    if (piece.length > 0 && bytes + size >= bytesMax) {
      pieces.push(piece)
      piece = []
      bytes = 0
    }
    piece.push(event)
    bytes += size
  }
  pieces.push(piece)
  return pieces
}
