// plots.ts: what chance alone brings about too seldom: a row of faults, each of which waits for
// what the one before it has set off. A plot knows the cluster from outside, and does nothing that
// could not happen by itself.
//
// It is a generator that yields the condition for going on. Conditions are looked at after every
// event, so a message that has just left can still be stopped.
import { type Message, MessageType } from '../../src/api/gen/raft.js'
import { PutRequest } from '../../src/api/gen/rpc.js'
import { requestField } from '../../src/server/proposer.js'
import type { Cluster } from './cluster.js'
import type { SimulatedMember } from './simulated-member.js'

type RandomNumber = (limit: number) => number

export type Plot = (cluster: Cluster, random: RandomNumber) => Generator<() => boolean, void>

/** A plot whose next condition does not come true in this time is given up. */
const patienceMs = 4_000
/** Long enough for a message to arrive, and for what it sets off. */
const effectMs = 150

/** All of them need five members, none of which is new. */
export const plots: readonly Plot[] = [oldEntry, lateVotes, lateAcknowledgements, lateRevocation]

/** Runs a plot step by step. */
export class Plotter {
  isOver = false
  /** To its end, that is. */
  isDone = false
  readonly #cluster: Cluster
  readonly #steps: Generator<() => boolean, void>
  #isDue: () => boolean
  #sinceMs: number
  #stepCount = 0

  constructor(plot: Plot, cluster: Cluster, random: RandomNumber) {
    this.#cluster = cluster
    this.#steps = plot(cluster, random)
    this.#sinceMs = cluster.time.now
    this.#isDue = everybodyIsThere(cluster)
  }

  /** To be called after every event. */
  look(): void {
    const { time } = this.#cluster
    while (!this.isOver && this.#isDue()) {
      this.#sinceMs = time.now
      this.#stepCount++
      const next = this.#steps.next()
      this.isDone = next.done === true
      if (next.done === true) this.#end('is over')
      else this.#isDue = next.value
    }
    const isLate = time.now - this.#sinceMs > patienceMs
    if (!this.isOver && isLate) this.#end(`is given up at its step ${this.#stepCount}`)
  }

  /** Gives up what is not over. */
  stop(): void {
    if (!this.isOver) this.#end(`takes too long, at its step ${this.#stepCount}`)
  }

  #end(how: string): void {
    const { network, members } = this.#cluster
    this.isOver = true
    this.#cluster.note(() => `plot: ${how}`)
    network.heal()
    network.releaseAll()
    for (const member of members) member.start()
  }
}

function everybodyIsThere({ members }: Cluster): () => boolean {
  return () =>
    members.every(({ running }) => running?.service.membership.agreedVersion !== undefined)
}

/**
 * An entry that a majority holds and yet may be replaced (raft figure 8). `old` leads and brings
 * entries to `pair` alone; `rival` is elected without them and keeps an entry to itself; one of
 * the first two is elected again and brings the first of the old entries to `third`, but none of
 * its own term. Whoever takes that for committed is wrong: `rival` comes back and replaces it.
 * A message must not carry more than one entry.
 */
export function* oldEntry(cluster: Cluster, random: RandomNumber): ReturnType<Plot> {
  const { network, members, time } = cluster
  const old = yield* newLeader(cluster, 0)
  const pair = pick(without(members, old), random)
  const rest = without(members, old, pair)
  const oldTerm = termOf(old)
  network.separate(ids(old, pair), ids(...rest))
  const count = 4 + random(4)
  const lastIndexMin = Math.max(...rest.map(lastIndex)) + count
  propose(old, count)
  yield () => lastIndex(old) >= lastIndexMin && lastIndex(pair) >= lastIndex(old)
  old.crash()
  const rival = yield* newLeader(cluster, oldTerm)
  const rivalTerm = termOf(rival)
  network.separate(ids(rival), ids(...without(members, rival)))
  yield () => lastTerm(rival) === rivalTerm
  const firstOld = lastIndex(rival)
  rival.crash()
  // What it has sent is on its way still.
  yield after(cluster, effectMs)
  network.heal()
  old.start()
  const again = yield* newLeader(cluster, rivalTerm)
  const third = pick(without(rest, rival), random)
  const first = again === old ? pair : old
  network.separate(ids(again), ids(...without(members, again, first, third)))
  yield () => lastIndex(third) >= firstOld && lastTerm(third) === oldTerm
  network.cutBetween(ids(again), ids(third))
  yield () => Math.min(matchOf(again, third), matchOf(again, first)) >= firstOld
  yield after(cluster, effectMs)
  again.crash()
  first.crash()
  network.heal()
  rival.start()
  const { now } = time
  yield* newLeader(cluster, rivalTerm + 1)
  yield () => time.now > now + effectMs
}

/**
 * Votes that are given to a member arrive when it asks anew, in a later term, and when others have
 * elected somebody and committed entries that it has not. It must not be asked to prove first that
 * it would win.
 */
export function* lateVotes(cluster: Cluster, random: RandomNumber): ReturnType<Plot> {
  const { network, members } = cluster
  const leader = yield* newLeader(cluster, 0)
  let isHolding = true
  const votes = network.hold(
    ({ type, reject }) => isHolding && type === MessageType.MsgVoteResp && !reject,
  )
  leader.crash()
  yield () => newestOf(votes.messages).length >= 2
  const [{ to, term: askedTerm } = { to: 0n, term: 0 }] = newestOf(votes.messages)
  const late = pick(
    members.filter(({ id }) => id === to),
    random,
  )
  isHolding = false
  network.separate(ids(late), ids(...without(members, late)))
  leader.start()
  const next = yield* newLeader(cluster, askedTerm, late)
  yield () => appliedTerm(next) >= termOf(next)
  yield () => roleOf(late) === 'candidate' && termOf(late) > termOf(next)
  votes.release()
  yield after(cluster, effectMs)
}

