// watch-stream.ts: one watch that outlives its connections. Each time the stream breaks another
// one is opened that starts behind the last event seen, so that none is lost and none comes twice.
//
// Where to start again is the whole art. The header of an answer tells the store's revision when
// the answer was built; while a watch catches up with history that is ahead of events still to
// come, so it is never used for answers with events:
//
//     store at 5000, watch from 1
//     answer: header 5000, events 1 … 1000      start again at 1001, not at 5001
//
// Events of one revision come in one answer (its fragments are joined here), so the last event's
// revision + 1 is safe. Without events two answers are safe: the first one of a watch from "now",
// and a progress notification that names this watcher, which the server sends only when nothing
// is on its way. The answer to a progress request names no watcher (-1); servers before 3.4.25
// send it while events are still to come, so it moves nothing.
import { WatchRequest, WatchResponse } from '../api/gen/rpc.js'
import { EtcdError, etcdErrorCode } from '../api/rpc-errors.js'
import type { ClientStream } from '../grpc/channel.js'
import { RpcError, Status } from '../grpc/status.js'
import type { Calls } from './calls.js'
import type { Watch, WatchCreate } from './connection.js'
import { jittered, pause } from './retry.js'

const watchPath = '/etcdserverpb.Watch/Watch'

/** Pauses between streams that break at once double up to this: a dead server is not hammered. */
const pauseMsMax = 1000
const pauseMsMin = 10

/** watch_id of an answer that is about no one watcher: a refused create, a requested progress. */
const noWatcher = '-1'

export function newWatch(
  calls: Calls,
  create: WatchCreate,
  { signal }: { signal?: AbortSignal | undefined } = {},
): Watch {
  const session = new WatchSession(calls, create, signal)
  return {
    [Symbol.asyncIterator]: () => session.answers(),
    requestProgress: () => session.requestProgress(),
  }
}

class WatchSession {
  readonly #calls: Calls
  readonly #create: WatchCreate
  /** Of the caller and of the connection: with neither is there anything to resume for. */
  readonly #signal: AbortSignal
  #stream: ClientStream | undefined
  /** The watcher's id on the current stream; undefined until the server has created it. */
  #watchId: string | undefined
  /** First revision that the consumer has not seen; 0: from now, and "now" is not settled yet. */
  #next: bigint
  /** The consumer has had its created answer; it gets no second one. */
  #isAnnounced = false
  /** A progress request that came while there was no watcher to ask for. */
  #isProgressOwed = false
  #pauseMs = pauseMsMin

  constructor(calls: Calls, create: WatchCreate, signal: AbortSignal | undefined) {
    this.#calls = calls
    this.#create = create
    this.#signal = calls.signal(signal)
    this.#next = BigInt(create.start_revision ?? '0')
  }

  async requestProgress(): Promise<void> {
    const stream = this.#watchId === undefined ? undefined : this.#stream
    const request = WatchRequest.encode({ progress_request: {} }).finish()
    try {
      if (stream === undefined) this.#isProgressOwed = true
      else await stream.write(request)
    } catch {
      // The stream broke: the one that takes its place asks.
      this.#isProgressOwed = true
    }
  }

