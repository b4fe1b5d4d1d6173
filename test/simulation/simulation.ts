// simulation.ts: one seed, one history of a cluster. The seed decides how many members there are,
// what goes wrong and when, and what clients ask for; so it replays exactly. First everything goes
// wrong for a while, then the faults stop, and the cluster has to get on and to agree.
import assert from 'node:assert/strict'
import { Log } from '../../src/raft/log.js'
import { Checkpointer } from '../../src/server/recovery/checkpoint.js'
import type { Recovered } from '../../src/server/recovery/recover.js'
import { crc32c } from '../../src/storage/crc32c.js'
import { seededRandom } from '../support/fake-files.js'
import { Checks, checkKept } from './checks.js'
import { Client } from './client.js'
import { Cluster } from './cluster.js'
import { Nemesis } from './faults.js'
import { History } from './history.js'
import { perfectNetwork } from './network.js'
import { lateVotes, oldEntry, type Plot, Plotter, plots } from './plots.js'
import { replace } from './replace.js'
import { Tenant } from './tenant.js'
import { VirtualTime } from './virtual-time.js'
import { WatchLog } from './watch-log.js'
import { Watcher } from './watcher.js'

export interface SimulationOptions {
  /** Keeps a line an event. */
  keepTrace?: boolean
  /** Begins with this, instead of with one that the seed chooses or with none. */
  plot?: Plot
  /** Replaces parts of what a member has recovered, to show that it would be noticed. */
  bend?(recovered: Recovered): void
}

export interface SimulationResult {
  seed: number
  /** Undefined: every promise was kept. */
  failure: string | undefined
  trace: readonly string[]
  /** The same for the same seed. */
  digest: number
  figures: Record<string, number>
}

const faultsMs = 12_000
/** A plot has so much time of its own, before chance has its way. */
const plotMs = 8_000
const settleMs = 60_000
const logCheckMs = 500
/** Older lines of a trace are forgotten. */
const traceMax = 200_000

export async function simulate(
  seed: number,
  options: SimulationOptions = {},
): Promise<SimulationResult> {
  const simulation = new Simulation(seed, options)
  const putBack = [
    replace(Checkpointer.prototype, 'onApplied', countAsLarge),
    replace(Log.prototype, 'entriesFrom', (original) => {
      return function (this: Log, lo, bytesMax) {
        return original.call(this, lo, Math.min(bytesMax, simulation.messageBytesMax))
      }
    }),
  ]
  try {
    return await simulation.run()
  } finally {
    for (const each of putBack.reverse()) each()
  }
}

/**
 * Members write a checkpoint when it is due by the number of entries and by their size. Those of a
 * simulation are small, so each batch counts for as large as it takes.
 */
function countAsLarge(original: Checkpointer['onApplied']): Checkpointer['onApplied'] {
  return function (this: Checkpointer, entries) {
    const [first] = entries
    original.call(this, first === undefined ? [] : [...entries, { ...first, Data: large }])
  }
}

const large = Buffer.alloc(16 * 1024 * 1024)

class Simulation {
  readonly #seed: number
  readonly #time = new VirtualTime()
  readonly #random: (limit: number) => number
  readonly #checks = new Checks()
  readonly #history = new History()
  readonly #cluster: Cluster
  /** Members of the beginning. */
  readonly #size: number
  readonly #clients: Client[]
  readonly #tenants: Tenant[]
  readonly #watchers: Watcher[]
  readonly #watchLog = new WatchLog()
  readonly #trace: string[] = []
  readonly #keepTrace: boolean
  /** Entries of an append; 1: a single one, as if each were as large as a message may be. */
  readonly messageBytesMax: number
  readonly #plot: Plot | undefined
  #plotter: Plotter | undefined
  #isSettling = false
  #failure: Error | undefined
  #digest = 0

