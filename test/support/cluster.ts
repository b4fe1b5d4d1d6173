// cluster.ts: clusters of real processes for tests: members of the bundled server (from the built
// command), of a real etcd, or of both, on loopback ports of their own. A member can be stopped,
// killed, suspended and started again on its data; what it logged is kept for the message of a
// failure.
import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { createInterface } from 'node:readline'
import type { Readable } from 'node:stream'
import { promisify } from 'node:util'
import type { Connection } from '../../src/connection/connection.js'
import { connected } from '../connection/connecting.js'
import { freePorts } from './free-ports.js'

const root = path.join(import.meta.dirname, '../..')
const command = path.join(root, 'bin/tsctl.js')

export type Program = 'tsctl' | 'etcd'

export interface ClusterMember {
  readonly name: string
  readonly program: Program
  /** 127.0.0.1:PORT, unless it has another place. */
  readonly endpoint: string
  readonly clientUrl: string
  readonly peerUrl: string
  readonly dataDir: string
  readonly log: readonly string[]
  /** Resolves when clients are served; fails with the log when the process ends before that. */
  start(flags?: readonly string[]): Promise<void>
  /** Sends the signal; resolves with the exit code, null when the signal ended the process. */
  stop(signal?: NodeJS.Signals): Promise<number | null>
  /** SIGSTOP and SIGCONT. */
  suspend(): void
  resume(): void
  readonly isRunning: boolean
  /** Resolves when the process ends by itself, with its exit code. */
  ended(): Promise<number | null>
}

/** Where a member runs, and is found. */
export interface Place {
  /** As clients are given it. */
  endpoint: string
  /** As the member is given it. */
  clientUrl: string
  peerUrl: string
  /** The command that runs the member as its arguments; none: it runs by itself. */
  within?: readonly string[]
}

export interface ClusterOptions {
  programs: readonly Program[]
  /** For every member; those of etcd and ours have the same names. */
  flags?: readonly string[]
  /** For members of the bundled server alone. */
  ownFlags?: readonly string[]
  scheme?: 'http' | 'https'
  /** Where a member keeps its data, when not in a temporary directory of the cluster's own. */
  dataDirOf?: (name: string) => string | undefined
  /** Places of members, counted from zero; others are on loopback ports that are free. */
  placeOf?: (at: number) => Place
}

export interface ProcessCluster extends AsyncDisposable {
  readonly members: ClusterMember[]
  readonly endpoints: string[]
  /** A member that is not started yet; its name is new. Tell the others first. */
  newMember(program: Program): Promise<ClusterMember>
  /** `name=peerUrl` of all members but those that are named. */
  initialCluster(without?: readonly ClusterMember[]): string
  /** Runs etcdctl against one member, or all. */
  etcdctl(args: readonly string[], to?: ClusterMember): Promise<string>
}

/** All members of a new cluster, running. */
export async function startProcessCluster(options: ClusterOptions): Promise<ProcessCluster> {
  const cluster = await newCluster(options)
  try {
    const flags = [`--initial-cluster=${cluster.initialCluster()}`]
    await Promise.all(cluster.members.map((member) => member.start(flags)))
  } catch (error) {
    await cluster[Symbol.asyncDispose]()
    throw error
  }
  return cluster
}