  async *answers(): AsyncGenerator<WatchResponse, void, undefined> {
    while (!this.#signal.aborted) {
      try {
        // A watch that ended properly had its last answer; a stream that only ended is broken.
        if (yield* this.#oneStream()) return
      } catch (error) {
        if (this.#signal.aborted) return
        if (!(await this.#mayResume(error))) {
          yield refusal(this.#calls.named(error, { signal: this.#signal }))
          return
        }
      }
      await this.#rest()
    }
  }

  /** Yields the answers of one stream; returns true after the watch's last answer. */
  async *#oneStream(): AsyncGenerator<WatchResponse, boolean, undefined> {
    const stream = this.#calls.stream(watchPath, { signal: this.#signal, needsLeader: true })
    this.#stream = stream
    this.#watchId = undefined
    const fragments: WatchResponse[] = []
    try {
      const start_revision = this.#next.toString()
      // Not awaited: it resolves when there is room, and a failure shows in the iteration.
      stream.write(createBytes({ ...this.#create, start_revision })).catch(() => {})
      for await (const bytes of stream) {
        const piece = WatchResponse.decode(bytes)
        fragments.push(piece)
        if (piece.fragment) continue
        const answer = joined(fragments.splice(0))
        if (answer.created && answer.canceled && (await this.#renewedToken(answer))) return false
        if (!this.#isOurs(answer)) continue
        this.#advance(answer)
        if (!answer.created || answer.canceled) yield answer
        else if (this.#take(answer)) yield answer
        if (answer.canceled) return true
      }
      return false
    } finally {
      this.#stream = undefined
      stream.cancel()
    }
  }

  /** Notes the watcher's id; whether the consumer is to hear of it. */
  #take(created: WatchResponse): boolean {
    this.#watchId = created.watch_id
    if (this.#isProgressOwed) {
      this.#isProgressOwed = false
      void this.requestProgress()
    }
    const isFirst = !this.#isAnnounced
    this.#isAnnounced = true
    return isFirst
  }

  #isOurs(answer: WatchResponse): boolean {
    return answer.created || answer.watch_id === this.#watchId || answer.watch_id === noWatcher
  }

  #advance(answer: WatchResponse): void {
    if (answer.canceled) return
    // The server was reached and serves: the next break is a new story.
    this.#pauseMs = pauseMsMin
    const last = answer.events.at(-1)?.kv
    const revision = BigInt(answer.header?.revision ?? '0')
    if (last !== undefined) this.#next = BigInt(last.mod_revision) + 1n
    else if (answer.created) this.#next = this.#next === 0n ? revision + 1n : this.#next
    else if (answer.watch_id !== noWatcher && revision >= this.#next) this.#next = revision + 1n
  }

  /** A create that was refused for its token, which is a new one now. */
  async #renewedToken(answer: WatchResponse): Promise<boolean> {
    const [, details] = /^rpc error: code = \w+ desc = (.*)$/s.exec(answer.cancel_reason) ?? []
    if (details === undefined) return false
    return this.#calls.renewToken(new RpcError(Status.unauthenticated, details))
  }

  async #mayResume(error: unknown): Promise<boolean> {
    if (!(error instanceof RpcError)) return false
    // The cluster has no leader: whoever watches is told, and can watch elsewhere.
    if (etcdErrorCode(error.details) === 'noLeader') return false
    if (etcdErrorCode(error.details) !== undefined) this.#calls.switchAddress()
    if (resumable.has(error.code)) return true
    return this.#calls.renewToken(error)
  }

  async #rest(): Promise<void> {
    const { clock, random } = this.#calls
    const ms = jittered(this.#pauseMs, random)
    this.#pauseMs = Math.min(this.#pauseMs * 2, pauseMsMax)
    // Aborted meanwhile: the loop sees it.
    await pause({ clock }, ms, { signal: this.#signal }).catch(() => {})
  }
}

/** How a stream ends when its connection or its server goes away. */
const resumable: ReadonlySet<number> = new Set([
  Status.unavailable,
  Status.internal,
  Status.canceled,
  Status.aborted,
])

function createBytes(create: WatchCreate): Uint8Array {
  return WatchRequest.encode(WatchRequest.fromPartial({ create_request: create })).finish()
}

/** The one answer that the server cut into pieces. */
function joined(pieces: readonly WatchResponse[]): WatchResponse {
  const [first] = pieces
  if (first === undefined) throw new Error('an answer has at least one piece')
  if (pieces.length === 1) return first
  return { ...first, fragment: false, events: pieces.flatMap(({ events }) => events) }
}

/** A failure of the stream as the last answer of the watch. */
function refusal(error: unknown): WatchResponse {
  if (!(error instanceof RpcError || error instanceof EtcdError)) throw error
  return WatchResponse.fromPartial({ canceled: true, watch_id: '-1', cancel_reason: error.message })
}
