// checks.ts: the promises of raft and of the state machine, held against every member after every
// event. What was seen so far is kept here, outside of all members, where no crash can touch it.
//
//     one leader a term        leaders      term → who led it (raft §5.2)
//     one vote a term          votes        who, term → for whom; by the answers that left
//     state machine safety     applied      index → the entry that somebody applied there (§5.4.3)
//     leader completeness      at the first sight of a leader: it has all of `applied` that was
//                              committed in earlier terms (§5.4); one that was cut off and is seen
//                              late need not have what was committed after its election
//     log matching             checkLogs(): equal term at one index, equal entries up to it (§5.3)
//     equal states             hashes       index → hash of the whole state of who stood there
import assert from 'node:assert/strict'
import { type Message, MessageType } from '../../src/api/gen/raft.js'
import type { MemoryStorage } from '../../src/raft/storage.js'
import type { ServiceParts } from '../../src/server/rpc/parts.js'
import { crc32c } from '../../src/storage/crc32c.js'
import type { Acknowledged } from './history.js'
import type { Running, SimulatedMember } from './simulated-member.js'

/** A hash costs as much as the keys are many, so only indexes divisible by this get one. */
const hashedEvery = 4

export class Checks {
  readonly counts = { leaders: 0, hashes: 0 }
  /** Called at the first sight of a leader. */
  onLeader: () => void = () => {}
  /** Called when a vote is given. */
  onVote: (from: bigint) => void = () => {}
  readonly #leaders = new Map<number, bigint>()
  readonly #votes = new Map<string, bigint>()
  /** Text of the entry at each index; index 0 is nothing. */
  readonly #applied: string[] = ['']
  /** A term in which, or before which, the entry at each index was committed. */
  readonly #committedBy: number[] = [0]
  readonly #hashes = new Map<number, string>()
  /** Up to where each run was looked at. */
  readonly #seen = new WeakMap<Running, number>()

  /** Every message on its way out. */
  onSend({ type, reject, from, to, term }: Message): void {
    if (type !== MessageType.MsgVoteResp || reject) return
    const name = `${from} ${term}`
    const known = this.#votes.get(name)
    assert(known === undefined || known === to, `${from} votes for ${known} and ${to} in ${term}`)
    this.#votes.set(name, to)
    this.onVote(from)
  }

  /** To be called after every event. */
  check(members: readonly SimulatedMember[]): void {
    for (const { running, id } of members) {
      if (running === undefined || id === undefined) continue
      this.#checkApplied(running, id)
      if (running.service.node.isLeader) this.#checkLeader(running, id)
    }
  }

  /** Log matching: costs too much to be asked for after every event. */
  checkLogs(members: readonly SimulatedMember[]): void {
    const logs = members.flatMap(({ running }) => running?.log ?? [])
    for (const [at, one] of logs.entries()) {
      for (const other of logs.slice(at + 1)) checkMatching(one, other)
    }
  }

  get appliedIndex(): number {
    return this.#applied.length - 1
  }

  #checkApplied(running: Running, id: bigint): void {
    const { log, service, snapshotIndex } = running
    const { applied } = service.node
    const from = this.#seen.get(running) ?? snapshotIndex
    if (applied === from) return
    assert(applied > from, `${id} falls back from ${from} to ${applied}`)
    this.#seen.set(running, applied)
    const first = Math.max(from + 1, log.firstIndex())
    const entries = first > applied ? [] : log.entries(first, applied + 1, Number.MAX_SAFE_INTEGER)
    for (const { Index, Term, Type, Data } of entries) {
      const own = `${Term} ${Type} ${crc32c(Data ?? nothing)}`
      const known = this.#applied[Index]
      assert(known === undefined || known === own, `${id} applies ${own} at ${Index}, not ${known}`)
      this.#applied[Index] = own
      this.#committedBy[Index] ??= service.node.status().term
    }
    const isExact = applied >= Math.max(running.installing, running.consistentIndex)
    if (applied % hashedEvery === 0 && isExact) {
      this.#checkHash(service, { applied, id })
    }
  }

  #checkHash(service: ServiceParts, { applied, id }: { applied: number; id: bigint }): void {
    const own = stateText(service)
    const known = this.#hashes.get(applied)
    assert(known === undefined || known === own, `${id} at ${applied} has\n${own}, not\n${known}`)
    this.#hashes.set(applied, own)
    this.counts.hashes++
  }

  #checkLeader({ log, service }: Running, id: bigint): void {
    const { role, term } = service.node.status()
    if (role !== 'leader') return
    const known = this.#leaders.get(term)
    if (known === id) return
    assert(known === undefined, `${known} and ${id} both lead term ${term}`)
    this.#leaders.set(term, id)
    this.counts.leaders++
    this.onLeader()
    for (let index = log.firstIndex(); index <= this.appliedIndex; index++) {
      if ((this.#committedBy[index] ?? term) >= term) continue
      const expected = Number(this.#applied[index]?.split(' ')[0])
      const own = log.term(index)
      assert(own === expected, `leader ${id} of ${term} has ${own}/${index}, not ${expected}`)
    }
  }
}

const nothing = Buffer.alloc(0)

/** Everything that must be equal wherever the same entries were applied. */
function stateText({ store, membership, lessor, alarms }: ServiceParts): string {
  const { hash, compactRevision } = store.hashKv(0)
  const members = membership.list().map(({ id, name, isLearner, peerUrls }) => {
    return `${id} ${name} ${isLearner} ${peerUrls.join()}`
  })
  const removed = membership.removedIds().join()
  const leases = lessor.records().map(({ id, ttlSeconds }) => `${id} ${ttlSeconds}`)
  const rest = `${membership.agreedVersion} ${leases.sort().join()} ${alarms.list().length}`
  return `${store.revision} ${hash} ${compactRevision} [${members.join('; ')}] ${removed} ${rest}`
}

function checkMatching(one: MemoryStorage, other: MemoryStorage): void {
  const lo = Math.max(one.firstIndex(), other.firstIndex())
  let hi = Math.min(one.lastIndex(), other.lastIndex())
  while (hi >= lo && one.term(hi) !== other.term(hi)) hi--
  if (hi < lo) return
  const texts = (log: MemoryStorage): string[] =>
    log
      .entries(lo, hi + 1, Number.MAX_SAFE_INTEGER)
      .map(({ Index, Term, Data }) => `${Term}/${Index} ${crc32c(Data ?? nothing)}`)
  assert.deepEqual(texts(one), texts(other), `two logs that agree at ${hi} differ before it`)
}

/** Every write that a client was told of and no compaction took is in the store, as it was told. */
export function checkKept({ store }: ServiceParts, acknowledged: readonly Acknowledged[]): void {
  const { compactRevision } = store.hashKv(0)
  for (const { key, value, revision } of acknowledged) {
    if (revision < compactRevision) continue
    assert(revision <= store.revision, `${key} at ${revision} is lost, the store ends before it`)
    const [found] = store.range(Buffer.from(key), undefined, { revision }).items
    const kept = found === undefined ? undefined : found.value.toString()
    assert(kept === value, `${key} at ${revision} was ${value} and is ${kept}`)
    if (found !== undefined) assert(found.main === revision, `${key} moved to ${found.main}`)
  }
}
