// clients.ts: the two clients that are compared, behind one face: tsctl in this process, on streams
// in memory, and programs: etcdctl, or tsctl where only a process will do (a terminal, a command
// that it runs for an event and that writes where it writes).
import { spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { PassThrough, Writable } from 'node:stream'
import { buildSync } from 'esbuild'
import { bytes } from '../../../src/commands/context.js'
import { main } from '../../../src/main.js'
import { type Clock, systemClock } from '../../../src/platform/clock.js'
import { systemFiles } from '../../../src/platform/files.js'
import { systemRandom } from '../../../src/platform/random.js'
import type { Outcome } from './recording.js'

export interface Launch {
  /** Words in the form of bytes(). */
  argv: readonly string[]
  env: Readonly<Record<string, string>>
  /** Where relative file names are looked up; also the working directory of this process. */
  cwd: string
  isTerminal: boolean
  /** It starts other programs, which write where it writes. */
  runsCommands: boolean
}

/** A command line that runs. */
export interface Running {
  /** So far. */
  stdout(): Buffer
  stderr(): string
  type(text: string): void
  endInput(): void
  signal(name: 'SIGINT' | 'SIGTERM'): void
  /** Called when there is more output. */
  onOutput: () => void
  readonly outcome: Promise<Outcome>
}

export interface Client {
  readonly name: 'tsctl' | 'etcdctl'
  start(launch: Launch): Running
}

export const etcdctl: Client = {
  name: 'etcdctl',
  start: (launch) => startProcess(['etcdctl'], launch),
}

export const tsctl: Client = {
  name: 'tsctl',
  start(launch) {
    const needsProcess = launch.isTerminal || launch.runsCommands
    return needsProcess ? startProcess([process.execPath, bundle()], launch) : startHere(launch)
  },
}

let bundled: string | undefined

/** tsctl from its sources in one file, which starts faster than they do. */
function bundle(): string {
  if (bundled !== undefined) return bundled
  const dir = mkdtempSync(path.join(tmpdir(), 'golden-tsctl-'))
  process.on('exit', () => rmSync(dir, { recursive: true, force: true }))
  bundled = path.join(dir, 'tsctl.mjs')
  buildSync({
    entryPoints: [new URL('../../support/tsctl-process.ts', import.meta.url).pathname],
    outfile: bundled,
    bundle: true,
    platform: 'node',
    format: 'esm',
    target: 'node20',
    banner: {
      js: `import{createRequire}from'node:module';const require=createRequire(import.meta.url)`,
    },
  })
  return bundled
}

const signalCodes = { SIGINT: 130, SIGTERM: 143 } as const

/** The machine's clock, without the two seconds to think that del gives. */
const impatient: Clock = {
  ...systemClock,
  after: (delayMs, callback) => systemClock.after(delayMs === 2000 ? 0 : delayMs, callback),
}

function startHere({ argv, env }: Launch): Running {
  const out: Buffer[] = []
  const err: Buffer[] = []
  const stdin = new PassThrough()
  let interrupt: ((signal: 'SIGINT' | 'SIGTERM') => void) | undefined
  const sink = (pieces: Buffer[]): Writable =>
    new Writable({
      write(piece, _encoding, done) {
        pieces.push(Buffer.from(piece))
        running.onOutput()
        done()
      },
    })
  const stdout = sink(out)
  let killed: number | undefined
  const ended = main(argv, {
    stdin,
    stdout,
    stderr: sink(err),
    env,
    clock: impatient,
    random: systemRandom,
    files: systemFiles,
    onInterrupt(callback) {
      interrupt = callback
      return () => {
        interrupt = undefined
      }
    },
    stayAwake: () => () => undefined,
  })
  const running: Running = {
    stdout: () => Buffer.concat(out),
    stderr: () => Buffer.concat(err).toString(),
    type: (text) => void stdin.write(text),
    endInput: () => void stdin.end(),
    signal(name) {
      if (interrupt !== undefined) return interrupt(name)
      // Nobody catches it: a process would be gone. Here the reader goes, which ends the command.
      killed = signalCodes[name]
      stdout.destroy(Object.assign(new Error('killed'), { code: 'EPIPE' }))
    },
    onOutput: () => undefined,
    outcome: ended.then((code) => ({
      exit: killed ?? code,
      stdout: Buffer.concat(out),
      stderr: Buffer.concat(err).toString(),
    })),
  }
  return running
}

function startProcess(program: readonly string[], launch: Launch): Running {
  const { argv, env, cwd, isTerminal } = launch
  const words = [...program, ...argv]
  const [file = '', ...args] = isTerminal
    ? onTerminal(words)
    : isText(argv)
      ? words
      : inShell(words)
  const { PATH = '', HOME = '' } = process.env
  const child = spawn(file, args, {
    cwd,
    env: { PATH, HOME, LC_ALL: 'C.UTF-8', SHELL: '/bin/bash', ...env },
  })
  const out: Buffer[] = []
  const err: Buffer[] = []
  child.stdout.on('data', (piece: Buffer) => {
    out.push(piece)
    running.onOutput()
  })
  child.stderr.on('data', (piece: Buffer) => {
    err.push(piece)
    running.onOutput()
  })
  child.stdin.on('error', () => undefined) // it ended without reading all
  const outcome = new Promise<Outcome>((resolve, reject) => {
    child.on('error', reject)
    child.on('close', (code, signal) => {
      const killed = signal === 'SIGINT' || signal === 'SIGTERM' ? signalCodes[signal] : -1
      const stderr = Buffer.concat(err).toString()
      resolve({ exit: code ?? killed, stdout: Buffer.concat(out), stderr })
    })
  })
  const running: Running = {
    stdout: () => Buffer.concat(out),
    stderr: () => Buffer.concat(err).toString(),
    type: (text) => void child.stdin.write(text),
    endInput: () => void child.stdin.end(),
    signal: (name) => void child.kill(name),
    onOutput: () => undefined,
    outcome,
  }
  return running
}

const isText = (words: readonly string[]): boolean =>
  words.every((word) => !/[\ud800-\udfff]/u.test(word))

/** script(1) gives the command a terminal. */
const onTerminal = (words: readonly string[]): string[] => [
  'script',
  '-qec',
  words.map(shellWord).join(' '),
  '/dev/null',
]

/** A shell can pass on words that are no text. */
const inShell = (words: readonly string[]): string[] => [
  'bash',
  '-c',
  `exec ${words.map(shellWord).join(' ')}`,
]

/** In the shell's quotes, every byte as it is. */
function shellWord(word: string): string {
  const data = bytes(word)
  if (isText([word])) return `'${word.replaceAll("'", "'\\''")}'`
  const escaped = [...data].map((byte) => `\\x${byte.toString(16).padStart(2, '0')}`)
  return `$'${escaped.join('')}'`
}
