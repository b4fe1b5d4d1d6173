// processes.ts: runs whole processes and measures them from outside: wall time from the spawn to
// the exit, and the most memory that was resident.
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, openSync, readFileSync } from 'node:fs'
import path from 'node:path'

const root = path.join(import.meta.dirname, '..')

/** A program with the words that come before all others. */
export interface Program {
  readonly name: string
  readonly words: readonly string[]
}

export const tsctl: Program = {
  name: 'tsctl',
  words: [process.execPath, path.join(root, 'bin/tsctl.js')],
}
export const etcdctl: Program = { name: 'etcdctl', words: ['etcdctl'] }
export const bareNode: Program = { name: 'node -e 0', words: [process.execPath, '-e', '0'] }

/** Ten times what the longest run takes on a slow machine: what takes longer hangs. */
export const runMaxMs = 60_000

export interface Run {
  wallMs: number
  /** 0 where the system does not tell. */
  peakBytes: number
}

export function isInstalled(program: string): boolean {
  return spawnSync(program, ['--version'], { stdio: 'ignore' }).error === undefined
}

/** Both tools find their server by the same variable. */
export const clientEnv = (port: number): NodeJS.ProcessEnv => ({
  PATH: process.env.PATH,
  ETCDCTL_API: '3',
  ETCDCTL_ENDPOINTS: `127.0.0.1:${port}`,
})

export function start(
  { words }: Program,
  args: readonly string[],
  { env, stdout }: { env: NodeJS.ProcessEnv; stdout: 'ignore' | 'pipe' | number },
): ChildProcess {
  const [command = '', ...first] = words
  const child = spawn(command, [...first, ...args], { env, stdio: ['ignore', stdout, 'pipe'] })
  child.stderr?.resume()
  return child
}

/** Runs to the end, standard output into `file` if there is one. A failing run fails the bench. */
export async function measured(
  program: Program,
  args: readonly string[],
  { env, file }: { env: NodeJS.ProcessEnv; file?: string },
): Promise<Run> {
  const output = file === undefined ? undefined : openSync(file, 'w')
  const started = performance.now()
  const child = start(program, args, { env, stdout: output ?? 'ignore' })
  const memory = watchMemory(child)
  const limit = setTimeout(() => child.kill('SIGKILL'), runMaxMs)
  let complaint = ''
  child.stderr?.on('data', (piece: Buffer) => {
    complaint += piece.toString()
  })
  const [code, signal] = await once(child, 'exit')
  const wallMs = performance.now() - started
  clearTimeout(limit)
  if (output !== undefined) closeSync(output)
  if (code !== 0)
    throw new Error(`${program.name} ${args.join(' ')} ended with ${code ?? signal}: ${complaint}`)
  return { wallMs, peakBytes: memory.stop() }
}

/**
 * Reads the high-water mark of a process now and then. The mark only rises, so what is missed is
 * what it grows by in the last moments.
 */
function watchMemory(child: ChildProcess): { stop(): number } {
  let peakBytes = 0
  const look = () => {
    peakBytes = Math.max(peakBytes, statusKilobytes(child.pid, 'VmHWM') * 1024)
  }
  const timer = setInterval(look, 10)
  return {
    stop() {
      clearInterval(timer)
      return peakBytes
    },
  }
}

function statusKilobytes(pid: number | undefined, field: string): number {
  try {
    const status = readFileSync(`/proc/${pid}/status`, 'latin1')
    return Number(new RegExp(`^${field}:\\s*(\\d+) kB`, 'm').exec(status)?.[1] ?? 0)
  } catch {
    return 0 // it ended between two looks, or this system has no /proc
  }
}

/** Memory of a running process that is resident now; 0 where the system does not tell. */
export function residentBytes(pid: number): number {
  return statusKilobytes(pid, 'VmRSS') * 1024
}

/** Processor time of a running process so far; 0 where the system does not tell. */
export function cpuSeconds(pid: number): number {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'latin1')
    // The fields after the command name, which may hold anything: user and system time are 14, 15.
    const fields = text.slice(text.lastIndexOf(')') + 2).split(' ')
    return (Number(fields[11]) + Number(fields[12])) / ticksASecond
  } catch {
    return 0
  }
}

/** USER_HZ, which is 100 on every Linux there is. */
const ticksASecond = 100
