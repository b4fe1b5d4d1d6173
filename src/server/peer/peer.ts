// peer.ts: all ways to one other member, and the choice between them. Whoever receives dials, so
// a stream to the peer is one that it has dialled:
//
//     an append         the stream for appends, if attached, else
//     anything          the stream for messages, if attached, else
//                       a request of its own (pipeline.ts)
//     a snapshot        a request of its own (snapshot-sender.ts)
import type { ServerResponse } from 'node:http'
import { type Message, MessageType } from '../../api/gen/raft.js'
import type { Clock } from '../../platform/clock.js'
import type { Log } from '../../platform/log.js'
import { memberHex } from '../../storage/schema.js'
import { newAppendEncoder, parseAppends } from './append-stream.js'
import type { Identity } from './identity.js'
import { newMessageEncoder, parseMessages } from './message-stream.js'
import { type PeerTls, UrlPicker } from './peer-url.js'
import { Pipeline } from './pipeline.js'
import { Prober } from './prober.js'
import { SnapshotSender } from './snapshot-sender.js'
import { type StreamKind, StreamReader } from './stream-reader.js'
import { StreamWriter } from './stream-writer.js'
import type { PeerFigures, PeerTraffic } from './traffic.js'
import type { SnapshotBody } from './transport.js'

/** etcd's words: scripts that wait for a cluster to stand look for them in its log. */
const establishedStream = 'established TCP streaming connection with remote peer'
const lostStream = 'lost TCP streaming connection with remote peer'

/** What every peer needs alike. */
export interface PeerParts {
  identity: () => Identity
  tls: PeerTls | undefined
  dialTimeoutMs: number
  isBackground: boolean
  clock: Clock
  log: Log
  onMessage(from: bigint, message: Message): void
  onUnreachable(id: bigint): void
  onSnapshotDone(id: bigint, ok: boolean): void
  onRemoved(): void
  traffic: PeerTraffic
}

/** A way to one that may be no member yet; a peer takes it over. */
export function newPipeline(id: bigint, urls: readonly string[], parts: PeerParts): Pipeline {
  const { identity, tls, clock, onRemoved } = parts
  const figures = parts.traffic.of(id)
  const onUnreachable = () => parts.onUnreachable(id)
  const common = { identity, tls, clock, figures }
  return new Pipeline({ urls: new UrlPicker(urls), ...common, onUnreachable, onRemoved })
}

export class Peer {
  readonly #id: bigint
  readonly #parts: PeerParts
  readonly #figures: PeerFigures
  readonly #pipeline: Pipeline
  readonly #snapshots: SnapshotSender
  readonly #prober: Prober
  readonly #readers: readonly StreamReader[]
  readonly #writers = new Map<StreamKind, StreamWriter>()
  #isReading = false
  #activeSinceMs: number | undefined

  constructor(id: bigint, pipeline: Pipeline, parts: PeerParts) {
    this.#id = id
    this.#parts = parts
    this.#pipeline = pipeline
    const { urls, agents } = pipeline
    const { tls, identity, clock, log } = parts
    this.#figures = parts.traffic.of(id)
    const common = { peerId: id, urls, tls, identity, clock, log, figures: this.#figures }
    const onDone = (ok: boolean) => parts.onSnapshotDone(id, ok)
    this.#snapshots = new SnapshotSender({ ...common, onDone })
    this.#prober = new Prober({ ...common, agents })
    this.#readers = [this.#newReader('message'), this.#newReader('msgapp')]
    for (const reader of this.#readers) reader.start()
  }

  /** Clock time since when messages go both ways; undefined while they do not. */
  get activeSinceMs(): number | undefined {
    return this.#activeSinceMs
  }

  updateUrls(urls: readonly string[]): void {
    this.#pipeline.urls.update(urls)
  }

  /** False: dropped, because too many wait already. */
  send(message: Message): boolean {
    const isAppend = message.type === MessageType.MsgApp
    const appends = isAppend ? this.#writers.get('msgapp') : undefined
    const way = appends ?? this.#writers.get('message') ?? this.#pipeline
    const isTaken = way.send(message)
    if (!isTaken) this.#figures.sentFailures++
    return isTaken
  }

  /** Never rejects: how it went is told to onSnapshotDone. */
  async sendSnapshot(message: Message, database: SnapshotBody): Promise<void> {
    await this.#snapshots.send(message, database)
  }

  /** The peer has dialled: the response that it waits for becomes a stream, the newest one wins. */
  attach(kind: StreamKind, response: ServerResponse): void {
    const { clock, log } = this.#parts
    this.#writers.get(kind)?.end()
    const writer = new StreamWriter({
      response,
      encoder: kind === 'message' ? newMessageEncoder() : newAppendEncoder(),
      clock,
      onSent: (bytes) => {
        this.#figures.sentBytes += bytes
      },
      onLost: (lostCount) => {
        this.#figures.sentFailures += lostCount
        if (this.#writers.get(kind) !== writer) return
        this.#writers.delete(kind)
        log.warn(lostStream, { ...this.#fields(kind, 'writer'), 'lost-messages': lostCount })
        this.#noteActivity()
        this.#parts.onUnreachable(this.#id)
      },
    })
    this.#writers.set(kind, writer)
    log.info(establishedStream, this.#fields(kind, 'writer'))
    this.#noteActivity()
  }

  /** As if the network between had failed, until resume(). */
  pause(): void {
    for (const reader of this.#readers) reader.stop()
    for (const writer of this.#writers.values()) writer.destroy()
    this.#snapshots.cancel()
  }

  resume(): void {
    for (const reader of this.#readers) reader.start()
  }

  close(): void {
    for (const reader of this.#readers) reader.stop()
    for (const writer of this.#writers.values()) writer.end()
    this.#writers.clear()
    this.#prober.stop()
    this.#snapshots.cancel()
    this.#pipeline.close()
  }

  #newReader(kind: StreamKind): StreamReader {
    const { onMessage, onRemoved, ...common } = this.#parts
    const { identity, log } = common
    const ends = () => ({ from: this.#id, to: identity().localId })
    const deliver = (message: Message) => onMessage(this.#id, message)
    const note = (isUp: boolean) => {
      log.info(isUp ? establishedStream : lostStream, this.#fields(kind, 'reader'))
      if (kind !== 'message') return
      this.#isReading = isUp
      this.#noteActivity()
    }
    return new StreamReader({
      kind,
      figures: this.#figures,
      peerId: this.#id,
      urls: this.#pipeline.urls,
      ...common,
      newParser: () =>
        kind === 'message' ? parseMessages(deliver) : parseAppends(ends(), deliver),
      onUp: () => note(true),
      onDown: () => note(false),
      onRemoved,
    })
  }

  /** The streams for messages count: they carry everything. */
  #noteActivity(): void {
    const isActive = this.#isReading && this.#writers.has('message')
    this.#figures.setActive(isActive)
    if (!isActive) this.#activeSinceMs = undefined
    else this.#activeSinceMs ??= this.#parts.clock.now()
  }

  #fields(kind: StreamKind, end: 'reader' | 'writer') {
    return { 'remote-peer-id': memberHex(this.#id), [`stream-${end}-type`]: kind }
  }
}
