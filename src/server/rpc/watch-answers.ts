// watch-answers.ts: the answers of a Watch call as bytes, one behind the other, with the heads that
// gRPC puts before its messages. A write may be told to a thousand watchers, so an answer makes no
// objects: what all of them share (the events, the header) is copied from where it was encoded
// once, and what only one has (its id) is put between.
//
//     | head | 0a header | 10 watch_id | 38 fragment | 5a event | 5a event | ...
import { WatchResponse } from '../../api/gen/rpc.js'
import type { Framed } from '../../grpc/frame.js'
import { messageHeadBytes, writeMessageHead } from '../../grpc/frame.js'
import type { WatchBatch, WatchEvent } from '../../mvcc/watchable-store.js'
import type { Headers } from './header.js'
import { fieldSize, writeField } from './wire.js'

/** Answers that go out together: what is there by then, as far as it fits into so many bytes. */
const togetherBytes = 64 * 1024

const headerTag = 0x0a
const idTag = 0x10
const fragmentTag = 0x38
const eventTag = 0x5a

/** What a pass over a stream's batches says of them. */
export interface Answers extends Framed {
  readonly eventCount: number
}

export class AnswerWriter {
  readonly #headers: Headers
  /** Of an answer that a client takes in pieces. */
  readonly #bytesMax: number
  #bytes = Buffer.allocUnsafeSlow(togetherBytes)
  #fill = 0
  #count = 0

  constructor(headers: Headers, bytesMax: number) {
    this.#headers = headers
    this.#bytesMax = bytesMax
  }

  /**
   * Answers for what `take` gives; undefined: it gave nothing. The bytes are valid until the next
   * call.
   */
  answers(take: () => WatchBatch | undefined): Answers | undefined {
    this.#fill = 0
    this.#count = 0
    let eventCount = 0
    if (this.#bytes.length > 2 * togetherBytes) this.#bytes = Buffer.allocUnsafeSlow(togetherBytes)
    while (this.#fill < togetherBytes) {
      const batch = take()
      if (batch === undefined) break
      eventCount += batch.events.length
      this.#add(batch)
    }
    if (this.#count === 0) return undefined
    return { bytes: this.#bytes.subarray(0, this.#fill), count: this.#count, eventCount }
  }

  #add(batch: WatchBatch): void {
    const { events, watcher } = batch
    if (events.length === 0) this.#addMessage(this.#notice(batch))
    else if (watcher?.fragment !== true) this.#addEvents(batch, events, false)
    else {
      const pieces = fragments(events, this.#bytesMax)
      for (const [at, piece] of pieces.entries()) {
        this.#addEvents(batch, piece, at < pieces.length - 1)
      }
    }
  }

  /** An answer about the watcher itself: created, canceled or progress. */
  #notice({ watchId, revision, notice }: WatchBatch): Uint8Array {
    return WatchResponse.encode({
      header: this.#headers.message(revision),
      watch_id: watchId.toString(),
      created: notice?.created ?? false,
      canceled: notice?.canceled ?? false,
      compact_revision: String(notice?.compactRevision ?? 0),
      cancel_reason: notice?.cancelReason ?? '',
      fragment: false,
      events: [],
    }).finish()
  }

  #addMessage(message: Uint8Array): void {
    const at = this.#begin(message.length)
    this.#bytes.set(message, at)
  }

  #addEvents(
    { watcher, revision }: WatchBatch,
    events: readonly WatchEvent[],
    isFragment: boolean,
  ): void {
    const header = this.#headers.encoded(revision)
    const id = watcher === undefined || watcher.id === 0n ? none : watcher.idVarint
    let size = fieldSize(header.length) + (isFragment ? 2 : 0)
    if (id.length > 0) size += 1 + id.length
    for (const { encoded } of events) size += fieldSize(encoded.length)
    let at = this.#begin(size)
    const bytes = this.#bytes
    at = writeField(bytes, at, headerTag, header)
    if (id.length > 0) {
      bytes[at++] = idTag
      for (let i = 0; i < id.length; i++) bytes[at++] = id[i] as number // i < length
    }
    if (isFragment) {
      bytes[at++] = fragmentTag
      bytes[at++] = 1
    }
    for (const { encoded } of events) at = writeField(bytes, at, eventTag, encoded)
  }

  /** Writes the head of a message of that size, and returns where the message is to stand. */
  #begin(size: number): number {
    const start = this.#fill + messageHeadBytes
    const end = start + size
    if (end > this.#bytes.length) {
      const larger = Buffer.allocUnsafeSlow(Math.max(end, 2 * this.#bytes.length))
      this.#bytes.copy(larger, 0, 0, this.#fill)
      this.#bytes = larger
    }
    writeMessageHead(this.#bytes, this.#fill, size)
    this.#fill = end
    this.#count++
    return start
  }
}

const none = new Uint8Array(0)

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
