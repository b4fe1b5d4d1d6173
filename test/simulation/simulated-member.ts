// simulated-member.ts: one member of a simulated cluster: the real server without its client port,
// on a disk, a clock and a network of the simulation. It can crash at any moment, and starts again
// from what its disk has kept.
import type { Entry, HardState } from '../../src/api/gen/raft.js'
import type { Log } from '../../src/platform/log.js'
import type { Random } from '../../src/platform/random.js'
import { describeEntry, describeHardState } from '../../src/raft/describe.js'
import type { MemoryStorage } from '../../src/raft/storage.js'
import { newTokens } from '../../src/server/auth-tokens.js'
import { type ServerConfig, serverConfig } from '../../src/server/config.js'
import { Member } from '../../src/server/member.js'
import type { Joined } from '../../src/server/membership/join.js'
import { emptyState } from '../../src/server/recovery/empty-state.js'
import { type Recovered, recoverMember } from '../../src/server/recovery/recover.js'
import type { ServiceParts } from '../../src/server/rpc/parts.js'
import { openDataDir } from '../../src/storage/data-dir.js'
import { CorruptionError } from '../../src/storage/errors.js'
import { FakeFiles } from '../support/fake-files.js'
import { lastRecord, type Place, spoil } from './damage.js'
import type { SimulatedNetwork } from './network.js'
import { wrapped } from './replace.js'
import { clockOf, Life, type VirtualTime } from './virtual-time.js'

type RandomNumber = (limit: number) => number

/** What a member works with. */
export interface Surroundings {
  time: VirtualTime
  network: SimulatedNetwork
  random: RandomNumber
  note(line: () => string): void
  /** A member that could not go on, for a reason that no fault of the simulation explains. */
  onFailure(member: SimulatedMember, error: Error): void
  /** Replaces parts of what a member recovers, to show that the checks find what is broken. */
  bend(recovered: Recovered): void
  /** Entries that members keep for those who lag; a small number makes for many snapshots. */
  snapshotCatchupEntries: number
  preVote: boolean
  /** Entries between two checkpoints. */
  snapshotCount: number
  /** When a file of the log is full. */
  segmentBytes: number
}

/** What runs between a start and a crash. */
export interface Running {
  readonly life: Life
  readonly member: Member
  readonly service: ServiceParts
  readonly log: MemoryStorage
  readonly snapshotIndex: number
  /** What the state contained from the start: a stopped checkpoint may be ahead of the snapshot. */
  readonly consistentIndex: number
  /** Above the applied index: a snapshot is taking the place of the state. */
  installing: number
}

export class SimulatedMember {
  readonly name: string
  readonly url: string
  readonly files: FakeFiles
  /** How long the disk takes to sync, and up to as much again. */
  syncMs = 1
  /** It goes down the next time when something is on its way to the disk. */
  crashesInSync = false
  running: Running | undefined
  /** Its id once it is known. */
  id: bigint | undefined
  /** It was removed from the cluster and has noticed it, or its disk is broken. */
  isGone = false
  /** Its log was damaged while it was down. */
  isDamaged = false
  readonly counts = { rolls: 0, waitsForRoom: 0, repairs: 0 }
  readonly #around: Surroundings
  readonly #config: ServerConfig
  readonly #joined: Joined | undefined
  #life: Life | undefined
  #isStopping = false

