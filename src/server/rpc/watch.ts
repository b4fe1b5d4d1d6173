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
import { fieldSize, numberSize, writeField, writeNumber } from './wire.js'

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
      send(stream, hub, { ...parts, fragmented, bytesMax: messageBytesMax(parts) }),
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
  figures: ServiceParts['figures']
  bytesMax: number
}

/** Answers that go out together: what is queued by then, as far as it fits into so many bytes. */
const togetherBytes = 64 * 1024

async function send(stream: ServerStream, hub: WatchStream, options: SendOptions): Promise<void> {
  while (!hub.isClosed) {
    const answers = takeAnswers(hub, options)
    if (answers.length > 0) await stream.write(...answers)
    else await hub.filled()
  }
}

function takeAnswers(hub: WatchStream, options: SendOptions): Uint8Array[] {
  const answers: Uint8Array[] = []
  let bytes = 0
  while (bytes < togetherBytes) {
    const batch = hub.take()
    if (batch === undefined) break
    options.figures.watchEvents.add(batch.events.length)
    for (const answer of answersOf(batch, options)) {
      answers.push(answer)
      bytes += answer.length
    }
  }
  return answers
}

function answersOf(
  batch: WatchBatch,
  { fragmented, headers, bytesMax }: SendOptions,
): Uint8Array[] {
  const { events, watchId } = batch
  if (events.length === 0) return [controlResponse(headers, batch)]
  if (!fragmented.has(watchId))
    return [eventResponse(headers, batch, { events, isFragment: false })]
  const pieces = fragments(events, bytesMax)
  return pieces.map((piece, index) =>
    eventResponse(headers, batch, { events: piece, isFragment: index < pieces.length - 1 }),
  )
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
  const id = BigInt.asUintN(64, watchId)
  let size = fieldSize(header.length) + idSize(id) + (isFragment ? 2 : 0)
  for (const { encoded } of events) size += fieldSize(encoded.length)
  const out = Buffer.allocUnsafe(size)
  let at = writeId(out, writeField(out, 0, 0x0a, header), id)
  if (isFragment) {
    out[at++] = 0x38
    out[at++] = 1
  }
  for (const { encoded } of events) at = writeField(out, at, 0x5a, encoded)
  return out
}

const idTag = 0x10

/** Ids are small unless a client chose them; a negative one is written as what it is unsigned. */
function idSize(id: bigint): number {
  if (id <= smallIdMax) return numberSize(Number(id))
  let size = 2
  for (let rest = id; rest >= 0x80n; rest >>= 7n) size++
  return size
}

function writeId(into: Buffer, at: number, id: bigint): number {
  if (id <= smallIdMax) return writeNumber(into, at, idTag, Number(id))
  let offset = at
  into[offset++] = idTag
  let rest = id
  for (; rest >= 0x80n; rest >>= 7n) into[offset++] = Number(rest & 0x7fn) | 0x80
  into[offset++] = Number(rest)
  return offset
}

const smallIdMax = 0x7fffffffn

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
