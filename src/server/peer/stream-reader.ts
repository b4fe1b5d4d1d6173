// stream-reader.ts: the receiving end of a stream: dials a peer, reads until the connection breaks
// or falls silent, and dials again, for as long as the peer is a member. Only one answer ends it
// for good: that this member was removed.
import http from 'node:http'
import https from 'node:https'
import type { Clock, Timer } from '../../platform/clock.js'
import type { Log } from '../../platform/log.js'
import { memberHex } from '../../storage/schema.js'
import { ByteFeed, type ByteParser } from './byte-parser.js'
import { headerName, type Identity, identityHeaders } from './identity.js'
import { IdleLimit, operationTimeoutMs } from './idle-limit.js'
import { type PeerTls, requestTarget, type UrlPicker } from './peer-url.js'
import type { PeerFigures } from './traffic.js'

/** As etcd: the least time between two attempts. */
const redialMs = 100
/** A reason may hold text of a peer, so there may be any number of them. */
const toldReasonsMax = 16

export type StreamKind = 'message' | 'msgapp'

export interface StreamReaderParts {
  kind: StreamKind
  peerId: bigint
  urls: UrlPicker
  tls: PeerTls | undefined
  identity: () => Identity
  dialTimeoutMs: number
  /** The connection does not keep the process alive. */
  isBackground: boolean
  clock: Clock
  log: Log
  figures: Pick<PeerFigures, 'receivedBytes' | 'receivedFailures'>
  /** For each connection a new one: nothing is remembered across them. */
  newParser(): ByteParser
  onUp(): void
  onDown(): void
  /** The peer says that this member was removed from the cluster. */
  onRemoved(): void
}

export class StreamReader {
  readonly #parts: StreamReaderParts
  #request: http.ClientRequest | undefined
  #redial: Timer | undefined
  #isStopped = true
  /** Why dialling failed since it last worked, each reason told once and not ten times a second. */
  readonly #toldReasons = new Set<string>()
  /** Until it has, it may just not have been started yet. */
  #hasAnswered = false

  constructor(parts: StreamReaderParts) {
    this.#parts = parts
  }

  start(): void {
    if (!this.#isStopped) return
    this.#isStopped = false
    this.#dial()
  }

  stop(): void {
    this.#isStopped = true
    this.#redial?.cancel()
    this.#request?.destroy()
  }

  #dial(): void {
    const { urls, clock, dialTimeoutMs } = this.#parts
    const url = urls.pick()
    const dialledMs = clock.now()
    let reason = 'connection closed'
    const again = () => {
      if (this.#isStopped) return
      urls.failed(url)
      this.#tell(url, reason)
      const sinceMs = clock.now() - dialledMs
      this.#redial = clock.after(Math.max(redialMs - sinceMs, 1), () => this.#dial())
    }
    const fail = (why: string) => {
      reason = why
    }
    let request: http.ClientRequest
    try {
      request = this.#get(url)
    } catch (error) {
      // A member may be told to be at a text that is no URL, until it is told better.
      fail((error as Error).message)
      again()
      return
    }
    this.#request = request
    const limit = clock.after(dialTimeoutMs, () => request.destroy(new Error('dial timed out')))
    request.on('error', (error) => fail(error.message))
    request.on('response', (response) => {
      limit.cancel()
      this.#onResponse(response, fail)
    })
    request.on('close', () => {
      limit.cancel()
      again()
    })
  }

  #get(url: string): http.ClientRequest {
    const { kind, peerId, tls, identity, isBackground } = this.#parts
    const own = identity()
    const path = `/raft/stream/${kind}/${memberHex(own.localId)}`
    const { isTls, options } = requestTarget(url, path, tls)
    const headers = { ...identityHeaders(own), [headerName.to]: memberHex(peerId) }
    // A stream has a connection of its own, so none is kept for others.
    const request = (isTls ? https : http).get({ ...options, headers, agent: false })
    request.setNoDelay(true)
    if (isBackground) request.on('socket', (socket) => socket.unref())
    return request
  }

  #onResponse(response: http.IncomingMessage, fail: (reason: string) => void): void {
    const { clock, onRemoved } = this.#parts
    const { statusCode = 0 } = response
    this.#hasAnswered = true
    if (statusCode === 200) {
      this.#read(response, fail)
      return
    }
    if (statusCode === 410) {
      this.stop()
      onRemoved()
      return
    }
    const limit = new IdleLimit(clock, operationTimeoutMs, () => response.destroy())
    let text = ''
    response.on('data', (bytes: Buffer) => {
      text = (text + bytes.toString()).slice(0, 200)
    })
    response.on('close', () => {
      limit.cancel()
      fail(`${statusCode} ${text.trimEnd()}`)
    })
  }

  #read(response: http.IncomingMessage, fail: (reason: string) => void): void {
    const { clock, figures, newParser, onUp, onDown } = this.#parts
    const feed = new ByteFeed(newParser())
    const abandon = (reason: string) => {
      fail(reason)
      response.destroy()
    }
    const idle = new IdleLimit(clock, operationTimeoutMs, () => abandon('nothing was heard'))
    response.on('data', (bytes: Buffer) => {
      idle.touch()
      figures.receivedBytes += bytes.length
      try {
        if (!response.destroyed) feed.push(bytes)
      } catch (error) {
        figures.receivedFailures++
        abandon((error as Error).message)
      }
    })
    response.on('error', (error) => fail(error.message))
    response.on('close', () => {
      idle.cancel()
      onDown()
    })
    this.#toldReasons.clear()
    onUp()
  }

  #tell(url: string, reason: string): void {
    const { log, kind, peerId } = this.#parts
    if (this.#toldReasons.has(reason) || this.#toldReasons.size >= toldReasonsMax) return
    this.#toldReasons.add(reason)
    const fields = { 'remote-peer-id': memberHex(peerId), 'stream-type': kind, url, error: reason }
    const msg = 'peer stream is down, dialling again'
    if (this.#hasAnswered) log.warn(msg, fields)
    else log.info(msg, fields)
  }
}
