// pipeline.ts: messages to a peer as requests of their own: POST /raft, a few at a time. The way
// for a message while the peer has not dialled the stream for it, and the only way to one that is
// no member yet.
import type { Message } from '../../api/gen/raft.js'
import type { Clock } from '../../platform/clock.js'
import { type Identity, identityHeaders } from './identity.js'
import { encodeMessage } from './message-stream.js'
import type { PeerTls, UrlPicker } from './peer-url.js'
import { destroyAgents, exchange, newAgents, type PeerAgents } from './post.js'
import type { PeerFigures } from './traffic.js'

/** As etcd: posts under way at a time, and messages that wait for one of them to end. */
export const postersMax = 4
export const waitingMax = 64
/** A peer that stands still must not hold the few posters until its connection dies. */
const postTimeoutMs = 10_000

export interface PipelineParts {
  urls: UrlPicker
  tls: PeerTls | undefined
  identity: () => Identity
  clock: Clock
  figures: Pick<PeerFigures, 'sentBytes' | 'sentFailures'>
  onUnreachable(): void
  /** The peer says that this member was removed from the cluster. */
  onRemoved(): void
}

export class Pipeline {
  readonly #parts: PipelineParts
  /** Shared with other short requests to the peer, which keep connections from idling out. */
  readonly agents: PeerAgents = newAgents()
  readonly #abort = new AbortController()
  readonly #waiting: Message[] = []
  #posterCount = 0

  constructor(parts: PipelineParts) {
    this.#parts = parts
  }

  get urls(): UrlPicker {
    return this.#parts.urls
  }

  /** False: too many wait already, the message is dropped. */
  send(message: Message): boolean {
    if (this.#posterCount < postersMax) {
      void this.#post(message)
      return true
    }
    if (this.#waiting.length >= waitingMax) return false
    this.#waiting.push(message)
    return true
  }

  /** Drops what waits and breaks off what is under way. */
  close(): void {
    this.#waiting.length = 0
    this.#abort.abort()
    destroyAgents(this.agents)
  }

  /** Posts one message after the other, until none waits. Never rejects. */
  async #post(first: Message): Promise<void> {
    this.#posterCount++
    let next: Message | undefined = first
    while (next !== undefined) {
      await this.#postOne(next)
      next = this.#waiting.shift()
    }
    this.#posterCount--
  }

  async #postOne(message: Message): Promise<void> {
    const { urls, tls, identity, clock, figures, onUnreachable, onRemoved } = this.#parts
    const { agents } = this
    const { signal } = this.#abort
    const url = urls.pick()
    try {
      const headers = { ...identityHeaders(identity()), 'Content-Type': 'application/protobuf' }
      const body = encodeMessage(message)
      const to = { url, path: '/raft', method: 'POST', tls, agents } as const
      const limits = { clock, idleMs: postTimeoutMs, signal }
      const { status } = await exchange({ ...to, ...limits, headers, body })
      if (status === 204) {
        figures.sentBytes += body.length
        return
      }
      if (status === 403) onRemoved()
    } catch {
      // As good as an answer that says no: raft tries again.
    }
    if (signal.aborted) return
    urls.failed(url)
    figures.sentFailures++
    onUnreachable()
  }
}
