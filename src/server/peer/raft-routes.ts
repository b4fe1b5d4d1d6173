// raft-routes.ts: what others send about raft: they dial streams, post messages and snapshots. The
// order of the checks is etcd's, and so are the answers: a dialler decides by them whether to dial
// again, and a member that was removed learns it here.
import type { IncomingMessage, ServerResponse } from 'node:http'
import { type Message, MessageType } from '../../api/gen/raft.js'
import type { Clock } from '../../platform/clock.js'
import { memberHex } from '../../storage/schema.js'
import {
  answer,
  bodyOf,
  endConnection,
  refuse,
  refuseJson,
  refuseMethod,
  wholeBody,
} from './answer.js'
import { ByteFeed, itemBytesMax, lengthPrefixed } from './byte-parser.js'
import { headerName, type Identity, incompatibility, parseId, senderOf } from './identity.js'
import { decodeMessage } from './message-stream.js'
import type { Peer } from './peer.js'
import type { StreamKind } from './stream-reader.js'
import type { PeerFigures, PeerTraffic } from './traffic.js'
import type { PeerHandlers } from './transport.js'

/** As etcd 3.7: the message before a database holds the list of members and little else. */
const snapshotMessageBytesMax = 64 * 1024 * 1024

export interface RaftRouteParts {
  identity: () => Identity
  clock: Clock
  handlers: Pick<PeerHandlers, 'isRemoved' | 'receiveSnapshot' | 'step'>
  peer(id: bigint): Peer | undefined
  /** Nothing is to be heard from this member. */
  isPaused(id: bigint): boolean
  addRemote(id: bigint, urls: readonly string[]): void
  traffic: PeerTraffic
}

/** GET /raft/stream/KIND/ID */
export function serveStream(
  parts: RaftRouteParts,
  request: IncomingMessage,
  response: ServerResponse,
): void {
  if (request.method !== 'GET') {
    refuseMethod(response, 'GET')
    return
  }
  const own = parts.identity()
  response.setHeader(headerName.version, own.version)
  response.setHeader(headerName.clusterId, memberHex(own.clusterId))
  const asked = askedStream(parts, request, own)
  if ('reason' in asked) {
    refuse(response, asked.status, asked.reason)
  } else if (parts.isPaused(asked.from)) {
    request.socket.destroy()
  } else {
    response.removeHeader('Connection')
    response.writeHead(200)
    response.flushHeaders()
    asked.peer.attach(asked.kind, response)
  }
}

/** What is asked for, or why it is refused. */
function askedStream(
  parts: RaftRouteParts,
  request: IncomingMessage,
  own: Identity,
): { peer: Peer; from: bigint; kind: StreamKind } | { status: number; reason: string } {
  const problem = incompatibility(request.headers, own)
  if (problem !== undefined) return { status: 412, reason: problem }
  const [, kind, hex = ''] = /^\/raft\/stream\/([^/]*)\/([^/]*)$/.exec(request.url ?? '') ?? []
  if (kind !== 'message' && kind !== 'msgapp') return { status: 404, reason: 'invalid path' }
  const from = parseId(hex)
  if (from === undefined) return { status: 404, reason: 'invalid from' }
  if (parts.handlers.isRemoved(from)) return { status: 410, reason: 'removed member' }
  const peer = parts.peer(from)
  if (peer === undefined) {
    registerSender(parts, request)
    return { status: 404, reason: 'error sender not found' }
  }
  if (request.headers['x-raft-to'] !== memberHex(own.localId)) {
    return { status: 412, reason: 'to field mismatch' }
  }
  return { peer, from, kind }
}

