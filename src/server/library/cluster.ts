// cluster.ts: a cluster inside a program: several members, each with its own directory and
// ports, that talk to each other over loopback as members on three machines would.
//
//     await using cluster = await startCluster({ size: 3 })
//     const leader = await cluster.leader()
//     await leader.kill()                                  // the others elect another one
//     await leader.start()
//     cluster.partition([cluster.members[0]])              // alone; heal() ends it
//
// Data lie in a temporary directory, unless another is given, and go with the cluster. Members do
// not keep the process alive; what a program waits for does.
import { existsSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import type { Etcd3, IOptions } from 'etcd3'
import { systemClock } from '../../platform/clock.js'
import { systemFiles } from '../../platform/files.js'
import { type LogLevel, lineLog, silentLog } from '../../platform/log.js'
import { systemRandom } from '../../platform/random.js'
import { type ServerConfig, serverConfig } from '../config.js'
import type { Platform } from '../platform.js'
import { type Server, startServer } from '../server.js'
import { Clients } from './client.js'
import { Ending } from './ending.js'
import { forgetPorts, keepPorts, keptPorts } from './kept-ports.js'
import { freePorts, isPortTaken } from './ports.js'
import { noteRunning, startedBy } from './unstopped.js'

export interface ClusterOptions {
  /** Default: 3, or as many as `dir` holds. */
  size?: number
  /** Where members keep their data, to come back with. Default: a temporary directory. */
  dir?: string
  /** Where log lines go, from this level on. Default: nowhere. */
  log?: { level: LogLevel; write(line: string): void }
  /** Other settings of every member, by the names of etcd's flags in camel case. */
  config?: Partial<ServerConfig>
}

export interface ClusterMember {
  readonly name: string
  /** http://127.0.0.1:PORT; the same after a restart. */
  readonly endpoint: string
  /** Undefined until it has started for the first time. */
  readonly id: bigint | undefined
  readonly isRunning: boolean
  /** With what it has on disk. Resolves when it serves, which takes a majority of members. */
  start(): Promise<void>
  /** Hands over if it leads, and saves its state. */
  stop(): Promise<void>
  /** Without a word to anybody: connections break, and what is not in the log is not saved. */
  kill(): Promise<void>
}

export interface RunningCluster {
  readonly members: readonly ClusterMember[]
  readonly endpoints: readonly string[]
  /** Variables for a program that is started with this cluster. */
  env(): Record<string, string>
  /** A client of the package etcd3 that knows all members; it is closed with the cluster. */
  client(options?: Partial<IOptions>): Promise<Etcd3>
  /** The one that a majority follows; waits until there is one. @throws Error after 20 s */
  leader(): Promise<ClusterMember>
  /** Resolves when it leads. @throws Error after 20 s */
  moveLeader(to: ClusterMember): Promise<void>
  /** Members reach each other only within their group; whom nobody names are a group too. */
  partition(...groups: readonly (readonly ClusterMember[])[]): void
  heal(): void
  stop(): Promise<void>
  [Symbol.asyncDispose](): Promise<void>
}

/** All members serve when this resolves. @throws ConfigError, and what listening throws */
export function startCluster(options: ClusterOptions = {}): Promise<RunningCluster> {
  return startClusterOn(freePorts, options)
}

/** A port is somebody else's by bad luck; so often only for another reason. */
const attemptsMax = 5

/** @param portsOf as many ports as it is asked for, and others when it is asked again */
export async function startClusterOn(
  portsOf: (count: number) => Promise<number[]>,
  options: ClusterOptions,
): Promise<RunningCluster> {
  const by = startedBy()
  const kept = options.dir === undefined ? undefined : await keptPorts(options.dir)
  const { size = kept?.length ?? 3 } = options
  if (!Number.isInteger(size) || size < 1) throw new TypeError(`a cluster of ${size} members`)
  if (kept !== undefined && kept.length !== size) {
    throw new Error(`${options.dir} holds a cluster of ${kept.length} members, not of ${size}`)
  }
  for (let attempt = 1; ; attempt++) {
    const ports = await portsOf(kept === undefined ? 2 * size : size)
    const client = ports.slice(0, size)
    const peer = kept ?? ports.slice(size)
    try {
      const cluster = await started(options, { client, peer })
      noteRunning(cluster, { port: client[0] ?? 0, startedBy: by })
      return cluster
    } catch (error) {
      if (!isPortTaken(error) || attempt === attemptsMax) throw error
    }
  }
}

/** One of each for every member. */
interface Ports {
  client: readonly number[]
  peer: readonly number[]
}

/** A start that fails leaves no data behind. */
async function started(options: ClusterOptions, { client, peer }: Ports): Promise<Cluster> {
  const parent = options.dir ?? (await mkdtemp(path.join(tmpdir(), 'tsctl-cluster-')))
  const names = peer.map((_, at) => `member-${at + 1}`)
  const peerUrl = (at: number) => `http://127.0.0.1:${peer[at]}`
  const initialCluster = names.map((name, at) => `${name}=${peerUrl(at)}`).join(',')
  const platform = platformOf(options)
  const members = names.map((name, at) => {
    const config = serverConfig({
      ...fast,
      ...options.config,
      name,
      dataDir: path.join(parent, name),
      listenClientUrls: [`http://127.0.0.1:${client[at]}`],
      listenPeerUrls: [peerUrl(at)],
      initialAdvertisePeerUrls: [peerUrl(at)],
      initialCluster,
    })
    return new Member(config, platform)
  })
  const cluster = new Cluster(members, options.dir === undefined ? parent : undefined)
  const newDirs = names.map((name) => path.join(parent, name)).filter((dir) => !existsSync(dir))
  try {
    if (options.dir !== undefined) await keepPorts(parent, peer)
    await Promise.all(members.map((member) => member.start()))
  } catch (error) {
    await cluster.stop()
    for (const dir of newDirs) await rm(dir, { recursive: true, force: true })
    if (newDirs.length === names.length) await forgetPorts(parent)
    throw error
  }
  return cluster
}

/** Elections in half a second, and nothing that has to outlive the machine. */
const fast: Partial<ServerConfig> = {
  heartbeatIntervalMs: 50,
  electionTimeoutMs: 500,
  unsafeNoFsync: true,
  bcryptCost: 4,
}

class Member implements ClusterMember {
  readonly name: string
  readonly endpoint: string
  id: bigint | undefined
  server: Server | undefined
  /** Set by the cluster: tells the transport of a new server who is cut off. */
  onStarted: () => void = () => {}
  readonly #config: ServerConfig
  readonly #platform: Platform
  #starting: AbortController | undefined
  /** One thing after the other, in the order asked for. */
  #last: Promise<void> = Promise.resolve()

  constructor(config: ServerConfig, platform: Platform) {
    this.name = config.name
    this.endpoint = config.listenClientUrls[0] ?? ''
    this.#config = config
    this.#platform = platform
  }

  get isRunning(): boolean {
    return this.server !== undefined
  }

  start(): Promise<void> {
    const starting = new AbortController()
    this.#starting = starting
    return this.#then(async () => {
      if (this.server !== undefined) throw new Error(`start() of ${this.name}, which is running`)
      const around = { stopGraceMs: 0, isBackground: true, signal: starting.signal }
      this.server = await startServer(this.#config, this.#platform, around)
      this.id = this.server.memberId
      this.onStarted()
    })
  }

  stop(): Promise<void> {
    return this.#end((server) => server.close())
  }

  kill(): Promise<void> {
    return this.#end((server) => server.kill())
  }

  #end(how: (server: Server) => Promise<void>): Promise<void> {
    this.#starting?.abort()
    return this.#then(async () => {
      const { server } = this
      this.server = undefined
      if (server !== undefined) await how(server)
    })
  }

  #then(work: () => Promise<void>): Promise<void> {
    const done = heldOpen(this.#last.then(work))
    this.#last = done.catch(() => {})
    return done
  }
}