  /** `initialCluster` names all members of a new cluster; `joined` says that there is one. */
  constructor(
    place: { name: string; url: string; initialCluster: string },
    around: Surroundings,
    joined?: Joined,
  ) {
    this.name = place.name
    this.url = place.url
    this.#around = around
    this.#joined = joined
    this.id = joined?.memberId
    this.files = new FakeFiles({ random: around.random })
    this.#config = serverConfig({
      name: place.name,
      dataDir: '/data',
      initialAdvertisePeerUrls: [place.url],
      listenPeerUrls: [place.url],
      initialCluster: place.initialCluster,
      initialClusterState: joined === undefined ? 'new' : 'existing',
      heartbeatIntervalMs: 50,
      electionTimeoutMs: 500,
      snapshotCatchupEntries: around.snapshotCatchupEntries,
      preVote: around.preVote,
      snapshotCount: around.snapshotCount,
    })
  }

  get isDown(): boolean {
    return this.#life === undefined
  }

  /** Begins to start; it runs once its disk has been read. */
  start(): void {
    if (this.#life !== undefined || this.isGone) return
    const life = new Life(this.#around.time, this.#around.random)
    this.#life = life
    this.#note(() => 'starts')
    this.#start(life).catch((error: Error) => this.#onError(life, error))
  }

  /** Everything stops at once, and the disk forgets what was not synced, or some of it. */
  crash(): void {
    const life = this.#life
    if (life === undefined) return
    this.#note(() => 'crashes')
    this.crashesInSync = false
    this.#end(life)
    this.files.crash()
  }

  /** As an operator stops it: it hands over, and writes a checkpoint. */
  stop(): void {
    const { running } = this
    const life = this.#life
    if (running === undefined || life === undefined || this.#isStopping) return
    this.#note(() => 'stops')
    this.#isStopping = true
    running.member.close().then(
      () => this.#end(life),
      (error: Error) => this.#onError(life, error),
    )
  }

  /** It goes down, and its log is damaged. Nobody notices before it starts. */
  damage(): void {
    this.crash()
    lastRecord(this.files)
      .then(async (place) => {
        if (place === undefined) return
        this.#note(() => `has a bad disk: ${place.file} at ${place.start}`)
        this.isDamaged = true
        await this.spoil(place)
      })
      .catch((error: Error) => this.#around.onFailure(this, error))
  }

  async spoil(place: Place): Promise<void> {
    await spoil(this.files, place)
  }

  pause(forMs: number): void {
    this.#note(() => `pauses for ${forMs} ms`)
    this.#life?.pause(forMs)
  }

  resume(): void {
    this.#life?.resume()
  }

  #end(life: Life): void {
    if (this.#life !== life) return
    this.#life = undefined
    this.running = undefined
    this.#isStopping = false
    life.end()
  }

  async #start(life: Life): Promise<void> {
    const { time, network, bend } = this.#around
    const clock = clockOf(life, time)
    const log = this.#logger()
    this.files.onSync = () => {
      const delayMs = this.syncMs + this.#around.random(this.syncMs + 1)
      if (this.crashesInSync) life.after(Math.floor(delayMs / 2), () => this.crash())
      return new Promise((resolve) => void life.after(delayMs, resolve))
    }
    const { files } = this
    const platform = { files, clock, random: seededBytes(this.#around.random), log }
    const tokens = await newTokens(this.#config, platform)
    const parts = { ...platform, tokens }
    const newState = (clusterId: bigint) => emptyState(this.#config, clusterId, parts)
    const owner = { identity: this.name, isAlive: async () => false }
    const dataDir = await openDataDir('/data', { files, log, owner })
    const join = async () => this.#joined
    const recovered = await recoverMember(this.#config, dataDir, newState, {
      files,
      log,
      join,
      segmentBytes: this.#around.segmentBytes,
    })
    if (this.isDamaged) throw new Error('a log that is damaged was taken for a sound one')
    this.id = recovered.memberId
    bend(recovered)
    const running = this.#watched(life, recovered)
    const member = new Member(this.#config, recovered, platform, {
      newTransport: (handlers) => network.attach(recovered.memberId, life, handlers),
      ask: {},
    })
    this.running = Object.assign(running, { member, service: member.service })
    member.failed.then((error) => this.#onError(life, error))
    member.start([this.url])
    this.#note(() => `runs, snapshot ${recovered.snapshotIndex}, log ${recovered.log.lastIndex()}`)
  }

  /** Sees when a snapshot from a leader begins to take the place of the state. */
  #watched(life: Life, recovered: Recovered): Omit<Running, 'member' | 'service'> {
    const { wal, log, snapshotIndex } = recovered
    const consistentIndex = recovered.consistent.index
    const running = { life, log, snapshotIndex, consistentIndex, installing: 0 }
    recovered.wal = wrapped(wal, {
      save: (hardState, entries, sync) => {
        this.#note(() => `saves ${saved(hardState, entries)}`)
        return wal.save(hardState, entries, sync)
      },
      saveSnapshot: (snapshot) => {
        running.installing = Math.max(running.installing, snapshot.index)
        this.#note(() => `saves snapshot ${snapshot.term}/${snapshot.index}`)
        return wal.saveSnapshot(snapshot)
      },
    })
    return running
  }

  #onError(life: Life, error: Error): void {
    if (life.isOver) return
    this.#note(() => `fails: ${error.message}`)
    const isRemoved = /permanently removed/.test(error.message)
    const isBroken = this.isDamaged && error instanceof CorruptionError
    if (isRemoved || isBroken) this.isGone = true
    else if (this.files.hasPower && !this.#isShortOfSpace(error)) {
      this.#around.onFailure(this, error)
    }
    this.#end(life)
    this.files.crash()
  }

  /** With a full disk it may run, but neither start nor write its last checkpoint. */
  #isShortOfSpace(error: Error): boolean {
    const mayBe = this.running === undefined || this.#isStopping
    const causes = [error, error.cause] as (NodeJS.ErrnoException | undefined)[]
    return mayBe && causes.some((each) => each?.code === 'ENOSPC')
  }

  #note(line: () => string): void {
    this.#around.note(() => `${this.name} ${line()}`)
  }

  #logger(): Log {
    const line = (text: string, fields: unknown): void => {
      const name = countedLines[text]
      if (name !== undefined) this.counts[name]++
      if (process.env.SIM_LOG !== undefined) this.#note(() => `  ${text} ${asText(fields)}`)
    }
    return { debug: line, info: line, warn: line, error: line }
  }
}

/** What only the log of a member tells. */
const countedLines: Readonly<Record<string, 'rolls' | 'waitsForRoom' | 'repairs'>> = {
  'created a new WAL segment': 'rolls',
  'no space left for the log; waiting for room': 'waitsForRoom',
  'repairing WAL: the last write was cut short': 'repairs',
}

const asText = (fields: unknown): string =>
  JSON.stringify(fields, (_, value) => (typeof value === 'bigint' ? String(value) : value))

function saved(hardState: HardState | undefined, entries: readonly Entry[]): string {
  const state = hardState === undefined ? '' : describeHardState(hardState)
  return [state, ...entries.map(describeEntry)].join(' ')
}

function seededBytes(random: RandomNumber): Random {
  return {
    below: random,
    bytes: (count) => Buffer.from(Array.from({ length: count }, () => random(256))),
  }
}
