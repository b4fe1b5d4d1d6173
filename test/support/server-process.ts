// server-process.ts: the bundled server as users run it, a process of its own made from the built
// command, for tests that kill it. The build must be there: `npm test` makes it first.
import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import path from 'node:path'
import { createInterface } from 'node:readline'

const root = path.join(import.meta.dirname, '../..')
const command = path.join(root, 'bin/tsctl.js')

export interface ServerProcess {
  /** 127.0.0.1:PORT */
  readonly endpoint: string
  readonly port: number
  readonly pid: number
  /** Sends the signal; resolves with the exit code, or null when the signal ended the process. */
  stop(signal: NodeJS.Signals): Promise<number | null>
  /** Lines of standard error so far. */
  readonly log: readonly string[]
  [Symbol.asyncDispose](): Promise<void>
}

/** Resolves when clients are served; fails with its log when the process ends before that. */
export async function startServerProcess(flags: readonly string[]): Promise<ServerProcess> {
  const child = spawnServer([
    '--listen-client-urls=http://127.0.0.1:0',
    '--listen-peer-urls=',
    ...flags,
  ])
  /** Comes when it has ended and all of its log has been read. */
  const closed = once(child, 'close').catch(() => {})
  const log: string[] = []
  createInterface({ input: child.stderr }).on('line', (line) => log.push(line))
  const url = await new Promise<URL>((resolve, reject) => {
    createInterface({ input: child.stdout }).on('line', (line) => {
      const [, found] = /^serving clients on (http:\S+)$/.exec(line) ?? []
      if (found !== undefined) resolve(new URL(found))
    })
    child.on('error', reject)
    child.on('close', (code) => reject(new Error(`tsctl ended with ${code}:\n${log.join('\n')}`)))
  })
  async function stop(signal: NodeJS.Signals): Promise<number | null> {
    if (!hasEnded(child)) child.kill(signal)
    await closed
    return child.exitCode
  }
  return {
    endpoint: url.host,
    port: Number(url.port),
    pid: child.pid ?? 0,
    stop,
    log,
    async [Symbol.asyncDispose]() {
      await stop('SIGKILL')
    },
  }
}

const hasEnded = (child: ChildProcess): boolean =>
  child.exitCode !== null || child.signalCode !== null

function spawnServer(flags: readonly string[]) {
  needBuild()
  const args = [command, 'server', '--log-level=warn', ...flags]
  return spawn(process.execPath, args, { env: {}, stdio: ['ignore', 'pipe', 'pipe'] })
}

export interface Ended {
  code: number
  stdout: string
  stderr: string
}

/** Runs the built command to its end. */
export function runTsctl(
  args: readonly string[],
  { env = {}, timeoutMs = 60_000, cwd = root } = {},
): Promise<Ended> {
  needBuild()
  return new Promise((resolve, reject) => {
    const options = { env, timeout: timeoutMs, cwd }
    execFile(process.execPath, [command, ...args], options, (error, stdout, stderr) => {
      const code = error === null ? 0 : error.code
      if (typeof code === 'number') resolve({ code, stdout, stderr })
      else reject(new Error(`tsctl ${args.join(' ')} did not end:\n${stdout}${stderr}`))
    })
  })
}

function needBuild(): void {
  if (!existsSync(path.join(root, 'dist/tsctl.cjs'))) {
    throw new Error('dist/tsctl.cjs is missing: run `npm run build` first')
  }
}
