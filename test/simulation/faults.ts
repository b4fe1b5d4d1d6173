// faults.ts: what goes wrong, and what operators do meanwhile. Each of these is a thing that the
// design promises to survive, in any order and at any moment.
import { type Message, MessageType } from '../../src/api/gen/raft.js'
import { type Cluster, tolerate } from './cluster.js'
import type { NetworkConditions } from './network.js'
import type { SimulatedMember } from './simulated-member.js'

type RandomNumber = (limit: number) => number

interface Fault {
  readonly name: string
  /** How often it happens, compared with the others. */
  readonly weight: number
  happen(cluster: Cluster, random: RandomNumber): void
}

/** Faults that a seed has or has not, so that rare pairs of them are not always disturbed. */
const faults: readonly Fault[] = [
  { name: 'partition', weight: 4, happen: partition },
  { name: 'one way', weight: 3, happen: cutOneWay },
  { name: 'alone', weight: 3, happen: isolateLeader },
  { name: 'heal', weight: 5, happen: ({ network }) => network.heal() },
  { name: 'crash', weight: 5, happen: crashOne },
  { name: 'crash in a sync', weight: 4, happen: crashInSync },
  { name: 'leader crash', weight: 4, happen: (cluster) => cluster.leader()?.crash() },
  {
    name: 'all crash',
    weight: 1,
    happen: ({ members }) => crashAll(members),
  },
  { name: 'power', weight: 4, happen: failPower },
  { name: 'start', weight: 10, happen: ({ members }) => startAll(members) },
  { name: 'stop', weight: 3, happen: (cluster, random) => one(cluster, random)?.stop() },
  { name: 'pause', weight: 4, happen: pauseOne },
  { name: 'slow disk', weight: 3, happen: slowDisk },
  { name: 'transfer', weight: 4, happen: transfer },
  { name: 'members', weight: 6, happen: changeMembers },
  { name: 'hold', weight: 3, happen: holdMessages },
  { name: 'full disk', weight: 3, happen: fillDisk },
  { name: 'damage', weight: 1, happen: damageOne },
  { name: 'network', weight: 3, happen: ({ network }, random) => setNetwork(network, random) },
]

/** The share of faults that a seed leaves out. */
const leftOutPercent = 25

/** Lets one fault after the other happen, until stopped. */
export class Nemesis {
  readonly #cluster: Cluster
  readonly #random: RandomNumber
  readonly #lot: Fault[]
  readonly #pauseMs: number
  /** Leaders go down when they have hardly begun, voters when they have just voted. */
  readonly #isCruel: boolean
  isStopped = false

  constructor(cluster: Cluster, random: RandomNumber) {
    this.#cluster = cluster
    this.#random = random
    this.#pauseMs = 50 + random(1_500)
    this.#isCruel = random(4) === 0
    const chosen = faults.filter(({ name }) => name === 'start' || random(100) >= leftOutPercent)
    this.#lot = chosen.flatMap((fault) => Array.from({ length: fault.weight }, () => fault))
    setNetwork(cluster.network, random)
    if (this.#isCruel) cluster.network.conditions = this.#cruelNetwork()
  }

  start(): void {
    const delayMs = this.#random(2 * this.#pauseMs)
    this.#cluster.time.after(delayMs, () => {
      if (this.isStopped) return
      const fault = this.#lot[this.#random(this.#lot.length)]
      this.#cluster.note(() => `fault: ${fault?.name}`)
      fault?.happen(this.#cluster, this.#random)
      this.start()
    })
  }

