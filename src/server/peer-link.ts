// peer-link.ts: between raft and the transport. Messages pass through, except that a snapshot for
// a slow member is cut here, when it is sent, from what is applied by then; and the transport is
// kept informed of who the members are.
import { type ConfChange, ConfChangeType, type Message, MessageType } from '../api/gen/raft.js'
import { planDatabase } from '../storage/bbolt/writer.js'
import type { MemberRecord } from '../storage/schema.js'
import { raftSnapshot } from '../storage/snap-file.js'
import type { PeerTransport } from './peer/transport.js'
import { captureBuckets, type Position, type State, snapTree } from './recovery/checkpoint.js'

export interface PeerLinkParts {
  memberId: bigint
  state: State
  transport: PeerTransport
  /** Position of the applied state now. */
  position(): Position
  reportSnapshot(id: bigint, ok: boolean): void
}

export class PeerLink {
  readonly #parts: PeerLinkParts
  /** Members that the transport was told of. */
  #connected = new Set<bigint>()

  constructor(parts: PeerLinkParts) {
    this.#parts = parts
    this.connectAll()
  }

  send(messages: readonly Message[]): void {
    const { transport } = this.#parts
    const isSnapshot = ({ type }: Message) => type === MessageType.MsgSnap
    if (!messages.some(isSnapshot)) {
      transport.send(messages)
      return
    }
    transport.send(messages.filter((message) => !isSnapshot(message)))
    for (const message of messages.filter(isSnapshot)) void this.#sendSnapshot(message)
  }

  /** Makes the transport know exactly the members that the state knows; connections stay. */
  connectAll(): void {
    const { memberId, state, transport } = this.#parts
    const others = state.membership.list().filter(({ id }) => id !== memberId)
    const ids = new Set(others.map(({ id }) => id))
    for (const id of this.#connected) if (!ids.has(id)) transport.removePeer(id)
    for (const { id, peerUrls } of others) {
      if (this.#connected.has(id)) transport.updatePeer(id, peerUrls)
      else transport.addPeer(id, peerUrls)
    }
    this.#connected = ids
  }

  /** Members that are only heard of, until the state knows. */
  connectRemotes(remotes: readonly Pick<MemberRecord, 'id' | 'peerUrls'>[]): void {
    for (const { id, peerUrls } of remotes) {
      if (id === this.#parts.memberId) continue
      this.#connected.add(id)
      this.#parts.transport.addPeer(id, peerUrls)
    }
  }

  /** A change took effect in the state. */
  onConfChange({ type, node_id: id }: ConfChange): void {
    const { memberId, state, transport } = this.#parts
    if (id === memberId) return
    const urls = state.membership.member(id)?.peerUrls ?? []
    if (type === ConfChangeType.ConfChangeRemoveNode) {
      this.#connected.delete(id)
      transport.removePeer(id)
    } else if (type === ConfChangeType.ConfChangeUpdateNode) transport.updatePeer(id, urls)
    else {
      this.#connected.add(id)
      transport.addPeer(id, urls)
    }
  }

  /** Everything is captured before the first pause, so index, configuration and data agree. */
  async #sendSnapshot(message: Message): Promise<void> {
    const { state, position, transport, reportSnapshot } = this.#parts
    const confState = state.membership.confState()
    const snapshot = raftSnapshot({ ...position(), confState, tree: snapTree(state.membership) })
    const buckets = captureBuckets(state, position())
    try {
      transport.sendSnapshot({ ...message, snapshot }, await planDatabase(buckets))
    } catch {
      reportSnapshot(message.to, false)
    }
  }
}