async function newCluster(options: ClusterOptions): Promise<ProcessCluster> {
  const { programs, flags = [], ownFlags = [], scheme = 'http', dataDirOf, placeOf } = options
  const dir = await mkdtemp(path.join(tmpdir(), 'cluster-'))
  const members: Process[] = []
  const newMember = async (program: Program): Promise<Process> => {
    const place = placeOf?.(members.length) ?? (await loopback(scheme))
    const name = `m${members.length + 1}`
    const given = program === 'tsctl' ? [...flags, ...ownFlags] : flags
    const dataDir = dataDirOf?.(name) ?? path.join(dir, name)
    const member = new Process({ name, program, place, dataDir, flags: given })
    members.push(member)
    return member
  }
  for (const program of programs) await newMember(program)
  return {
    members,
    get endpoints() {
      return members.map(({ endpoint }) => endpoint)
    },
    newMember,
    initialCluster: (without = []) =>
      members
        .filter((member) => !without.includes(member))
        .map(({ name, peerUrl }) => `${name}=${peerUrl}`)
        .join(','),
    async etcdctl(args, to) {
      const endpoints = to?.endpoint ?? members.map(({ endpoint }) => endpoint).join(',')
      const env = {
        PATH: process.env.PATH,
        ETCDCTL_API: '3',
        ETCDCTL_ENDPOINTS: endpoints,
        ETCDCTL_COMMAND_TIMEOUT: '30s',
      }
      return (await promisify(execFile)('etcdctl', [...args], { env, timeout: becomesTrueMs }))
        .stdout
    },
    async [Symbol.asyncDispose]() {
      await Promise.all(members.map((member) => member.stop('SIGKILL')))
      await rm(dir, { recursive: true, force: true })
    },
  }
}

async function loopback(scheme: string): Promise<Place> {
  const [port = 0, peerPort = 0] = await freePorts(2)
  const endpoint = `127.0.0.1:${port}`
  const peerUrl = `${scheme}://127.0.0.1:${peerPort}`
  return { endpoint, clientUrl: `http://${endpoint}`, peerUrl }
}

interface ProcessAt {
  name: string
  program: Program
  place: Place
  dataDir: string
  flags: readonly string[]
}

class Process implements ClusterMember {
  readonly name: string
  readonly program: Program
  readonly endpoint: string
  readonly clientUrl: string
  readonly peerUrl: string
  readonly dataDir: string
  readonly log: string[] = []
  readonly #flags: readonly string[]
  readonly #within: readonly string[]
  /** Of the last start, which the next one repeats unless it is given others. */
  #lastFlags: readonly string[] = []
  #child: ChildProcess | undefined
  /** Resolves when it has ended and all of its log has been read, which comes later. */
  #closed: Promise<unknown> = Promise.resolve()

  constructor({ name, program, place, dataDir, flags }: ProcessAt) {
    this.name = name
    this.program = program
    this.endpoint = place.endpoint
    this.clientUrl = place.clientUrl
    this.peerUrl = place.peerUrl
    this.#within = place.within ?? []
    this.dataDir = dataDir
    this.#flags = flags
  }

  get isRunning(): boolean {
    return this.#child !== undefined && !hasEnded(this.#child)
  }

  async start(flags: readonly string[] = this.#lastFlags): Promise<void> {
    this.#lastFlags = flags
    const child = this.#spawn([
      `--name=${this.name}`,
      `--data-dir=${this.dataDir}`,
      `--listen-client-urls=${this.clientUrl}`,
      `--advertise-client-urls=${this.clientUrl}`,
      `--listen-peer-urls=${this.peerUrl}`,
      `--initial-advertise-peer-urls=${this.peerUrl}`,
      ...this.#flags,
      ...flags,
    ])
    this.#child = child
    this.#closed = once(child, 'close').catch(() => {})
    await new Promise<void>((resolve, reject) => {
      const listen = (input: Readable | null, isServing: RegExp) => {
        if (input === null) return
        createInterface({ input }).on('line', (line) => {
          this.log.push(line)
          if (isServing.test(line)) resolve()
        })
      }
      listen(child.stdout, /^serving clients on /)
      listen(child.stderr, /"msg":"serving client (traffic|requests)/)
      child.on('error', reject)
      const limit = () => reject(new Error(`${this.name} does not serve:\n${this.tail}`))
      setTimeout(limit, becomesTrueMs).unref()
      child.on('close', (code) =>
        reject(new Error(`${this.name} ended with ${code}:\n${this.tail}`)),
      )
    })
  }

  async stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<number | null> {
    const child = this.#child
    if (child === undefined) return null
    if (!hasEnded(child)) child.kill(signal)
    await this.#closed
    return child.exitCode
  }

  suspend(): void {
    this.#child?.kill('SIGSTOP')
  }

  resume(): void {
    this.#child?.kill('SIGCONT')
  }

  async ended(): Promise<number | null> {
    await this.#closed
    return this.#child?.exitCode ?? null
  }

  get tail(): string {
    return this.log.slice(-40).join('\n')
  }

  #spawn(flags: readonly string[]): ChildProcess {
    if (this.program === 'etcd') {
      return this.#run(['etcd', '--logger=zap', ...flags], { PATH: process.env.PATH })
    }
    if (!existsSync(path.join(root, 'dist/tsctl.cjs'))) {
      throw new Error('dist/tsctl.cjs is missing: run `npm run build` first')
    }
    return this.#run([process.execPath, command, 'server', ...flags], {})
  }

  #run(words: readonly string[], env: NodeJS.ProcessEnv): ChildProcess {
    const [file = '', ...args] = [...this.#within, ...words]
    return spawn(file, args, { env, stdio: ['ignore', 'pipe', 'pipe'] })
  }
}

