// proposer.ts: puts a request into the log and waits for what its application gives.
import type { ConfChange } from '../api/gen/raft.js'
import { EtcdError } from '../api/rpc-errors.js'
import type { Identity } from '../auth/token.js'
import type { Clock } from '../platform/clock.js'
import type { Outcome } from './apply.js'
import { logEntry } from './log-entry.js'
import { encodeV2Request } from './membership/v2-request.js'
import type { Node, ProposalTerms } from './node.js'
import type { RequestIds } from './request-id.js'
import type { Wait } from './wait.js'

/** Field numbers of InternalRaftRequest (proto/raft_internal.proto). */
export const requestField = {
  put: 4,
  deleteRange: 5,
  txn: 6,
  compaction: 7,
  leaseGrant: 8,
  leaseRevoke: 9,
  alarm: 10,
  leaseCheckpoint: 11,
  authEnable: 1000,
  authDisable: 1011,
  authenticate: 1012,
  authUserAdd: 1100,
  authUserDelete: 1101,
  authUserGet: 1102,
  authUserChangePassword: 1103,
  authUserGrantRole: 1104,
  authUserRevokeRole: 1105,
  authUserList: 1106,
  authRoleList: 1107,
  authRoleAdd: 1200,
  authRoleDelete: 1201,
  authRoleGet: 1202,
  authRoleGrantPermission: 1203,
  authRoleRevokePermission: 1204,
  clusterVersionSet: 1300,
  clusterMemberAttrSet: 1301,
  downgradeInfoSet: 1302,
} as const

export type RequestField = (typeof requestField)[keyof typeof requestField]

/** Who proposes, and for whom. */
export interface ProposeOptions extends Pick<ProposalTerms, 'caller' | 'asLeader'> {
  /** What they may do is looked at when the entry is applied. */
  who?: Identity | undefined
}

/** Proposals that may wait at a time, as in etcd: more would only wait longer. */
const waitingMax = 5_000

export interface ProposerParts {
  node: Pick<Node, 'propose' | 'proposeConfChange'>
  wait: Wait<Outcome>
  ids: RequestIds
  clock: Clock
}

export class Proposer {
  readonly #parts: ProposerParts
  readonly #requestBytesMax: number
  readonly #timeoutMs: number

  constructor(parts: ProposerParts, limits: { requestBytesMax: number; timeoutMs: number }) {
    this.#parts = parts
    this.#requestBytesMax = limits.requestBytesMax
    this.#timeoutMs = limits.timeoutMs
  }

  /**
   * `message`: the encoded request that belongs to `field`.
   * @throws EtcdError requestTooLarge, tooManyRequests, timeout, stopped, noSpace, notLeader, and
   *   whatever the application of the entry refuses
   */
  propose(
    field: RequestField,
    message: Uint8Array,
    { who, ...terms }: ProposeOptions = {},
  ): Promise<Outcome> {
    const id = this.#parts.ids.next()
    return this.#proposeData(id, logEntry({ id, who }, field, message), terms)
  }

  /** A request of the v2 API, as members up to 3.5 speak about themselves. @throws as propose() */
  proposeV2(path: string, value: string): Promise<Outcome> {
    const id = this.#parts.ids.next()
    return this.#proposeData(id, encodeV2Request(id, path, value))
  }

  /** Requests that wait for their outcome. */
  get pendingCount(): number {
    return this.#parts.wait.size
  }

  /** Requests that got no outcome in time. */
  get failedCount(): number {
    return this.#parts.wait.givenUpCount
  }

  #proposeData(
    id: bigint,
    data: Buffer,
    terms: Pick<ProposalTerms, 'caller' | 'asLeader'> = {},
  ): Promise<Outcome> {
    const { node, wait } = this.#parts
    if (data.length > this.#requestBytesMax) throw new EtcdError('requestTooLarge')
    if (wait.size >= waitingMax) throw new EtcdError('tooManyRequests')
    return this.#await(id, (deadlineMs) => node.propose(data, { ...terms, deadlineMs }))
  }

  #await(id: bigint, propose: (deadlineMs: number) => void): Promise<Outcome> {
    const { wait } = this.#parts
    const deadlineMs = this.#deadline()
    const outcome = wait.register(id, deadlineMs)
    try {
      propose(deadlineMs)
    } catch (error) {
      wait.reject(id, error as Error)
    }
    return outcome
  }

  /** Proposes a membership change; its id is set here. @throws as propose() */
  proposeConfChange(
    change: Omit<ConfChange, 'id'>,
    terms: Pick<ProposalTerms, 'caller'> = {},
  ): Promise<Outcome> {
    const { node, ids } = this.#parts
    const id = ids.next()
    return this.#await(id, (deadlineMs) =>
      node.proposeConfChange({ ...change, id }, { ...terms, deadlineMs }),
    )
  }

  #deadline(): number {
    return this.#parts.clock.now() + this.#timeoutMs
  }
}
