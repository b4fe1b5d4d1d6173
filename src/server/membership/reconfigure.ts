// reconfigure.ts: changes of the membership that a client asks for. Before a change goes into the
// log it must leave a cluster that can still decide: enough members that have started, and enough
// that this one has been in touch with for a while. What the change itself requires is checked
// again when it is applied (membership.ts), where all members see the same state.
import { ConfChangeType } from '../../api/gen/raft.js'
import { EtcdError } from '../../api/rpc-errors.js'
import type { Clock } from '../../platform/clock.js'
import { memberId as newMemberId } from '../../storage/cluster-id.js'
import { InitialClusterError, parsePeerUrls } from '../../storage/initial-cluster.js'
import { encodeMember, type MemberRecord } from '../../storage/schema.js'
import type { Node, ProposalTerms } from '../node.js'
import { type AskOptions, promoteMember } from '../peer/client.js'
import type { PeerTransport } from '../peer/transport.js'
import type { Proposer } from '../proposer.js'
import type { Membership } from './membership.js'

/** As etcd: how long a connection must have lasted to count. */
const healthIntervalMs = 5_000
/** Part of the leader's log that a learner must have to become a voter. */
const promotionMatch = 0.9

export interface ReconfigurerParts {
  memberId: bigint
  membership: Membership
  node: Node
  proposer: Proposer
  /** Undefined for a member that no other can reach. */
  transport: PeerTransport | undefined
  clock: Clock
  peerAsk: Partial<AskOptions>
}

/** For whom: a change is not proposed any more when they have gone. */
type Caller = ProposalTerms['caller']

export class Reconfigurer {
  readonly #parts: ReconfigurerParts

  constructor(parts: ReconfigurerParts) {
    this.#parts = parts
  }

  /** @returns the new member and all members after the change. @throws EtcdError */
  async add(
    urls: readonly string[],
    isLearner: boolean,
    caller?: Caller,
  ): Promise<{ member: MemberRecord; members: MemberRecord[] }> {
    const { membership, clock, transport } = this.#parts
    const peerUrls = checkedUrls(urls)
    const id = newMemberId(peerUrls, '', Math.floor(clock.wall() / 1000))
    const member: MemberRecord = { id, peerUrls, isLearner, name: '', clientUrls: [] }
    const type = isLearner
      ? ConfChangeType.ConfChangeAddLearnerNode
      : ConfChangeType.ConfChangeAddNode
    const change = { type, node_id: id, context: Buffer.from(encodeMember(member)) }
    membership.check({ ...change, id: 0n })
    if (transport === undefined) throw new EtcdError('unhealthy')
    if (!isLearner) this.#checkStartedForOneMore()
    this.#checkConnectedForOneMore()
    return { member, members: await this.#propose(change, caller) }
  }

  /** @throws EtcdError */
  async remove(id: bigint, caller?: Caller): Promise<MemberRecord[]> {
    const { membership } = this.#parts
    const change = { type: ConfChangeType.ConfChangeRemoveNode, node_id: id }
    membership.check({ ...change, id: 0n })
    if (membership.member(id)?.isLearner === false) this.#checkWithout(id)
    return this.#propose(change, caller)
  }

  /** Takes any text for a URL, as etcd does. @throws EtcdError */
  async update(id: bigint, peerUrls: readonly string[], caller?: Caller): Promise<MemberRecord[]> {
    const { membership } = this.#parts
    const bare: MemberRecord = { id, peerUrls, isLearner: false, name: '', clientUrls: [] }
    const type = ConfChangeType.ConfChangeUpdateNode
    const change = { type, node_id: id, context: Buffer.from(encodeMember(bare)) }
    membership.check({ ...change, id: 0n })
    return this.#propose(change, caller)
  }

  /** Only the leader knows how far a learner is; others ask it. @throws EtcdError */
  async promote(id: bigint, caller?: Caller): Promise<MemberRecord[]> {
    const { membership, node, memberId } = this.#parts
    if (node.leader !== memberId) return this.#askLeaderToPromote(id)
    const bare: MemberRecord = { id, peerUrls: [], isLearner: false, name: '', clientUrls: [] }
    const type = ConfChangeType.ConfChangeAddNode
    const context = Buffer.from(encodeMember(bare, { promote: true }))
    const change = { type, node_id: id, context }
    membership.check({ ...change, id: 0n })
    this.#checkInSync(id)
    const { started, voters } = this.#counts(this.#voters())
    if (started + 1 < quorum(voters + 1)) throw new EtcdError('memberNotEnoughStarted')
    return this.#propose(change, caller)
  }

  async #askLeaderToPromote(id: bigint): Promise<MemberRecord[]> {
    const { membership, node } = this.#parts
    const urls = membership.member(node.leader)?.peerUrls ?? []
    for (const url of urls) return [...(await promoteMember(url, id, this.#parts.peerAsk))]
    throw new EtcdError('noLeader')
  }

  async #propose(
    change: Parameters<Proposer['proposeConfChange']>[0],
    caller: Caller,
  ): Promise<MemberRecord[]> {
    const outcome = await this.#parts.proposer.proposeConfChange(change, { caller })
    if (outcome.kind !== 'members') throw new Error(`${outcome.kind} is no outcome of a change`)
    return outcome.members
  }

  #checkInSync(id: bigint): void {
    const { progress, id: own } = this.#parts.node.status()
    const learner = progress.get(id)?.match ?? 0
    const leader = progress.get(own)?.match ?? 0
    if (learner < leader * promotionMatch) throw new EtcdError('learnerNotReady')
  }

  /** The first member may bring in a second, although one of two is no majority. */
  #checkStartedForOneMore(): void {
    const { started, voters } = this.#counts(this.#voters())
    if (started === 1 && voters === 1) return
    if (started < quorum(voters + 1)) throw new EtcdError('memberNotEnoughStarted')
  }

