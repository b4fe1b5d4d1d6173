// new-transport.ts: etcd's peer protocol behind the PeerTransport interface: who the peers are,
// which of them a message goes to, and what a request to this member is about.
import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http'
import { type Message, MessageType } from '../../api/gen/raft.js'
import type { ListenAt } from '../../grpc/server.js'
import type { Clock } from '../../platform/clock.js'
import type { Log } from '../../platform/log.js'
import { memberHex } from '../../storage/schema.js'
import { refuse, refuseJson } from './answer.js'
import type { Identity } from './identity.js'
import { type MemberRouteParts, memberRoute, serveProbing } from './member-routes.js'
import { newPipeline, Peer, type PeerParts } from './peer.js'
import { type AllowedClient, PeerListener } from './peer-listener.js'
import type { PeerTls } from './peer-url.js'
import type { Pipeline } from './pipeline.js'
import { type RaftRouteParts, serveMessage, serveSnapshot, serveStream } from './raft-routes.js'
import { PeerTraffic } from './traffic.js'
import type { PeerHandlers, PeerTransport, SnapshotBody } from './transport.js'

// Taken now: fake timers that a test puts in its place later are to stop the test's code alone.
const { queueMicrotask } = globalThis

/** Anyone may say that it is about to be a member; a cluster has a handful. */
const remotesMax = 64
/** As etcd: added to an election for what a connection may take to be made. */
const dialMarginMs = 1_000

export interface PeerTransportParts {
  localId: bigint
  clusterId: bigint
  /** Where this member is told to others to be. */
  peerUrls: readonly string[]
  /** For peer URLs that begin with https. */
  tls?: PeerTls
  /** Narrows down who may come, of those with a certificate that listen() accepts. */
  allowedClient?: AllowedClient
  electionTimeoutMs: number
  /** Neither ports nor streams keep the process alive. Default: false. */
  isBackground?: boolean
  clock: Clock
  log: Log
  handlers: PeerHandlers
  /** Counts what passes. */
  traffic?: PeerTraffic
}

export function newPeerTransport(parts: PeerTransportParts): PeerTransport {
  return new HttpTransport(parts)
}

class HttpTransport implements PeerTransport {
  readonly #parts: PeerTransportParts
  readonly #peerParts: PeerParts
  readonly #raftParts: RaftRouteParts
  readonly #memberParts: MemberRouteParts
  readonly #peers = new Map<bigint, Peer>()
  readonly #remotes = new Map<bigint, Pipeline>()
  readonly #paused = new Set<bigint>()
  readonly #listeners: PeerListener[] = []
  /** Snapshots that are being sent or received: they hold files. */
  readonly #working = new Set<Promise<void>>()
  #unreachable = new Set<bigint>()
  #isClosed = false
  #isRemoved = false