/** POST /raft */
export async function serveMessage(
  parts: RaftRouteParts,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  if (!isAccepted(parts, request, response)) return
  const { handlers, clock, identity } = parts
  const body = await wholeBody(request, clock, itemBytesMax)
  if (body === undefined) {
    endConnection(response)
    return refuse(response, 400, 'error reading raft message')
  }
  let message: Message
  try {
    message = decodeMessage(body)
  } catch {
    return refuse(response, 400, 'error unmarshalling raft message')
  }
  if (handlers.isRemoved(message.from)) {
    return refuseJson(response, 403, 'cannot process message from removed member')
  }
  if (message.to !== identity().localId) {
    // Not 403: it would tell the sender that it was removed.
    endConnection(response)
    return refuse(response, 500, 'error processing raft message')
  }
  if (parts.isPaused(message.from)) return void request.socket.destroy()
  parts.traffic.of(message.from).receivedBytes += body.length
  handlers.step(message)
  answer(response, 204, { body: '' })
}

/** POST /raft/snapshot */
export async function serveSnapshot(
  parts: RaftRouteParts,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  if (request.method === 'POST') endConnection(response)
  if (!isAccepted(parts, request, response)) return
  const { handlers, clock } = parts
  const pieces = bodyOf(request, clock)
  let message: Message
  let rest: Buffer
  try {
    ;({ message, rest } = await readMessage(pieces))
  } catch (error) {
    const { message: reason } = error as Error
    return refuse(response, 400, `failed to decode raft message (${reason})`)
  }
  if (message.type !== MessageType.MsgSnap) return refuse(response, 400, 'wrong raft message type')
  if (handlers.isRemoved(message.from)) {
    return refuseJson(response, 403, 'cannot process message from removed member')
  }
  if (parts.isPaused(message.from)) return void request.socket.destroy()
  const figures = parts.traffic.of(message.from)
  const done = figures.snapshotsReceived.begin(clock.now())
  try {
    await handlers.receiveSnapshot(message, counted(figures, join(rest, pieces)))
    done(clock.now(), true)
  } catch (error) {
    done(clock.now(), false)
    const { message: reason } = error as Error
    return refuse(response, 500, `failed to save KV snapshot (${reason})`)
  }
  handlers.step(message)
  answer(response, 204, { body: '' })
}

/** Method, version and cluster; answers when one of them is wrong. */
function isAccepted(
  parts: RaftRouteParts,
  request: IncomingMessage,
  response: ServerResponse,
): boolean {
  if (request.method !== 'POST') {
    refuseMethod(response, 'POST')
    return false
  }
  const own = parts.identity()
  response.setHeader(headerName.clusterId, memberHex(own.clusterId))
  const problem = incompatibility(request.headers, own)
  if (problem !== undefined) {
    refuse(response, 412, problem)
    return false
  }
  registerSender(parts, request)
  return true
}

/** A member that the log does not name yet can be answered all the same. */
function registerSender({ handlers, addRemote }: RaftRouteParts, request: IncomingMessage): void {
  const sender = senderOf(request.headers)
  if (sender === undefined || sender.urls.length === 0 || handlers.isRemoved(sender.id)) return
  addRemote(sender.id, sender.urls)
}

/** The message at the head of a snapshot, and what of the database came with it. @throws */
async function readMessage(
  pieces: AsyncGenerator<Buffer>,
): Promise<{ message: Message; rest: Buffer }> {
  let message: Message | undefined
  const feed = new ByteFeed(
    (function* () {
      message = decodeMessage(yield* lengthPrefixed(snapshotMessageBytesMax))
    })(),
  )
  while (!feed.isDone) {
    const { value, done } = await pieces.next()
    if (done) throw new Error('unexpected EOF')
    feed.push(value)
  }
  if (message === undefined) throw new Error('unexpected EOF')
  return { message, rest: feed.rest() }
}

async function* counted(
  figures: Pick<PeerFigures, 'receivedBytes'>,
  pieces: AsyncIterable<Buffer>,
): AsyncIterable<Buffer> {
  for await (const piece of pieces) {
    figures.receivedBytes += piece.length
    yield piece
  }
}

async function* join(first: Buffer, rest: AsyncGenerator<Buffer>): AsyncIterable<Buffer> {
  if (first.length > 0) yield first
  yield* rest
}
