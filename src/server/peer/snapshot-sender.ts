// snapshot-sender.ts: a snapshot to a peer: POST /raft/snapshot, the message and then the database,
// as fast as the peer takes it. One at a time to each peer: raft asks again for what it needs.
import type { Message } from '../../api/gen/raft.js'
import type { Clock } from '../../platform/clock.js'
import type { Log } from '../../platform/log.js'
import { memberHex } from '../../storage/schema.js'
import { type Identity, identityHeaders } from './identity.js'
import { framed } from './message-stream.js'
import type { PeerTls, UrlPicker } from './peer-url.js'
import { exchange } from './post.js'
import type { PeerFigures } from './traffic.js'
import type { SnapshotBody } from './transport.js'

/** As etcd's limit for a whole request: a peer that syncs a large file says nothing meanwhile. */
const snapshotIdleMs = 5 * 60 * 1000

export interface SnapshotSenderParts {
  peerId: bigint
  urls: UrlPicker
  tls: PeerTls | undefined
  identity: () => Identity
  clock: Clock
  log: Log
  figures: Pick<PeerFigures, 'sentBytes' | 'sentFailures' | 'snapshotsSent'>
  onDone(ok: boolean): void
}

export class SnapshotSender {
  readonly #parts: SnapshotSenderParts
  #abort: AbortController | undefined

  constructor(parts: SnapshotSenderParts) {
    this.#parts = parts
  }

  /** Never rejects: how it went is told to onDone. */
  async send(message: Message, database: SnapshotBody): Promise<void> {
    const { peerId, log, clock, figures, onDone } = this.#parts
    if (this.#abort !== undefined) {
      onDone(false)
      return
    }
    const abort = new AbortController()
    this.#abort = abort
    const index = message.snapshot?.metadata?.index
    const fields = { 'to-member-id': memberHex(peerId), 'snapshot-index': index }
    log.info('sending database snapshot', { ...fields, bytes: database.sizeBytes })
    const done = figures.snapshotsSent.begin(clock.now())
    let error: string | undefined
    try {
      await this.#post(message, database, abort.signal)
      log.info('sent database snapshot', fields)
    } catch (problem) {
      error = (problem as Error).message
      log.warn('failed to send database snapshot', { ...fields, error })
    }
    this.#abort = undefined
    done(clock.now(), error === undefined)
    if (error === undefined) figures.sentBytes += database.sizeBytes
    else figures.sentFailures++
    onDone(error === undefined)
  }

  /** Breaks off what is under way. */
  cancel(): void {
    this.#abort?.abort()
  }

  async #post(message: Message, database: SnapshotBody, signal: AbortSignal): Promise<void> {
    const { urls, tls, identity, clock } = this.#parts
    const url = urls.pick()
    const headers = { ...identityHeaders(identity()), 'Content-Type': 'application/octet-stream' }
    // Its own connection: a long body must not be in the way of short messages.
    const to = { url, path: '/raft/snapshot', method: 'POST', tls, agents: undefined } as const
    const limits = { clock, idleMs: snapshotIdleMs, signal }
    try {
      const body = snapshotBody(message, database)
      const answer = await exchange({ ...to, ...limits, headers, body })
      if (answer.status === 204) return
      throw new Error(`${answer.status} ${answer.body.toString().trimEnd()}`)
    } catch (error) {
      urls.failed(url)
      throw error
    }
  }
}

/** @throws when the database is not as long as was said: the receiver must not take it for whole */
async function* snapshotBody(message: Message, database: SnapshotBody): AsyncIterable<Uint8Array> {
  yield Buffer.concat(framed(message))
  let bytes = 0
  for await (const chunk of database.chunks()) {
    bytes += chunk.length
    yield chunk
  }
  if (bytes !== database.sizeBytes) {
    throw new Error(`the database has ${bytes} bytes, not ${database.sizeBytes}`)
  }
}
