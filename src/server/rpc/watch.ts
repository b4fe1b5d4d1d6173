// watch.ts: the Watch service: many watchers on one stream. What a client asks for goes to the
// hub as it comes; what the hub has to tell goes out as fast as the client takes it. The two
// directions are independent: a client that has no more to say goes on watching.
import {
  WatchCreateRequest_FilterType as Filter,
  type WatchCreateRequest,
  WatchRequest,
} from '../../api/gen/rpc.js'
import { EtcdError } from '../../api/rpc-errors.js'
import { unframed } from '../../grpc/frame.js'
import type { ServerStream } from '../../grpc/server.js'
import { isStatusCode, Status, statusName } from '../../grpc/status.js'
import type { WatchStream } from '../../mvcc/watchable-store.js'
import { requestOverheadBytes } from '../config.js'
import { checkRead } from '../permission.js'
import { type MethodTable, service, streaming } from './handlers.js'
import type { ServiceParts } from './parts.js'
import { type Answers, AnswerWriter } from './watch-answers.js'

export function watchService(parts: ServiceParts): MethodTable {
  const { headers, figures, config } = parts
  const answers = new AnswerWriter(headers, config.maxRequestBytes + requestOverheadBytes)
  const watch = streaming((stream) => serve(parts, stream, { answers, figures }))
  return service('etcdserverpb.Watch', { Watch: watch })
}

async function serve(
  parts: ServiceParts,
  stream: ServerStream,
  options: SendOptions,
): Promise<void> {
  const hub = parts.store.newWatchStream()
  const close = () => hub.close()
  stream.signal.addEventListener('abort', close, { once: true })
  const ticker = parts.clock.every(parts.config.watchProgressNotifyIntervalMs, () =>
    hub.progressTick(),
  )
  try {
    await Promise.all([receive(parts, stream, hub), send(stream, hub, options)])
  } finally {
    ticker.cancel()
    stream.signal.removeEventListener('abort', close)
    hub.close()
  }
}

async function receive(parts: ServiceParts, stream: ServerStream, hub: WatchStream): Promise<void> {
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
      hub.create(watchCreate(create_request))
    } else if (cancel_request) {
      hub.cancel(BigInt(cancel_request.watch_id))
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
    fragment: request.fragment,
    filters: {
      noPut: filters.includes(Filter.NOPUT),
      noDelete: filters.includes(Filter.NODELETE),
    },
  }
}

interface SendOptions {
  readonly answers: AnswerWriter
  readonly figures: ServiceParts['figures']
}

/**
 * Sends what there is to tell for as long as the client takes it. By callbacks, as a thousand
 * streams may be told of one write: promises would cost more than the answers.
 */
function send(
  stream: ServerStream,
  hub: WatchStream,
  { answers, figures }: SendOptions,
): Promise<void> {
  const take = () => hub.take()
  const write =
    stream.writeFramed?.bind(stream) ?? ((framed: Answers) => stream.write(...copies(framed)))
  return new Promise((resolve, reject) => {
    const goOn = () => {
      try {
        while (!hub.isClosed) {
          const framed = answers.answers(take)
          if (framed === undefined) {
            hub.whenFilled(goOn)
            return
          }
          figures.watchEvents.add(framed.eventCount)
          const room = write(framed)
          if (room !== undefined) {
            room.then(goOn, reject)
            return
          }
        }
        resolve()
      } catch (error) {
        reject(error)
      }
    }
    goOn()
  })
}

/** For a stream that keeps the messages: their bytes are soon used again. */
function copies({ bytes, count }: Answers): Buffer[] {
  return unframed({ bytes: Buffer.from(bytes), count })
}
