// ends.ts: transports for tests: each with a member that notes what it hears, on a port of its own.
import { Message, MessageType } from '../../../src/api/gen/raft.js'
import { type Clock, systemClock } from '../../../src/platform/clock.js'
import type { Log } from '../../../src/platform/log.js'
import { identityHeaders } from '../../../src/server/peer/identity.js'
import { encodeMessage } from '../../../src/server/peer/message-stream.js'
import {
  newPeerTransport,
  type PeerTransportParts,
} from '../../../src/server/peer/new-transport.js'
import { type Answer, exchange } from '../../../src/server/peer/post.js'
import type { PeerHandlers, PeerTransport } from '../../../src/server/peer/transport.js'

export const clusterId = 0xcdf818194e3a8c32n

const waiting = new Set<() => void>()

/** Something happened at one of the ends: whoever waits looks again, once it is over. */
export function heard(): void {
  setImmediate(() => {
    for (const look of waiting) look()
  })
}

/** Transports say in their logs what becomes of streams. */
const lookingLog: Log = { debug: heard, info: heard, warn: heard, error: heard }

/** Resolves when the condition holds; looked at after everything that an end hears or logs. */
export function until(condition: () => boolean): Promise<void> {
  return new Promise((resolve) => {
    const look = () => {
      if (!condition()) return
      waiting.delete(look)
      resolve()
    }
    waiting.add(look)
    look()
  })
}

export interface End {
  readonly transport: PeerTransport
  readonly url: string
  readonly port: number
  readonly received: Message[]
  readonly unreachable: bigint[]
  readonly snapshots: { id: bigint; ok: boolean }[]
  /** How often it was told that it was removed. */
  removedCount: number
  /** Resolves with the first message received that fits, or did already. */
  message(fits: (message: Message) => boolean): Promise<Message>
  [Symbol.asyncDispose](): Promise<void>
}

export interface EndOptions {
  id: bigint
  clock?: Clock
  handlers?: Partial<PeerHandlers>
  parts?: Partial<PeerTransportParts>
  listen?: Parameters<PeerTransport['listen']>[0]
  scheme?: 'http' | 'https'
}

export async function startEnd(options: EndOptions): Promise<End> {
  const { id, clock = systemClock, scheme = 'http' } = options
  const notes = {
    received: [] as Message[],
    unreachable: [] as bigint[],
    snapshots: [] as { id: bigint; ok: boolean }[],
    removedCount: 0,
  }
  const note = (change: () => void) => {
    change()
    heard()
  }
  const peerUrls: string[] = []
  const transport = newPeerTransport({
    localId: id,
    clusterId,
    peerUrls,
    electionTimeoutMs: 1_000,
    clock,
    log: lookingLog,
    ...options.parts,
    handlers: {
      ...idleHandlers,
      step: (message) => note(() => notes.received.push(message)),
      reportUnreachable: (peer) => note(() => notes.unreachable.push(peer)),
      reportSnapshot: (peer, ok) => note(() => notes.snapshots.push({ id: peer, ok })),
      onRemoved: () => note(() => notes.removedCount++),
      ...options.handlers,
    },
  })
  const { port } = await transport.listen(options.listen ?? { host: '127.0.0.1', port: 0 })
  const url = `${scheme}://127.0.0.1:${port}`
  peerUrls.push(url)
  return Object.assign(notes, {
    transport,
    url,
    port,
    async message(fits: (message: Message) => boolean): Promise<Message> {
      await until(() => notes.received.some(fits))
      const found = notes.received.find(fits)
      if (found === undefined) throw new Error('the message was there a moment ago')
      return found
    },
    [Symbol.asyncDispose]: () => transport.close(),
  })
}

/** Makes two ends members of one cluster and waits until all four streams are up. */
export async function connect(a: End, b: End, ids: { a: bigint; b: bigint }): Promise<void> {
  a.transport.addPeer(ids.b, [b.url])
  b.transport.addPeer(ids.a, [a.url])
  const isUp = (end: End, id: bigint) => end.transport.activeSince(id) !== undefined
  await until(() => isUp(a, ids.b) && isUp(b, ids.a))
}

/** A member that knows nothing and does nothing. */
const idleHandlers: PeerHandlers = {
  step() {},
  isRemoved: () => false,
  isKnown: () => false,
  reportUnreachable() {},
  reportSnapshot() {},
  onRemoved() {},
  async receiveSnapshot(_, body) {
    for await (const _chunk of body);
  },
  members: () => [],
  version: () => ({ etcdserver: '3.4.23', etcdcluster: '3.4.0', storage: '' }),
  isDowngradeEnabled: () => false,
  promote: async () => [],
  renewLease: async () => undefined,
  leaseTimeToLive: async () => undefined,
  hashKv: (revision) => ({ revision, hash: 1, compactRevision: 0, hashRevision: 0 }),
}

export function raftMessage(fields: Partial<Message> & { to: bigint; from: bigint }): Message {
  const { context, ...rest } = Message.fromPartial({ type: MessageType.MsgHeartbeat })
  return { ...rest, ...fields }
}

/** What an end answers to a message that another member posts. */
export function postMessage(to: End, message: Message): Promise<Answer> {
  const own = { localId: message.from, clusterId, peerUrls: [], version: '3.4.23' }
  return exchange({
    url: to.url,
    path: '/raft',
    method: 'POST',
    headers: identityHeaders(own),
    body: encodeMessage(message),
    tls: undefined,
    agents: undefined,
    clock: systemClock,
    idleMs: 5_000,
  })
}