  #checkConnectedForOneMore(): void {
    const voters = this.#voters()
    if (voters.length === 1) return
    if (this.#connected(voters) < quorum(voters.length + 1)) throw new EtcdError('unhealthy')
  }

  /**
   * A voter that cannot be reached may always go. One that is there, however short a time, counts
   * among those who decide, so after a start nobody who runs may go for a while.
   */
  #checkWithout(id: bigint): void {
    const { memberId, transport } = this.#parts
    const voters = this.#voters()
    const { started, voters: left } = this.#counts(voters.filter((voter) => voter.id !== id))
    if (started < quorum(left)) throw new EtcdError('memberNotEnoughStarted')
    if (id !== memberId && transport?.activeSince(id) === undefined) return
    if (this.#connected(voters) - 1 < 1 + Math.floor((voters.length - 1) / 2)) {
      throw new EtcdError('unhealthy')
    }
  }

  #voters(): MemberRecord[] {
    return this.#parts.membership.list().filter(({ isLearner }) => !isLearner)
  }

  #counts(members: readonly MemberRecord[]): { started: number; voters: number } {
    return { started: members.filter(({ name }) => name !== '').length, voters: members.length }
  }

  #connected(members: readonly MemberRecord[]): number {
    return members.filter(({ id }) => this.#isConnected(id)).length
  }

  #isConnected(id: bigint): boolean {
    const { memberId, transport, clock } = this.#parts
    if (id === memberId) return true
    const since = transport?.activeSince(id)
    return since !== undefined && clock.now() - since >= healthIntervalMs
  }
}

function quorum(voters: number): number {
  return Math.floor(voters / 2) + 1
}

function checkedUrls(urls: readonly string[]): string[] {
  if (urls.length === 0) throw new EtcdError('memberBadUrls')
  try {
    return parsePeerUrls(urls)
  } catch (error) {
    if (!(error instanceof InitialClusterError)) throw error
    throw new EtcdError('memberBadUrls', { cause: error })
  }
}