const hasEnded = (child: ChildProcess): boolean =>
  child.exitCode !== null || child.signalCode !== null

/** How often a member is asked again for what is to become true. */
const askAgainMs = 50
/** Ends what hangs; on a busy machine a start or an election may take many times its usual time. */
const becomesTrueMs = 60_000

/** Asks again and again until the answer is not undefined; a refusal counts as undefined. */
export async function eventually<T>(what: string, ask: () => Promise<T | undefined>): Promise<T> {
  const untilMs = performance.now() + becomesTrueMs
  let last: unknown
  while (performance.now() < untilMs) {
    try {
      const answer = await ask()
      if (answer !== undefined) return answer
    } catch (error) {
      last = error
    }
    await new Promise((resolve) => setTimeout(resolve, askAgainMs))
  }
  throw new Error(`it did not come to be: ${what}`, { cause: last })
}

/** Calls the work with a connection to this member alone. */
export async function withMember<T>(
  { endpoint }: Pick<ClusterMember, 'endpoint'>,
  work: (connection: Connection) => Promise<T>,
): Promise<T> {
  await using connection = await connected(endpoint)
  return await work(connection)
}

const askTimeout = { deadlineMs: 5_000 }

/** What is needed to ask a member, whatever it runs in. */
export type Reachable = Pick<ClusterMember, 'endpoint' | 'isRunning'>

/** The one that a member takes for the leader, of those given. */
export async function leaderOf<M extends Reachable>(members: readonly M[]): Promise<M> {
  return eventually('a leader that the others know', async () => {
    const running = members.filter(({ isRunning }) => isRunning)
    const answers = await Promise.all(
      running.map((member) =>
        withMember(member, ({ maintenance }) => maintenance.status(askTimeout)),
      ),
    )
    const leaders = new Set(answers.map(({ leader }) => leader))
    const [leader] = leaders
    if (leaders.size !== 1 || leader === '0') return undefined
    const at = answers.findIndex(({ header }) => header?.member_id === leader)
    return running[at]
  })
}

/** The same revision and the same hash on all of them. @returns the hash */
export async function sameHash(members: readonly Pick<Reachable, 'endpoint'>[]): Promise<number> {
  return eventually('equal hashes', async () => {
    const answers = await Promise.all(
      members.map((member) =>
        withMember(member, ({ maintenance }) => maintenance.hashKV({ revision: '0' }, askTimeout)),
      ),
    )
    const kinds = answers.map(({ header, hash, compact_revision: compacted }) => {
      return `${header?.revision} ${hash} ${compacted}`
    })
    if (new Set(kinds).size === 1) return answers[0]?.hash
    throw new Error(kinds.join(' | '))
  })
}