  constructor(parts: PeerTransportParts) {
    const { localId, clusterId, peerUrls, clock, log, handlers, isBackground = false } = parts
    const { traffic = new PeerTraffic() } = parts
    const identity = (): Identity => {
      return { localId, clusterId, peerUrls, version: handlers.version().etcdserver }
    }
    this.#parts = parts
    this.#peerParts = {
      identity,
      tls: parts.tls,
      dialTimeoutMs: dialMarginMs + parts.electionTimeoutMs,
      isBackground,
      clock,
      log,
      onMessage: (from, message) => this.#receive(from, message),
      onUnreachable: (id) => this.#reportUnreachable(id),
      onSnapshotDone: (id, ok) => this.#reportSnapshot(id, ok),
      onRemoved: () => this.#onRemoved(),
      traffic,
    }
    this.#raftParts = {
      identity,
      clock,
      handlers,
      peer: (id) => this.#peers.get(id),
      isPaused: (id) => this.#paused.has(id),
      addRemote: (id, urls) => this.addRemote(id, urls),
      traffic,
    }
    this.#memberParts = { clusterId, clock, handlers }
  }

  addPeer(id: bigint, urls: readonly string[]): void {
    if (this.#isClosed || id === this.#parts.localId || this.#peers.has(id)) return
    // What a remote has under way goes on: nobody else answers the leader meanwhile.
    const remote = this.#remotes.get(id)
    remote?.urls.update(urls)
    this.#remotes.delete(id)
    const pipeline = remote ?? newPipeline(id, urls, this.#peerParts)
    const peer = new Peer(id, pipeline, this.#peerParts)
    this.#peers.set(id, peer)
    if (this.#paused.has(id)) peer.pause()
    this.#parts.log.info('added peer', { 'remote-peer-id': memberHex(id), urls })
  }

  updatePeer(id: bigint, urls: readonly string[]): void {
    this.#peers.get(id)?.updateUrls(urls)
  }

  removePeer(id: bigint): void {
    const peer = this.#peers.get(id)
    if (peer === undefined) return
    this.#peers.delete(id)
    peer.close()
    this.#parts.log.info('removed peer', { 'remote-peer-id': memberHex(id) })
  }

  removeAll(): void {
    for (const id of [...this.#peers.keys()]) this.removePeer(id)
  }

  addRemote(id: bigint, urls: readonly string[]): void {
    if (this.#isClosed || id === this.#parts.localId) return
    if (this.#peers.has(id) || this.#remotes.has(id) || this.#remotes.size >= remotesMax) return
    this.#remotes.set(id, newPipeline(id, urls, this.#peerParts))
  }

  send(messages: readonly Message[]): void {
    if (this.#isClosed) return
    for (const message of lastAnswers(messages)) {
      const { to } = message
      const way = this.#peers.get(to) ?? this.#remotes.get(to)
      if (way === undefined) continue
      if (this.#paused.has(to) || !way.send(message)) this.#reportUnreachable(to)
    }
  }

  sendSnapshot(message: Message, database: SnapshotBody): void {
    const { to } = message
    const peer = this.#paused.has(to) ? undefined : this.#peers.get(to)
    if (this.#isClosed || peer === undefined) this.#reportSnapshot(to, false)
    else this.#own(peer.sendSnapshot(message, database))
  }

  activeSince(id: bigint): number | undefined {
    return this.#peers.get(id)?.activeSinceMs
  }

  async listen(at: ListenAt): Promise<{ port: number }> {
    const { log, allowedClient: allowed, isBackground = false } = this.#parts
    const serve: RequestListener = (request, response) => {
      const serving = this.#serve(request, response)
      // What others wait for ends with the member, after the transport.
      if (request.url === '/raft/snapshot') this.#own(serving)
      else void serving
    }
    const listener = new PeerListener(at, { log, allowed, isBackground, serve })
    const port = await listener.open(at)
    this.#listeners.push(listener)
    return { port }
  }

  pause(id: bigint): void {
    this.#paused.add(id)
    this.#peers.get(id)?.pause()
  }

  resume(id: bigint): void {
    if (this.#paused.delete(id)) this.#peers.get(id)?.resume()
  }

  async close(): Promise<void> {
    this.#isClosed = true
    this.removeAll()
    for (const remote of this.#remotes.values()) remote.close()
    this.#remotes.clear()
    await Promise.all(this.#listeners.splice(0).map((listener) => listener.close()))
    await Promise.all(this.#working)
  }

  #receive(from: bigint, message: Message): void {
    const { localId, handlers } = this.#parts
    if (this.#paused.has(from) || message.to !== localId) return
    handlers.step(message)
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    try {
      await this.#route(request, response)
    } catch (error) {
      const { message } = error as Error
      this.#parts.log.warn('failed to answer a peer', { url: request.url, error: message })
      if (response.headersSent) response.destroy()
      else refuseJson(response, 500, 'Internal Server Error')
    }
  }

  async #route(request: IncomingMessage, response: ServerResponse): Promise<void> {
    // A broken connection is noticed by whoever reads or writes.
    request.on('error', () => {})
    response.on('error', () => {})
    const path = (request.url ?? '').split('?', 1)[0] ?? ''
    const route = memberRoute(path)
    if (route !== undefined) await route(this.#memberParts, request, response)
    else if (path === '/raft') await serveMessage(this.#raftParts, request, response)
    else if (path === '/raft/snapshot') await serveSnapshot(this.#raftParts, request, response)
    else if (path === '/raft/probing') serveProbing(this.#parts, response)
    else if (path.startsWith('/raft/stream/')) serveStream(this.#raftParts, request, response)
    else refuse(response, 404, '404 page not found')
  }

  /** Together and later: whoever sends is in the middle of something. */
  #reportUnreachable(id: bigint): void {
    if (this.#unreachable.size === 0) {
      queueMicrotask(() => {
        const ids = this.#unreachable
        this.#unreachable = new Set()
        if (this.#isClosed) return
        for (const one of ids) this.#parts.handlers.reportUnreachable(one)
      })
    }
    this.#unreachable.add(id)
  }

  #reportSnapshot(id: bigint, ok: boolean): void {
    queueMicrotask(() => {
      if (!this.#isClosed) this.#parts.handlers.reportSnapshot(id, ok)
    })
  }

  #onRemoved(): void {
    if (this.#isRemoved || this.#isClosed) return
    this.#isRemoved = true
    this.#parts.log.warn('this member was removed from the cluster, as a peer says')
    this.#parts.handlers.onRemoved()
  }

  /** `work` never rejects. */
  #own(work: Promise<void>): void {
    this.#working.add(work)
    void work.finally(() => this.#working.delete(work))
  }
}

/** Of the answers to appends, the last one to each member covers those before it. */
function lastAnswers(messages: readonly Message[]): readonly Message[] {
  const last = new Map<bigint, Message>()
  for (const message of messages) {
    if (message.type === MessageType.MsgAppResp) last.set(message.to, message)
  }
  if (last.size === 0) return messages
  return messages.filter(
    (message) => message.type !== MessageType.MsgAppResp || last.get(message.to) === message,
  )
}
