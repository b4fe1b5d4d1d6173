// network.ts: the network of a simulation, behind the interface that members know. It delays,
// loses, repeats and reorders messages and cuts links, also in one direction only. Messages travel
// as bytes, so that no member sees what another does to its own.
import { Message, MessageType } from '../../src/api/gen/raft.js'
import type { PeerHandlers, PeerTransport, SnapshotBody } from '../../src/server/peer/transport.js'
import type { Life, VirtualTime } from './virtual-time.js'

export interface NetworkConditions {
  /** Every message takes so long, and up to as much again. */
  delayMs: number
  /** Of a hundred messages, how many are lost, come twice, or take many times as long. */
  lossPercent: number
  repeatPercent: number
  latePercent: number
}

export const perfectNetwork: NetworkConditions = {
  delayMs: 2,
  lossPercent: 0,
  repeatPercent: 0,
  latePercent: 0,
}

/** How long a sender waits for a snapshot that nobody answers. */
const snapshotTimeoutMs = 5_000

/** Messages that something on their way holds up. They are past any cut that comes later. */
export interface Held {
  readonly messages: readonly Message[]
  /** They arrive, in any order; nothing is held up any more. */
  release(): void
}

interface Hold {
  matches(message: Message): boolean
  messages: Message[]
}

interface Endpoint {
  readonly id: bigint
  readonly life: Life
  readonly handlers: PeerHandlers
  readonly peers: Set<bigint>
  /** Members that sent something although they are no peers yet. */
  readonly remotes: Set<bigint>
  isClosed: boolean
}

export class SimulatedNetwork {
  conditions: NetworkConditions = perfectNetwork
  readonly counts = { sent: 0, lost: 0, snapshots: 0 }
  /** Sees every message that leaves a member. */
  onSend: (message: Message) => void = () => {}
  readonly #time: VirtualTime
  readonly #random: (limit: number) => number
  readonly #endpoints = new Map<bigint, Endpoint>()
  readonly #cuts = new Set<string>()
  readonly #holds = new Set<Hold>()
  readonly #connectionAgeMs: number
  #healedMs = 0

  constructor(time: VirtualTime, random: (limit: number) => number, connectionAgeMs: number) {
    this.#time = time
    this.#random = random
    this.#connectionAgeMs = connectionAgeMs
  }

  /** Nothing goes from one to the other any more. */
  cut(from: bigint, to: bigint): void {
    this.#cuts.add(linkName(from, to))
  }

  /** From now on messages that match do not arrive until they are released. */
  hold(matches: (message: Message) => boolean): Held {
    const hold: Hold = { matches, messages: [] }
    this.#holds.add(hold)
    return { messages: hold.messages, release: () => this.#release(hold) }
  }

  /** What was held up arrives, whoever holds it. */
  releaseAll(): void {
    for (const hold of this.#holds) this.#release(hold)
  }

  #release(hold: Hold): void {
    this.#holds.delete(hold)
    for (const message of hold.messages.splice(0)) {
      const bytes = Buffer.from(Message.encode(message).finish())
      this.#time.after(this.#delay(), () => this.#take(message.from, message.to, bytes))
    }
  }

  /** Nothing goes from the first group to the second any more. */
  cutBetween(some: readonly bigint[], others: readonly bigint[]): void {
    for (const one of some) for (const other of others) this.cut(one, other)
  }

  /** Nor back. */
  separate(some: readonly bigint[], others: readonly bigint[]): void {
    this.cutBetween(some, others)
    this.cutBetween(others, some)
  }

  heal(): void {
    this.#cuts.clear()
    this.#healedMs = this.#time.now
  }

  /** The transport of one run of a member. */
  attach(id: bigint, life: Life, handlers: PeerHandlers): PeerTransport {
    const own: Endpoint = {
      id,
      life,
      handlers,
      peers: new Set(),
      remotes: new Set(),
      isClosed: false,
    }
    this.#endpoints.set(id, own)
    return {
      addPeer: (peer) => void own.peers.add(peer),
      updatePeer: () => {},
      removePeer: (peer) => void own.peers.delete(peer),
      removeAll: () => own.peers.clear(),
      addRemote: (peer) => void own.remotes.add(peer),
      send: (messages) => {
        for (const message of messages) this.#send(own, message)
      },
      sendSnapshot: (message, database) => void this.#sendSnapshot(own, message, database),
      activeSince: (peer) => this.#activeSince(own, peer),
      listen: async () => ({ port: 0 }),
      pause: () => {},
      resume: () => {},
      close: async () => {
        own.isClosed = true
      },
    }
  }

  #isCut(from: bigint, to: bigint): boolean {
    return this.#cuts.has(linkName(from, to))
  }