  constructor(seed: number, { keepTrace = false, plot, bend = () => {} }: SimulationOptions) {
    this.#seed = seed
    this.#random = seededRandom(seed)
    this.#keepTrace = keepTrace
    const random = this.#random
    const chosen = random(4) === 0 ? plots[random(plots.length)] : undefined
    this.#plot = plot ?? chosen
    const isSingle = this.#plot === oldEntry || random(3) === 0
    this.messageBytesMax = isSingle ? 1 : Number.POSITIVE_INFINITY
    this.#size = this.#plot !== undefined || random(3) === 0 ? 5 : 3
    this.#cluster = new Cluster({
      time: this.#time,
      random,
      size: this.#size,
      note: (line) => this.#note(line),
      onFailure: ({ name }, error) => {
        this.#failure ??= new Error(`${name} cannot go on: ${error.stack}`)
      },
      bend,
      snapshotCatchupEntries: [3, 10, 50][random(3)] ?? 10,
      preVote: this.#plot !== lateVotes && random(3) > 0,
      segmentBytes: [2_000, 10_000, 64_000_000][random(3)] ?? 2_000,
      snapshotCount: [10, 40, 10_000][random(3)] ?? 40,
      connectionAgeMs: [0, 5_000][random(2)] ?? 0,
    })
    const { network, members } = this.#cluster
    network.onSend = (message) => this.#checks.onSend(message)
    const keys = ['a', 'b', 'c', 'd'].slice(0, 1 + random(4))
    const valueBytes = [0, 600][random(2)] ?? 0
    this.#clients = Array.from({ length: 2 + random(4) }, (_, at) => {
      const parts = { time: this.#time, random, history: this.#history, keys, valueBytes }
      const note = (line: () => string) => this.#note(line)
      return new Client({ ...parts, name: `c${at + 1}`, members: () => members, note })
    })
    const beside = { time: this.#time, random, members: () => members }
    const note = (line: () => string) => this.#note(line)
    this.#tenants = Array.from({ length: 1 + random(2) }, (_, at) => {
      return new Tenant({ ...beside, note, name: `t${at + 1}` })
    })
    const watched = [undefined, undefined, keys[0]].slice(0, 1 + random(3))
    this.#watchers = watched.map((key, at) => {
      return new Watcher({ ...beside, note, name: `w${at + 1}`, key, log: this.#watchLog })
    })
    this.#time.onEvent = () => {
      this.#checks.check(members)
      this.#plotter?.look()
    }
  }

  async run(): Promise<SimulationResult> {
    let failure: Error | undefined
    try {
      await this.#disturb()
      await this.#settle()
      this.#checkEnd()
    } catch (error) {
      failure = error as Error
    }
    failure = this.#failure ?? failure
    const figures = this.#figures()
    for (const member of this.#cluster.members) member.crash()
    return {
      seed: this.#seed,
      failure: failure && `${failure.message}\n${failure.stack}`,
      trace: this.#trace,
      digest: this.#digest,
      figures,
    }
  }

  async #disturb(): Promise<void> {
    this.#cluster.start()
    for (const each of [...this.#clients, ...this.#tenants, ...this.#watchers]) each.start()
    await this.#runPlot()
    const nemesis = new Nemesis(this.#cluster, this.#random)
    this.#checks.onLeader = () => nemesis.onLeader()
    this.#checks.onVote = (from) => nemesis.onVote(from)
    nemesis.start()
    await this.#runUntil(this.#time.now + faultsMs)
    nemesis.isStopped = true
  }

  async #runPlot(): Promise<void> {
    if (this.#plot === undefined) return
    this.#note(() => `plot: ${this.#plot?.name}`)
    const plotter = new Plotter(this.#plot, this.#cluster, this.#random)
    this.#plotter = plotter
    await this.#runUntil(plotMs, () => plotter.isOver)
    plotter.stop()
  }

  /** Everything works again, so every client must get on, and all members reach the same. */
  async #settle(): Promise<void> {
    this.#note(() => 'the faults are over')
    const { network, members } = this.#cluster
    this.#isSettling = true
    network.heal()
    network.releaseAll()
    network.conditions = perfectNetwork
    for (const member of members) {
      member.resume()
      member.syncMs = 1
      member.crashesInSync = false
      if (!member.files.hasPower) member.crash()
      member.files.powerFailsAfter(Number.POSITIVE_INFINITY)
      member.files.spaceBytes = Number.POSITIVE_INFINITY
    }
    const before = this.#clients.map(({ answeredWrites }) => answeredWrites)
    const hasProgress = (): boolean =>
      this.#clients.every(({ answeredWrites }, at) => answeredWrites > (before[at] ?? 0) + 3)
    const until = this.#time.now + settleMs
    await this.#runUntil(until, hasProgress)
    assert(hasProgress(), `no progress after the faults:\n${this.#describe()}`)
    for (const each of [...this.#clients, ...this.#tenants]) each.isStopped = true
    await this.#runUntil(until + settleMs, () => this.#isSettled())
    assert(this.#isSettled(), `members do not come together:\n${this.#describe()}`)
  }

  async #runUntil(ms: number, isDone: () => boolean = () => false): Promise<void> {
    while (this.#time.now < ms && !isDone()) {
      const next = Math.min(ms, this.#time.now + logCheckMs)
      await this.#time.runUntil(next, () => this.#failure !== undefined || isDone())
      if (this.#failure !== undefined) throw this.#failure
      this.#checks.checkLogs(this.#cluster.members)
      this.#mix(this.#time.eventCount)
      if (this.#isSettling) for (const member of this.#cluster.members) member.start()
    }
  }

  /**
   * All who belong to the cluster run, and have applied everything; no lease is left, and watchers
   * know it all.
   */
  #isSettled(): boolean {
    const { appliedIndex } = this.#checks
    const leader = this.#cluster.leader()?.running?.service
    if (leader === undefined) return false
    const isDone = ({ id }: { id: bigint }): boolean => {
      const service = this.#cluster.members.find((each) => each.id === id)?.running?.service
      return service?.node.applied === appliedIndex && service.lessor.size === 0
    }
    const { membership, store } = leader
    return (
      membership.list().every(isDone) &&
      this.#tenants.every(({ isIdle }) => isIdle) &&
      this.#watchers.every((watcher) => watcher.isCurrent(store.revision))
    )
  }

  #checkEnd(): void {
    this.#checks.checkLogs(this.#cluster.members)
    const leader = this.#cluster.leader()?.running?.service
    assert(leader !== undefined)
    checkKept(leader, this.#history.acknowledged)
    this.#history.check()
    this.#watchLog.check(this.#history.acknowledged)
  }

  #describe(): string {
    return this.#cluster.members
      .map(({ name, isDown, isGone, running }) => {
        const { node, membership } = running?.service ?? {}
        const status = node?.status()
        const raft =
          status &&
          `${status.role} of ${status.term}, commit ${status.commit}, applied ${status.applied}`
        const list = membership?.list().map(({ id, isLearner }) => `${id}${isLearner ? '?' : ''}`)
        const state = isGone ? 'gone' : isDown ? 'down' : raft
        const leases = running?.service.lessor.size ?? 0
        return `  ${name} ${state} ${list?.join() ?? ''}, ${leases} leases`
      })
      .join('\n')
  }

  #figures(): Record<string, number> {
    const { answered, unanswered, undecided } = this.#history.counts
    const { sent, lost, snapshots } = this.#cluster.network.counts
    const { leaders, hashes } = this.#checks.counts
    const tenants = sumOf(this.#tenants.map(({ counts }) => counts))
    const watchers = sumOf(this.#watchers.map(({ counts }) => counts))
    return {
      happened: this.#time.eventCount,
      virtualMs: Math.round(this.#time.now),
      members: this.#cluster.members.length,
      added: this.#cluster.members.length - this.#size,
      removed: this.#cluster.removedCount,
      applied: this.#checks.appliedIndex,
      leaders,
      hashes,
      answered,
      unanswered,
      undecided,
      sent,
      lost,
      snapshots,
      plots: this.#plotter?.isDone === true ? 1 : 0,
      damaged: this.#cluster.members.filter(({ isDamaged }) => isDamaged).length,
      ...sumOf(this.#cluster.members.map(({ counts }) => counts)),
      ...tenants,
      ...watchers,
    }
  }

  #note(line: () => string): void {
    if (!this.#keepTrace) return
    if (this.#trace.length >= traceMax) this.#trace.shift()
    this.#trace.push(`${this.#time.now.toFixed(0).padStart(6)} ${line()}`)
  }

  #mix(value: number): void {
    this.#digest = crc32c(
      Buffer.from(`${value} ${this.#time.now} ${this.#checks.appliedIndex}`),
      this.#digest,
    )
  }
}

function sumOf<Name extends string>(all: readonly Record<Name, number>[]): Record<string, number> {
  const sums: Record<string, number> = {}
  for (const counts of all) {
    for (const [name, count] of Object.entries<number>(counts)) {
      sums[name] = (sums[name] ?? 0) + count
    }
  }
  return sums
}