/**
 * Acknowledgements of entries that were replaced since arrive when the one who sent these entries
 * leads again. It can reach only `helper`, and together they are no majority.
 */
export function* lateAcknowledgements(cluster: Cluster, random: RandomNumber): ReturnType<Plot> {
  const { network, members } = cluster
  const old = yield* newLeader(cluster, 0)
  const pair = pick(without(members, old), random)
  const rest = without(members, old, pair)
  const oldTerm = termOf(old)
  network.separate(ids(old, pair), ids(...rest))
  const answers = network.hold(
    ({ type, from, term }) =>
      type === MessageType.MsgAppResp && from === pair.id && term === oldTerm,
  )
  propose(old, 100)
  yield () => lastIndex(pair) >= commitOf(old) + 100
  yield () => answers.messages.some(({ index }) => index >= lastIndex(pair))
  const next = yield* newLeader(cluster, oldTerm)
  const nextTerm = termOf(next)
  network.heal()
  yield () => lastTerm(old) === nextTerm && lastTerm(pair) === nextTerm
  next.running?.service.node.transferLeader(old.id ?? 0n)
  yield () => cluster.leader() === old && termOf(old) > nextTerm
  const helper = pick(without(rest, next), random)
  const others = without(members, old, helper)
  network.separate(ids(old), ids(...others))
  const againTerm = termOf(old)
  yield () => lastTerm(helper) === againTerm
  answers.release()
  yield after(cluster, effectMs)
  network.separate(ids(old, helper), ids(...others))
  yield* newLeader(cluster, againTerm)
  yield after(cluster, effectMs)
}

/**
 * A leader is cut off and hands over again and again, to nobody who hears it; so it takes no
 * proposals, and a lease runs out by its clock. The others have elected somebody meanwhile, and the
 * lease is renewed there. What the former leader wanted must not reach the new one.
 */
export function* lateRevocation(cluster: Cluster): ReturnType<Plot> {
  const { network, members } = cluster
  const old = yield* newLeader(cluster, 0)
  const others = without(members, old)
  const lessor = old.running?.service.lessor
  yield () => (lessor?.leases().length ?? 0) > 0
  const [lease = 0n] = lessor?.leases() ?? []
  network.separate(ids(old), ids(...others))
  const isRunOut = (): boolean => (lessor?.timeToLive(lease)?.remainingSeconds ?? 0) < 0
  for (let round = 0; round < handoversMax && !isRunOut(); round++) {
    yield* handOver(cluster, old, others[round % others.length])
  }
  // The leader looks for leases that have run out every half second.
  for (let round = 0; round < 3; round++) yield* handOver(cluster, old, others[round])
  network.heal()
  yield after(cluster, 4 * effectMs)
}

/** Leases end in 3 s at the latest. */
const handoversMax = 15

/** Less than an election timeout, after which a hand-over is given up. */
const handoverMs = 250

function* handOver(
  cluster: Cluster,
  { running }: SimulatedMember,
  to: SimulatedMember | undefined,
): ReturnType<Plot> {
  running?.service.node.transferLeader(to?.id ?? 0n)
  yield after(cluster, handoverMs)
}

/** Waits for a leader of a later term. */
function* newLeader(
  cluster: Cluster,
  afterTerm: number,
  notThis?: SimulatedMember,
): Generator<() => boolean, SimulatedMember> {
  let found: SimulatedMember | undefined
  yield () => {
    found = cluster.leader()
    return found !== undefined && found !== notThis && termOf(found) > afterTerm
  }
  if (found === undefined) throw new Error('a condition that came true is not true')
  return found
}

function after({ time }: Cluster, ms: number): () => boolean {
  const until = time.now + ms
  return () => time.now >= until
}

function pick(members: readonly SimulatedMember[], random: RandomNumber): SimulatedMember {
  const found = members[random(members.length)]
  if (found === undefined) throw new Error('nobody to choose from')
  return found
}

function without(
  members: readonly SimulatedMember[],
  ...some: readonly SimulatedMember[]
): SimulatedMember[] {
  return members.filter((member) => !some.includes(member))
}

function ids(...members: readonly SimulatedMember[]): bigint[] {
  return members.flatMap(({ id }) => id ?? [])
}

const termOf = ({ running }: SimulatedMember): number => running?.service.node.status().term ?? 0
const commitOf = ({ running }: SimulatedMember): number =>
  running?.service.node.status().commit ?? 0
const roleOf = ({ running }: SimulatedMember) => running?.service.node.status().role
const lastIndex = ({ running }: SimulatedMember): number => running?.log.lastIndex() ?? 0

function lastTerm({ running }: SimulatedMember): number {
  return running?.log.term(running.log.lastIndex()) ?? 0
}

function appliedTerm({ running }: SimulatedMember): number {
  return running?.log.term(running.service.node.applied) ?? 0
}

function matchOf({ running }: SimulatedMember, { id }: SimulatedMember): number {
  return running?.service.node.status().progress.get(id ?? 0n)?.match ?? 0
}

/** Those to the member and of the term of the last one. */
function newestOf(messages: readonly Message[]): readonly Message[] {
  const last = messages.at(-1)
  return messages.filter(({ term, to }) => term === last?.term && to === last.to)
}

/** Puts that nobody waits for, to a key that no client uses. */
function propose({ running }: SimulatedMember, count: number): void {
  for (let put = 0; put < count; put++) {
    const fields = { key: Buffer.from('plot'), value: Buffer.from(`${put}`) }
    const request = PutRequest.encode(PutRequest.fromPartial(fields)).finish()
    running?.service.proposer.propose(requestField.put, request).catch(() => {})
  }
}