const lookMs = 20
const leaderMaxMs = 20_000

class Cluster implements RunningCluster {
  readonly members: readonly Member[]
  readonly #ownDir: string | undefined
  readonly #clients = new Clients()
  /** The group that each member is in; all in one: everybody reaches everybody. */
  readonly #groups = new Map<ClusterMember, number>()
  readonly #ending = new Ending({ owner: this, clients: this.#clients, end: () => this.#stop() })
  readonly stop = this.#ending.stop
  readonly [Symbol.asyncDispose] = this.#ending.stop

  constructor(members: readonly Member[], ownDir: string | undefined) {
    this.members = members
    this.#ownDir = ownDir
    for (const member of members) member.onStarted = () => this.#cut()
  }

  get endpoints(): readonly string[] {
    return this.members.map(({ endpoint }) => endpoint)
  }

  env(): Record<string, string> {
    const [first = ''] = this.endpoints
    const all = this.endpoints.join(',')
    return { ETCDCTL_API: '3', ETCDCTL_ENDPOINTS: all, TSCTL_SERVER_URL: first }
  }

  client(options: Partial<IOptions> = {}): Promise<Etcd3> {
    const [hosts = ''] = this.endpoints
    const reached = { hosts, ca: undefined, rootPassword: undefined }
    return this.#clients.open(reached, { hosts: [...this.endpoints], ...options })
  }

