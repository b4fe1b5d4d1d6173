// library.ts: a server inside a program, most often inside a test file: one call starts it on a
// free port, with nothing to download and nothing on disk.
//
//     await using server = await startServer()
//     const client = await server.client()      // or any client, with server.endpoint
//     await client.put('a').value('1')
//     await server.clock.advance('30s')         // leases run out now
//     await server.reset()                      // an empty store again
//
// It runs in this process, on its own timers, and does not keep the process alive. One that was not
// stopped is named when the process ends.
import type { Etcd3, IOptions } from 'etcd3'
import type { AuthRecords } from '../../auth/store.js'
import type { ServerTls } from '../../grpc/server.js'
import { type Clock, systemClock } from '../../platform/clock.js'
import { systemFiles } from '../../platform/files.js'
import { lineLog, silentLog } from '../../platform/log.js'
import { systemRandom } from '../../platform/random.js'
import { type ServerConfig, serverConfig } from '../config.js'
import { selfSigned } from '../self-signed.js'
import { type Server, startServer as startMember } from '../server.js'
import { addRoot } from './auth.js'
import { Clients, environment } from './client.js'
import { AdvancingClock, millisecondsOf } from './clock.js'
import { Ending } from './ending.js'
import { expireLeases } from './expiry.js'
import { type Faults, LibraryFaults } from './faults.js'
import { resetInMemory, resetOnDisk } from './reset.js'
import type { RunningServer, StartOptions } from './surface.js'
import { noteRunning, startedBy } from './unstopped.js'

export {
  type ClusterMember,
  type ClusterOptions,
  type RunningCluster,
  startCluster,
} from './cluster.js'
export type { Failure, Faults } from './faults.js'
export type { RunningServer, StartOptions } from './surface.js'

/** Starts a server; it serves when this resolves. @throws ConfigError, and what listening throws */
export async function startServer(options: StartOptions = {}): Promise<RunningServer> {
  const by = startedBy()
  const running = options.thread
    ? await (await import('./thread.js')).startInThread(options)
    : await startHere(options)
  noteRunning(running, { port: running.port, startedBy: by })
  return running
}

async function startHere(options: StartOptions): Promise<RunningServer> {
  const clock = new AdvancingClock(options.clock ?? systemClock)
  const faults = new LibraryFaults(systemClock)
  const tls = tlsOf(options)
  const server = await startMember(configOf(options), platformOf(options, clock), {
    wrap: faults.wrap,
    networkClock: systemClock,
    stopGraceMs: 0,
    isBackground: true,
    ...(tls && { tls }),
  })
  faults.onDrop(server.dropConnections)
  if (options.auth !== undefined) await addRoot(server.methods, options.auth.rootPassword)
  return new Embedded(server, { clock, faults, options, ca: ownCa(options, tls) })
}

interface EmbeddedParts {
  clock: AdvancingClock
  faults: LibraryFaults
  options: StartOptions
  ca: string | undefined
}

class Embedded implements RunningServer {
  readonly endpoint: string
  readonly hosts: string
  readonly port: number
  readonly ca: string | undefined
  readonly faults: Faults
  readonly clock: RunningServer['clock']
  readonly #server: Server
  readonly #options: StartOptions
  readonly #firstUsers: AuthRecords
  readonly #clients = new Clients()
  readonly #ending = new Ending({ owner: this, clients: this.#clients, end: () => this.#stop() })
  readonly stop = this.#ending.stop
  readonly [Symbol.asyncDispose] = this.#ending.stop

  constructor(server: Server, { clock, faults, options, ca }: EmbeddedParts) {
    const [endpoint = ''] = server.endpoints
    this.endpoint = endpoint
    this.hosts = endpoint
    this.port = Number(new URL(endpoint).port)
    this.ca = ca
    this.faults = faults
    this.#server = server
    this.#options = options
    this.#firstUsers = server.service.auth.records()
    this.clock = {
      now: () => clock.now(),
      advance: async (duration) => {
        this.#checkRunning('clock.advance()')
        clock.shift(millisecondsOf(duration))
        await expireLeases(server.service)
        clock.runDue()
      },
    }
  }

  get isRunning(): boolean {
    return !this.#ending.isBegun
  }

  env(): Record<string, string> {
    return environment(this.endpoint)
  }

  async client(options: Partial<IOptions> = {}): Promise<Etcd3> {
    this.#checkRunning('client()')
    const { hosts, ca } = this
    const rootPassword = this.#options.auth?.rootPassword
    return this.#clients.open({ hosts, ca, rootPassword }, options)
  }

  async reset(): Promise<void> {
    this.#checkRunning('reset()')
    this.faults.clear()
    const { service } = this.#server
    await (service.config.dataDir === undefined
      ? resetInMemory(service, this.#firstUsers)
      : resetOnDisk(service))
  }

  async #stop(): Promise<void> {
    this.faults.clear()
    await this.#server.close()
  }

  #checkRunning(what: string): void {
    if (this.isRunning) return
    throw new Error(`${what} needs a running server; the one on port ${this.port} was stopped`)
  }
}

function configOf(options: StartOptions): ServerConfig {
  const { port = 0, host = '127.0.0.1', storage = 'memory', tls, limits = {} } = options
  const scheme = tls ? 'https' : 'http'
  const url = `${scheme}://${host.includes(':') ? `[${host}]` : host}:${port}`
  const { requestBytes, txnOps, quotaBytes } = limits
  const config = serverConfig({
    // The tests of its users wait for passwords to be hashed, and nobody attacks them.
    bcryptCost: 4,
    ...options.config,
    dataDir: storage === 'memory' ? undefined : storage.dir,
    listenClientUrls: [url],
    ...(requestBytes !== undefined && { maxRequestBytes: requestBytes }),
    ...(txnOps !== undefined && { maxTxnOps: txnOps }),
    ...(quotaBytes !== undefined && { quotaBackendBytes: quotaBytes }),
  })
  // It stays alone, whatever else on this machine may be a member of something.
  return { ...config, listenPeerUrls: [] }
}

function platformOf({ log }: StartOptions, clock: Clock) {
  const lines = log === undefined ? silentLog : lineLog(log.level, log.write, systemClock.wall)
  return { files: systemFiles, random: systemRandom, clock, log: lines }
}

function tlsOf({ tls, host = '127.0.0.1' }: StartOptions): ServerTls | undefined {
  if (tls === undefined || tls === false) return undefined
  if (tls !== true) return tls
  const serial = systemRandom.bytes(15)
  return selfSigned([...new Set(['localhost', host])], { nowMs: systemClock.wall(), serial })
}

function ownCa({ tls }: StartOptions, made: ServerTls | undefined): string | undefined {
  return tls === true ? made?.cert.toString() : undefined
}
