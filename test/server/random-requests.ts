// random-requests.ts: requests that a seed makes up, for two servers that should give the same
// answers. Keys are few, so that requests meet each other's traces; revisions are mostly near
// what is there, and sometimes out of reach.
import type { DeepPartial, RequestOp, TxnRequest } from '../../src/api/gen/rpc.js'
import type { Connection } from '../../src/connection/connect.js'

export type Random = (limit: number) => number

/** What is known of the state, from the answers so far. */
export interface Known {
  revision: number
  compactRevision: number
  /** Revisions that may hold deletions: 3.4 and 3.7 compact those differently. */
  deletions: Set<number>
}

export interface RandomRequest {
  name: string
  request: object
  send(to: Connection): Promise<object>
}

const keys = ['a', 'b', 'ba', 'bb', 'c', '\xff', '\xff\xff', 'b\0'].map(bytes)
const ends = ['', '\0', 'b', 'bb', 'c', '\xff', 'a'].map(bytes)
const values = ['', 'v', 'w', 'x'.repeat(300), '\0\xff'].map(bytes)
const leaseIds = ['1', '2', '-3', '9223372036854775807']

function bytes(text: string): Buffer {
  return Buffer.from(text, 'latin1')
}

export function randomRequest(random: Random, known: Known): RandomRequest {
  const made = new Maker(random, known)
  const kinds: (() => RandomRequest)[] = [
    ...Array(5).fill(() => call('put', made.put(), (to, request) => to.kv.put(request))),
    ...Array(6).fill(() => call('range', made.range(), (to, request) => to.kv.range(request))),
    ...Array(2).fill(() =>
      call('deleteRange', made.deleteRange(), (to, request) => to.kv.deleteRange(request)),
    ),
    ...Array(6).fill(() => call('txn', made.txn(2), (to, request) => to.kv.txn(request))),
    () => call('grant', made.grant(), (to, request) => to.lease.leaseGrant(request)),
    () => call('revoke', made.leaseId(), (to, request) => to.lease.leaseRevoke(request)),
    () => call('timeToLive', made.timeToLive(), (to, request) => to.lease.leaseTimeToLive(request)),
    () => call('leases', {}, (to) => to.lease.leaseLeases()),
    () => call('compact', made.compact(), (to, request) => to.kv.compact(request)),
    () => call('hashKV', made.hashKv(), (to, request) => to.maintenance.hashKV(request)),
  ]
  const kind = kinds[random(kinds.length)]
  if (kind === undefined) throw new Error('out of range')
  return kind()
}

function call<T extends object>(
  name: string,
  request: T,
  send: (to: Connection, request: T) => Promise<object>,
): RandomRequest {
  return { name, request, send: (to) => send(to, request) }
}

class Maker {
  readonly #random: Random
  readonly #known: Known
  /**
   * A transaction that deletes up to the open end what it then puts with ignore_value stops a real
   * etcd. So each has either the one or the other.
   */
  #isIgnoring = true

  constructor(random: Random, known: Known) {
    this.#random = random
    this.#known = known
  }