  async leader(): Promise<ClusterMember> {
    const untilMs = systemClock.now() + leaderMaxMs
    for (;;) {
      const found = this.#followed()
      if (found !== undefined) return found
      if (systemClock.now() >= untilMs) throw new Error('no member was followed by a majority')
      await pause(lookMs)
    }
  }

  moveLeader(to: ClusterMember): Promise<void> {
    return heldOpen(this.#moveLeader(to))
  }

  async #moveLeader(to: ClusterMember): Promise<void> {
    if (to.id === undefined) throw new Error(`moveLeader() to ${to.name}, which never started`)
    const untilMs = systemClock.now() + leaderMaxMs
    for (;;) {
      const leader = (await this.leader()) as Member
      if (leader === to) return
      try {
        await leader.server?.service.handOver(to.id)
      } catch (error) {
        // On a busy machine another may have been elected meanwhile, or the time have been short.
        if (systemClock.now() >= untilMs) throw error
        await pause(lookMs)
      }
    }
  }

  partition(...groups: readonly (readonly ClusterMember[])[]): void {
    this.#groups.clear()
    for (const [at, group] of groups.entries()) {
      for (const member of group) this.#groups.set(member, at)
    }
    this.#cut()
  }

  heal(): void {
    this.partition()
  }

  async #stop(): Promise<void> {
    // All end together, so nobody is left to hand over to.
    await Promise.all(this.members.map((member) => member.kill()))
    if (this.#ownDir !== undefined) await rm(this.#ownDir, { recursive: true, force: true })
  }

  #followed(): Member | undefined {
    const groupOf = (member: Member) => this.#groups.get(member)
    return this.members.find((leader) => {
      if (!leader.server?.service.node.isLeader) return false
      const followers = this.members.filter((member) => {
        const { server } = member
        return server?.service.node.leader === leader.id && groupOf(member) === groupOf(leader)
      })
      return followers.length > this.members.length / 2
    })
  }

  /** Makes every transport drop what goes to, or comes from, another group. */
  #cut(): void {
    const groupOf = (member: Member) => this.#groups.get(member) ?? -1
    for (const member of this.members) {
      for (const other of this.members) {
        if (other.id === undefined || other === member) continue
        const peers = member.server?.peers
        if (groupOf(member) === groupOf(other)) peers?.resume(other.id)
        else peers?.pause(other.id)
      }
    }
  }
}

function platformOf({ log }: ClusterOptions): Platform {
  const lines = log === undefined ? silentLog : lineLog(log.level, log.write, systemClock.wall)
  return { files: systemFiles, random: systemRandom, clock: systemClock, log: lines }
}

/** Of a timer of the machine: 24 days. */
const longestDelayMs = 2 ** 31 - 1

/** Nothing of a cluster keeps the process alive, except while somebody waits for it. */
async function heldOpen<T>(work: Promise<T>): Promise<T> {
  const timer = systemClock.after(longestDelayMs, () => {})
  timer.hold?.()
  try {
    return await work
  } finally {
    timer.cancel()
  }
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => systemClock.after(ms, resolve).hold?.())
}