  #activeSince(own: Endpoint, peer: bigint): number | undefined {
    const other = this.#endpoints.get(peer)
    if (other === undefined || isGone(other) || other.life.isPaused) return undefined
    if (this.#isCut(own.id, peer) || this.#isCut(peer, own.id)) return undefined
    const sinceMs = Math.max(this.#healedMs, own.life.bornMs, other.life.bornMs)
    return sinceMs - this.#connectionAgeMs
  }

  #send(own: Endpoint, message: Message): void {
    if (isGone(own)) return
    this.onSend(message)
    const { to } = message
    if (!own.peers.has(to) && !own.remotes.has(to)) return
    this.counts.sent++
    if (this.#isCut(own.id, to)) {
      this.counts.lost++
      own.life.after(0, () => own.handlers.reportUnreachable(to))
      return
    }
    const hold = [...this.#holds].find(({ matches }) => matches(message))
    if (hold !== undefined) {
      hold.messages.push(message)
      return
    }
    const bytes = Buffer.from(Message.encode(message).finish())
    // A proposal that is passed on is no part of raft: nobody would notice that it came twice.
    const mayRepeat = message.type !== MessageType.MsgProp
    const copies = mayRepeat && this.#hits(this.conditions.repeatPercent) ? 2 : 1
    for (let copy = 0; copy < copies; copy++) {
      if (this.#hits(this.conditions.lossPercent)) this.counts.lost++
      else this.#time.after(this.#delay(), () => this.#arrive(own.id, to, bytes))
    }
  }

  #arrive(from: bigint, to: bigint, bytes: Buffer): void {
    if (!this.#isCut(from, to)) this.#take(from, to, bytes)
  }

  #take(from: bigint, to: bigint, bytes: Buffer): void {
    const target = this.#endpoints.get(to)
    if (target === undefined || isGone(target)) return
    const take = (): void => {
      if (target.isClosed) return
      if (target.handlers.isRemoved(from)) this.#tellRemoved(from)
      if (!target.peers.has(from)) target.remotes.add(from)
      target.handlers.step(Message.decode(bytes))
    }
    if (target.life.isPaused) target.life.after(0, take)
    else take()
  }

  /** A member that was removed hears of it from whoever knows. */
  #tellRemoved(id: bigint): void {
    const removed = this.#endpoints.get(id)
    if (removed === undefined || isGone(removed)) return
    removed.life.after(this.#delay(), () => removed.handlers.onRemoved())
  }

  async #sendSnapshot(own: Endpoint, message: Message, database: SnapshotBody): Promise<void> {
    const { to } = message
    this.counts.snapshots++
    const chunks: Buffer[] = []
    for await (const chunk of database.chunks()) chunks.push(Buffer.from(chunk))
    const bytes = Buffer.from(Message.encode(message).finish())
    let isDone = false
    const report = (ok: boolean): void => {
      if (isDone || own.isClosed) return
      isDone = true
      own.handlers.reportSnapshot(to, ok)
    }
    own.life.after(snapshotTimeoutMs, () => report(false))
    this.#time.after(this.#delay(), () => {
      const target = this.#endpoints.get(to)
      const isLost = this.#hits(this.conditions.lossPercent) || this.#isCut(own.id, to)
      if (target === undefined || isGone(target) || isLost) {
        own.life.after(0, () => report(false))
        return
      }
      this.#receive(target, bytes, chunks).then(
        () => own.life.after(this.#delay(), () => report(true)),
        () => own.life.after(this.#delay(), () => report(false)),
      )
    })
  }

  async #receive(target: Endpoint, bytes: Buffer, chunks: readonly Buffer[]): Promise<void> {
    const message = Message.decode(bytes)
    async function* body(): AsyncGenerator<Buffer> {
      yield* chunks
    }
    await target.handlers.receiveSnapshot(message, body())
    if (isGone(target)) return
    if (!target.peers.has(message.from)) target.remotes.add(message.from)
    target.handlers.step(message)
  }

  #delay(): number {
    const { delayMs, latePercent } = this.conditions
    const delay = delayMs + this.#random(delayMs + 1)
    return this.#hits(latePercent) ? delay * (5 + this.#random(30)) : delay
  }

  #hits(percent: number): boolean {
    return percent > 0 && this.#random(100) < percent
  }
}

const isGone = ({ life, isClosed }: Endpoint): boolean => life.isOver || isClosed

const linkName = (from: bigint, to: bigint): string => `${from} ${to}`
