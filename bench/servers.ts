// servers.ts: the two servers under measurement, each a process of its own with a fresh data
// directory on the same disk, with etcd's defaults: every write is synced before its answer.
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import net from 'node:net'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { PutRequest } from '../src/api/gen/rpc.js'
import { type Program, start, tsctl } from './processes.js'
import { RawClient } from './raw-client.js'

export interface MeasuredServer extends AsyncDisposable {
  readonly name: string
  readonly port: number
  readonly pid: number
  /** From the spawn to the answer of the first put. */
  readonly startMs: number
}

interface Kind {
  readonly program: Program
  args(at: { port: number; peerPort: number; dataDir: string }): string[]
}

export const bundledServer: Kind = {
  program: tsctl,
  args: ({ port, dataDir }) => [
    'server',
    `--data-dir=${dataDir}`,
    `--listen-client-urls=http://127.0.0.1:${port}`,
    '--listen-peer-urls=',
    '--log-level=warn',
  ],
}

export const etcd: Kind = {
  program: { name: 'etcd', words: ['etcd'] },
  args: ({ port, peerPort, dataDir }) => [
    `--data-dir=${dataDir}`,
    `--listen-client-urls=http://127.0.0.1:${port}`,
    `--advertise-client-urls=http://127.0.0.1:${port}`,
    `--listen-peer-urls=http://127.0.0.1:${peerPort}`,
    `--initial-advertise-peer-urls=http://127.0.0.1:${peerPort}`,
    `--initial-cluster=default=http://127.0.0.1:${peerPort}`,
    '--logger=zap',
    '--log-level=error',
  ],
}

export async function startServer({ program, args }: Kind): Promise<MeasuredServer> {
  const dir = mkdtempSync(path.join(tmpdir(), 'tsctl-bench-'))
  const [port, peerPort] = await freePorts()
  const words = args({ port, peerPort, dataDir: path.join(dir, 'data') })
  const started = performance.now()
  const child = start(program, words, { env: { PATH: process.env.PATH }, stdout: 'ignore' })
  let complaint = ''
  child.stderr?.on('data', (piece: Buffer) => {
    complaint = (complaint + piece.toString()).slice(-4096)
  })
  while (!(await isPutAnswered(port))) {
    if (child.exitCode !== null) throw new Error(`${program.name} did not start: ${complaint}`)
  }
  return {
    name: program.name,
    port,
    pid: child.pid ?? 0,
    startMs: performance.now() - started,
    async [Symbol.asyncDispose]() {
      await ended(child)
      rmSync(dir, { recursive: true, force: true })
    },
  }
}

async function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  child.kill('SIGKILL')
  await once(child, 'exit')
}

/** How soon after a refused connection the next one is tried. */
const redialMs = 2

async function isPutAnswered(port: number): Promise<boolean> {
  const request = PutRequest.fromPartial({ key: Buffer.from('bench/first') })
  let client: RawClient | undefined
  const isAnswered = await new Promise<boolean>((resolve) => {
    client = new RawClient(port, '/etcdserverpb.KV/Put', () => resolve(false))
    client.call(PutRequest.encode(request).finish(), resolve)
  })
  client?.close()
  if (!isAnswered) await new Promise((resolve) => setTimeout(resolve, redialMs))
  return isAnswered
}

/** Two ports that were free a moment ago. */
async function freePorts(): Promise<[port: number, peerPort: number]> {
  const servers = [net.createServer(), net.createServer()] as const
  const ports: number[] = []
  for (const server of servers) {
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    ports.push((server.address() as net.AddressInfo).port)
  }
  for (const server of servers) server.close()
  const [port = 0, peerPort = 0] = ports
  return [port, peerPort]
}
