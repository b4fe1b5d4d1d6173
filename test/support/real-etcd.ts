// real-etcd.ts: a real etcd for a test: one member on free ports, its data in a temporary
// directory that goes away with it. Where etcd is not installed the tests that need it are
// skipped and say so; with INTEROP=required (the interop job) its absence is a failure.
import { type ChildProcess, execFile, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { createInterface } from 'node:readline'
import { promisify } from 'node:util'
import { describe } from 'vitest'
import { freePorts } from './free-ports.js'

export { freePorts } from './free-ports.js'

export const isEtcdInstalled = isInstalled('etcd') && isInstalled('etcdctl')

/** A suite that needs a real etcd. */
export function describeWithEtcd(name: string, suite: () => void): void {
  if (isEtcdInstalled || process.env.INTEROP === 'required') describe(name, suite)
  else describe.skip(`${name} (SKIPPED: etcd and etcdctl are not installed)`, suite)
}

export interface RealEtcdOptions {
  /** Further flags, or other values for those that are set here. */
  flags?: readonly string[]
  /** Serve clients over TLS; the flags name the files. */
  scheme?: 'http' | 'https'
}

export interface RealEtcd {
  /** 127.0.0.1:PORT */
  readonly endpoint: string
  readonly port: number
  /** Temporary; the data is in `data` below it. */
  readonly dir: string
  /** Runs etcdctl against it and gives its standard output; fails when etcdctl does. */
  etcdctl(args: readonly string[], stdin?: string): Promise<string>
  /** Stops the process, the directory stays; start() serves the same data on the same ports. */
  stop(signal?: NodeJS.Signals): Promise<void>
  start(): Promise<void>
  [Symbol.asyncDispose](): Promise<void>
}

export async function startRealEtcd(options: RealEtcdOptions = {}): Promise<RealEtcd> {
  const { flags = [], scheme = 'http' } = options
  const dir = await mkdtemp(path.join(tmpdir(), 'real-etcd-'))
  const [port, peerPort] = await freePorts(2)
  const clientUrl = `${scheme}://127.0.0.1:${port}`
  const peerUrl = `http://127.0.0.1:${peerPort}`
  const args = [
    `--data-dir=${path.join(dir, 'data')}`,
    `--listen-client-urls=${clientUrl}`,
    `--advertise-client-urls=${clientUrl}`,
    `--listen-peer-urls=${peerUrl}`,
    `--initial-advertise-peer-urls=${peerUrl}`,
    `--initial-cluster=default=${peerUrl}`,
    '--logger=zap',
    '--unsafe-no-fsync',
    ...flags,
  ]
  const endpoint = `127.0.0.1:${port}`
  let running: ChildProcess | undefined

  async function start(): Promise<void> {
    running = await startProcess(args, dir)
  }

  async function stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<void> {
    const child = running
    running = undefined
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return
    const ended = once(child, 'close')
    child.kill(signal)
    await ended
  }

  async function etcdctl(words: readonly string[], stdin = ''): Promise<string> {
    const env = {
      PATH: process.env.PATH,
      ETCDCTL_API: '3',
      ETCDCTL_ENDPOINTS: endpoint,
      ETCDCTL_COMMAND_TIMEOUT: '60s',
      ETCDCTL_DIAL_TIMEOUT: '60s',
    }
    const run = promisify(execFile)('etcdctl', [...words], { env, maxBuffer: 1 << 28 })
    // A command that ends before it has read everything tells why by its exit code.
    run.child.stdin?.on('error', () => {})
    run.child.stdin?.end(stdin)
    return (await run).stdout
  }

  await start()
  return {
    endpoint,
    port: port ?? 0,
    dir,
    etcdctl,
    start,
    stop,
    async [Symbol.asyncDispose]() {
      await stop('SIGKILL')
      await rm(dir, { recursive: true, force: true })
    },
  }
}

/** Resolves when clients are served; fails with the log when etcd gives up before that. */
async function startProcess(args: readonly string[], cwd: string): Promise<ChildProcess> {
  const env = { PATH: process.env.PATH }
  const child = spawn('etcd', [...args], { cwd, env, stdio: ['ignore', 'ignore', 'pipe'] })
  const log: string[] = []
  const ready = new Promise<void>((resolve, reject) => {
    createInterface({ input: child.stderr }).on('line', (line) => {
      log.push(line)
      if (/"msg":"serving client (traffic|requests)/.test(line)) resolve()
    })
    child.on('error', reject)
    child.on('close', (code) => reject(new Error(`etcd ended with ${code}:\n${log.join('\n')}`)))
  })
  await ready
  return child
}

function isInstalled(program: string): boolean {
  return spawnSync(program, ['--version'], { stdio: 'ignore' }).error === undefined
}