  put() {
    return {
      key: this.#key(),
      value: this.#oneOf(values),
      prev_kv: this.#chance(3),
      ...(this.#chance(4) ? { lease: this.#oneOf(leaseIds) } : {}),
      ...(this.#ignores() ? { ignore_value: true, value: this.#oneOf(values.slice(0, 2)) } : {}),
      ...(this.#ignores() ? { ignore_lease: true } : {}),
    }
  }

  range() {
    const filters = ['min_mod', 'max_mod', 'min_create', 'max_create'] as const
    const filtered = filters.filter(() => this.#chance(12))
    return {
      ...this.#interval(),
      limit: this.#chance(2) ? String(this.#random(4)) : '-1',
      revision: this.#chance(3) ? this.#revision() : '0',
      sort_order: this.#oneOf([0, 0, 1, 2] as const),
      sort_target: this.#oneOf([0, 0, 1, 2, 3, 4] as const),
      serializable: this.#chance(3),
      keys_only: this.#chance(5),
      count_only: this.#chance(8),
      ...Object.fromEntries(filtered.map((name) => [`${name}_revision`, this.#revision()])),
    }
  }

  deleteRange() {
    return { ...this.#interval(), prev_kv: this.#chance(2) }
  }

  txn(depth: number): DeepPartial<TxnRequest> {
    this.#isIgnoring = this.#chance(2)
    return this.#txn(depth)
  }

  #txn(depth: number): DeepPartial<TxnRequest> {
    const some = <T>(max: number, make: () => T): T[] =>
      Array.from({ length: this.#random(max + 1) }, make)
    return {
      compare: some(2, () => this.#compare()),
      success: some(3, () => this.#op(depth)),
      failure: some(2, () => this.#op(depth)),
    }
  }

  /** Short ones would run out during the test. */
  grant() {
    const TTL = this.#oneOf(['1000', '100000', '9000000000', '9000000001'])
    return { ...this.leaseId(), TTL }
  }

  leaseId() {
    return { ID: this.#oneOf(leaseIds) }
  }

  timeToLive() {
    return { ...this.leaseId(), keys: true }
  }

  compact() {
    const { deletions, revision } = this.#known
    const at = this.#chance(3) ? Number(this.#revision()) : revision - this.#random(30)
    // A real etcd goes on hashing what it removes until its next commit, unless it is to wait.
    return { revision: String(deletions.has(at) ? revision + 1 : at), physical: true }
  }

  /** Old servers refuse the compact revision itself. */
  hashKv() {
    const { compactRevision, revision } = this.#known
    const span = revision - Math.max(compactRevision, 0)
    return { revision: String(this.#chance(2) || span <= 0 ? 0 : revision - this.#random(span)) }
  }

  #compare() {
    const number = String(this.#random(4))
    const operands = [
      { target: 0, version: number },
      { target: 1, create_revision: this.#chance(2) ? '0' : this.#revision() },
      { target: 2, mod_revision: this.#revision() },
      { target: 3, value: this.#oneOf(values) },
      { target: 4, lease: this.#chance(2) ? '0' : this.#oneOf(leaseIds) },
      { target: 3, version: number },
    ] as const
    return {
      ...(this.#chance(4) ? this.#interval() : { key: this.#key() }),
      result: this.#oneOf([0, 0, 1, 2, 3] as const),
      ...this.#oneOf(operands),
    }
  }

  #op(depth: number): DeepPartial<RequestOp> {
    const kinds = [
      () => ({ request_put: this.put() }),
      () => ({ request_put: this.put() }),
      () => ({ request_range: this.range() }),
      () => ({
        request_delete_range: this.#isIgnoring ? this.#closedDelete() : this.deleteRange(),
      }),
      () => (depth > 0 ? { request_txn: this.#txn(depth - 1) } : { request_put: this.put() }),
      () => (this.#chance(10) ? {} : { request_range: this.range() }),
    ]
    return this.#oneOf(kinds)()
  }

  #closedDelete() {
    return { key: this.#key(), range_end: this.#oneOf(ends.filter((end) => end[0] !== 0)) }
  }

  #ignores(): boolean {
    return this.#chance(6) && this.#isIgnoring
  }

  #interval() {
    return { key: this.#key(), range_end: this.#oneOf(ends) }
  }

  #key(): Buffer {
    return this.#chance(60) ? bytes('') : this.#oneOf(keys)
  }

  /** Mostly one that can be read. */
  #revision(): string {
    const { revision, compactRevision } = this.#known
    if (this.#chance(10)) return this.#oneOf(['-1', '0', '1', String(revision + 1)])
    return String(Math.max(compactRevision - 1, revision - this.#random(25)))
  }

  #chance(oneIn: number): boolean {
    return this.#random(oneIn) === 0
  }

  #oneOf<T>(all: readonly T[]): T {
    const one = all[this.#random(all.length)]
    if (one === undefined) throw new Error('nothing to choose from')
    return one
  }
}