  /** Somebody new leads. */
  onLeader(): void {
    if (!this.#isCruel || this.isStopped || this.#random(4) === 0) return
    const { time, network } = this.#cluster
    time.after(this.#random(8 * network.conditions.delayMs), () => {
      if (!this.isStopped) endReign(this.#cluster, this.#random)
    })
  }

  /** A vote is on its way. */
  onVote(from: bigint): void {
    if (!this.#isCruel || this.isStopped || this.#random(3) > 0) return
    const { time, members } = this.#cluster
    const voter = members.find(({ id }) => id === from)
    time.after(1, () => voter?.crash())
    time.after(2 + this.#random(50), () => voter?.start())
  }

  /** Answers of one term often arrive in the next. */
  #cruelNetwork(): NetworkConditions {
    const delayMs = [5, 10, 30][this.#random(3)] ?? 5
    return { delayMs, lossPercent: 2, repeatPercent: 2, latePercent: 25 }
  }
}

/** Whoever leads goes down, or is cut off, a few messages after it was elected. */
function endReign(cluster: Cluster, random: RandomNumber): void {
  const { time, network } = cluster
  const leader = cluster.leader()
  cluster.note(() => `fault: the reign of ${leader?.name} ends`)
  if (random(2) === 0) leader?.crash()
  else isolateLeader(cluster)
  time.after(100 + random(1_500), () => {
    leader?.start()
    if (random(2) === 0) network.heal()
  })
}

function setNetwork(network: { conditions: NetworkConditions }, random: RandomNumber): void {
  const pick = (...values: number[]): number => values[random(values.length)] ?? 0
  network.conditions = {
    delayMs: pick(1, 2, 5, 10, 30),
    lossPercent: pick(0, 0, 2, 10, 25),
    repeatPercent: pick(0, 2, 10),
    latePercent: pick(0, 1, 5, 25),
  }
}

function one({ members }: Cluster, random: RandomNumber): SimulatedMember | undefined {
  const up = members.filter(({ isDown }) => !isDown)
  return up[random(up.length)]
}

function crashOne(cluster: Cluster, random: RandomNumber): void {
  one(cluster, random)?.crash()
}

function crashInSync(cluster: Cluster, random: RandomNumber): void {
  const member = one(cluster, random)
  if (member !== undefined) member.crashesInSync = true
}

function crashAll(members: readonly SimulatedMember[]): void {
  for (const member of members) member.crash()
}

function startAll(members: readonly SimulatedMember[]): void {
  for (const member of members) member.start()
}

/** Some of the changes that are under way reach the disk, the next one in part. */
function failPower(cluster: Cluster, random: RandomNumber): void {
  const member = one(cluster, random)
  // Once it is off, only a crash lets it come back.
  if (member?.files.hasPower === true) member.files.powerFailsAfter(random(25))
  if (random(2) === 0) member?.stop()
}

function pauseOne(cluster: Cluster, random: RandomNumber): void {
  const member = random(2) === 0 ? cluster.leader() : one(cluster, random)
  member?.pause(200 + random(3_000))
}

function slowDisk(cluster: Cluster, random: RandomNumber): void {
  const member = one(cluster, random)
  if (member !== undefined) member.syncMs = [1, 5, 50, 200][random(4)] ?? 1
}

const answerTypes: ReadonlySet<MessageType> = new Set([
  MessageType.MsgVoteResp,
  MessageType.MsgAppResp,
  MessageType.MsgHeartbeatResp,
])

/** Some messages, or some answers, arrive when nobody expects them any more. */
function holdMessages({ network, time }: Cluster, random: RandomNumber): void {
  const percent = 20 + random(60)
  const isAnswersOnly = random(2) === 0
  const held = network.hold(({ type }: Message) => {
    return (!isAnswersOnly || answerTypes.has(type)) && random(100) < percent
  })
  time.after(200 + random(3_000), () => held.release())
}

/** Room for a few writes more, or for a part of the next one. */
function fillDisk(cluster: Cluster, random: RandomNumber): void {
  const files = one(cluster, random)?.files
  if (files === undefined) return
  files.spaceBytes = random(2) * random(4_000)
  cluster.time.after(200 + random(4_000), () => {
    files.spaceBytes = Number.POSITIVE_INFINITY
  })
}

/** Once in a history, and of three voters at least, whatever removals are under way. */
function damageOne(cluster: Cluster, random: RandomNumber): void {
  if (cluster.members.some(({ isDamaged }) => isDamaged)) return
  if (cluster.stayingVoters().length < 3) return
  one(cluster, random)?.damage()
}

function partition({ members, network }: Cluster, random: RandomNumber): void {
  network.heal()
  const sides = members.map(() => random(2))
  members.forEach(({ id: from }, a) => {
    members.forEach(({ id: to }, b) => {
      if (from !== undefined && to !== undefined && sides[a] !== sides[b]) network.cut(from, to)
    })
  })
}

function cutOneWay({ members, network }: Cluster, random: RandomNumber): void {
  const from = members[random(members.length)]?.id
  const isAllCut = random(2) === 0
  for (const { id: to } of members) {
    if (from === undefined || to === undefined || from === to) continue
    if (isAllCut || random(2) === 0) network.cut(from, to)
  }
}

function isolateLeader(cluster: Cluster): void {
  const leader = cluster.leader()?.id
  for (const { id } of cluster.members) {
    if (leader === undefined || id === undefined || id === leader) continue
    cluster.network.cut(leader, id)
    cluster.network.cut(id, leader)
  }
}

function transfer(cluster: Cluster, random: RandomNumber): void {
  const service = cluster.leader()?.running?.service
  const members = service?.membership.list() ?? []
  const to = members[random(members.length)]?.id
  if (service === undefined || to === undefined) return
  tolerate(service.handOver(to))
}

/** Adds, removes or promotes somebody, on any member; what may not be is refused. */
function changeMembers(cluster: Cluster, random: RandomNumber): void {
  const service = one(cluster, random)?.running?.service
  if (service === undefined) return
  const { reconfigurer, membership, node, memberId } = service
  const list = membership.list()
  const someone = list[random(list.length)]?.id
  const learner = list.find(({ isLearner }) => isLearner)?.id
  // Whoever takes away a sound member next to a broken one has no majority in the end.
  const hasBroken = cluster.members.some(({ isDamaged, id = 0n }) => {
    return isDamaged && !membership.isRemoved(id)
  })
  const dice = random(3)
  const url = cluster.freeUrl()
  if (learner !== undefined && node.leader === memberId && random(2) === 0) {
    tolerate(reconfigurer.promote(learner))
  } else if (dice > 0 && url !== undefined && list.length < cluster.membersMax) {
    tolerate(reconfigurer.add([url], random(2) === 0))
  } else if (dice === 0 && someone !== undefined && list.length > 3 && !hasBroken) {
    cluster.remove(service, someone)
  }
}
