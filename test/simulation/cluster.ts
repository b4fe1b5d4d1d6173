// cluster.ts: the members of one simulated cluster, and the operator who starts those that were
// added to it.
import { EtcdError } from '../../src/api/rpc-errors.js'
import { RpcError } from '../../src/grpc/status.js'
import type { ServiceParts } from '../../src/server/rpc/parts.js'
import { SimulatedNetwork } from './network.js'
import { SimulatedMember, type Surroundings } from './simulated-member.js'
import type { VirtualTime } from './virtual-time.js'

export interface ClusterParts extends Omit<Surroundings, 'network'> {
  size: number
  /** How old a connection is from its first moment, for those who ask before members change. */
  connectionAgeMs: number
}

/** How often the operator looks who has been added. */
const operatorMs = 500
/** Members that are ever made: a removed one never comes back. */
const everMax = 9

/** With these nothing was proposed; with others nobody knows. */
const refusals: ReadonlySet<string> = new Set(['unhealthy', 'memberNotEnoughStarted', 'noSpace'])

/** No socket is ever opened for it: no host, so that whoever tries to is refused at once. */
const urlOf = (number: number): string => `http://:${number}`

export class Cluster {
  readonly time: VirtualTime
  readonly network: SimulatedNetwork
  readonly members: SimulatedMember[] = []
  readonly membersMax: number
  /** Whose removal was asked for and not refused: it may be in a log, and happen any time. */
  readonly #leaving = new Set<bigint>()
  readonly #around: Surroundings
  readonly #urls: readonly string[]
  readonly #initialCluster: string

  constructor(parts: ClusterParts) {
    const { time, random, size } = parts
    this.time = time
    this.network = new SimulatedNetwork(time, random, parts.connectionAgeMs)
    this.membersMax = size + 2
    this.#around = { ...parts, network: this.network }
    this.#urls = Array.from({ length: everMax }, (_, at) => urlOf(at + 1))
    const first = this.#urls.slice(0, size)
    this.#initialCluster = first.map((url, at) => `m${at + 1}=${url}`).join()
    for (const url of first) this.#add(url)
  }

  start(): void {
    for (const member of this.members) member.start()
    this.#operate()
  }

  /** Who leads in the newest term, as far as members know. */
  leader(): SimulatedMember | undefined {
    const leading = this.members.filter(({ running }) => running?.service.node.isLeader)
    const termOf = ({ running }: SimulatedMember): number =>
      running?.service.node.status().term ?? 0
    return leading.sort((a, b) => termOf(b) - termOf(a))[0]
  }

  /** Members that went, as far as somebody knows. */
  get removedCount(): number {
    const counts = this.members.map(({ running }) => {
      return running?.service.membership.removedIds().length ?? 0
    })
    return Math.max(...counts)
  }

  /** Of a member that never was. */
  freeUrl(): string | undefined {
    return this.#urls.find((url) => this.members.every((member) => member.url !== url))
  }

  note(line: () => string): void {
    this.#around.note(line)
  }

  /** Removes on the member asked, which may refuse. */
  remove({ reconfigurer }: ServiceParts, id: bigint): void {
    this.#leaving.add(id)
    const work = reconfigurer.remove(id).catch((error: unknown) => {
      if (error instanceof EtcdError && refusals.has(error.code)) this.#leaving.delete(id)
      throw error
    })
    tolerate(work)
  }

  /** Voters whom nobody has wished away: those who are left whatever becomes of other changes. */
  stayingVoters(): bigint[] {
    const list = this.leader()?.running?.service.membership.list() ?? []
    const staying = list.filter(({ id, isLearner }) => !isLearner && !this.#leaving.has(id))
    return staying.map(({ id }) => id)
  }

  /** Starts whoever was added and has no process yet; removes whose disk is broken. */
  operate(): void {
    const service = this.leader()?.running?.service
    const broken = this.members.find(({ isDamaged, isGone }) => isDamaged && isGone)?.id
    if (broken !== undefined && service?.membership.member(broken) !== undefined) {
      tolerate(service.reconfigurer.remove(broken))
    }
    // Those who know of somebody new may be too few to elect a leader without the new one.
    for (const { running } of this.members) this.#startAdded(running?.service)
  }

  #startAdded(service: ServiceParts | undefined): void {
    if (service === undefined) return
    const { membership } = service
    for (const { id, peerUrls } of membership.list()) {
      const [url] = peerUrls
      if (url === undefined || this.members.some((member) => member.url === url)) continue
      const { clusterId } = membership
      this.#add(url, { memberId: id, clusterId, members: membership.list() }).start()
    }
  }

  #operate(): void {
    this.time.after(operatorMs, () => {
      this.operate()
      this.#operate()
    })
  }

  #add(url: string, joined?: ConstructorParameters<typeof SimulatedMember>[2]): SimulatedMember {
    const name = `m${this.#urls.indexOf(url) + 1}`
    const own = joined === undefined ? '' : `,${name}=${url}`
    const initialCluster = `${this.#initialCluster}${own}`
    const member = new SimulatedMember({ name, url, initialCluster }, this.#around, joined)
    this.members.push(member)
    return member
  }
}

/** A refusal is an answer; anything else is a failure of the simulation. */
export function tolerate(work: Promise<unknown>): void {
  work.catch((error: unknown) => {
    if (!(error instanceof EtcdError || error instanceof RpcError)) throw error
  })
}
