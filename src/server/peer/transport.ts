// transport.ts: how members reach each other, as the rest of the server sees it. Messages go out
// without waiting and may be lost: raft survives loss, not a loop that stands still. What comes in
// goes to the handlers. The protocol underneath is etcd's, so a peer may be a real etcd.
import type { Message } from '../../api/gen/raft.js'
import type { ListenAt } from '../../grpc/server.js'
import type { MemberRecord } from '../../storage/schema.js'

export interface PeerTransport {
  addPeer(id: bigint, urls: readonly string[]): void
  updatePeer(id: bigint, urls: readonly string[]): void
  removePeer(id: bigint): void
  removeAll(): void
  /** A destination that is no member here yet; used until the log says that it is. */
  addRemote(id: bigint, urls: readonly string[]): void
  /** Returns at once and never throws; what cannot go out is dropped and reported. */
  send(messages: readonly Message[]): void
  /** Streams a database behind a MsgSnap; how it went comes back through reportSnapshot. */
  sendSnapshot(message: Message, database: SnapshotBody): void
  /** Clock time since which the streams of a peer are up; undefined while they are not. */
  activeSince(id: bigint): number | undefined
  listen(at: ListenAt): Promise<{ port: number }>
  /** For tests of partitions: drops everything to and from a peer until resumed. */
  pause(id: bigint): void
  resume(id: bigint): void
  close(): Promise<void>
}

/** A database front to back; the receiver gets exactly `sizeBytes`. */
export interface SnapshotBody {
  readonly sizeBytes: number
  chunks(): AsyncIterable<Buffer>
}

export interface PeerVersion {
  etcdserver: string
  /** `not_decided` before the cluster has a version. */
  etcdcluster: string
  storage: string
}

export interface LeaseTtl {
  ttlSeconds: number
  remainingSeconds: number
  keys: readonly Buffer[]
}

export interface PeerHashKv {
  revision: number
  hash: number
  compactRevision: number
  hashRevision: number
}

/** What a member does with what others tell or ask it. */
export interface PeerHandlers {
  step(message: Message): void
  isRemoved(id: bigint): boolean
  isKnown(id: bigint): boolean
  reportUnreachable(id: bigint): void
  reportSnapshot(id: bigint, ok: boolean): void
  /** Others say that this member is no longer one of them. */
  onRemoved(): void
  /** Saves the database that follows a MsgSnap; the transport steps the message afterwards. */
  receiveSnapshot(message: Message, body: AsyncIterable<Buffer>): Promise<void>
  members(): readonly MemberRecord[]
  version(): PeerVersion
  /** The cluster is to go one minor version down: what a member asks that wants to join. */
  isDowngradeEnabled(): boolean
  /** @throws EtcdError as MemberPromote does */
  promote(id: bigint): Promise<readonly MemberRecord[]>
  /** Undefined: no such lease. @throws EtcdError when this member does not lead */
  renewLease(id: bigint): Promise<number | undefined>
  leaseTimeToLive(id: bigint, keys: boolean): Promise<LeaseTtl | undefined>
  /** @throws EtcdError compacted, futureRevision */
  hashKv(revision: number): PeerHashKv
}
