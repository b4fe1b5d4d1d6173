// tools.ts: the two command line tools behind one face, so that a scenario is written once. tsctl
// runs in this process through main(), with its streams in memory; etcdctl is the real program.
import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { PassThrough, Writable } from 'node:stream'
import { main } from '../../src/main.js'
import { systemClock } from '../../src/platform/clock.js'
import { systemFiles } from '../../src/platform/files.js'
import { systemRandom } from '../../src/platform/random.js'
import { patience, run } from '../commands/run.js'

export interface Finished {
  code: number
  stdout: string
  /** The last line of standard error. */
  lastError: string
}

/** A command that goes on until somebody ends it. */
export interface Lasting {
  /** Resolves when standard output and standard error together match. */
  shows(pattern: RegExp): Promise<void>
  stdout(): string
  /** Resolves when the command has ended. */
  end(): Promise<void>
}

export interface Tool {
  run(args: readonly string[], env: Env, stdin?: string | Buffer): Promise<Finished>
  start(args: readonly string[], env: Env): Lasting
}

type Env = Record<string, string>

export const tsctl: Tool = {
  async run(args, env, stdin = '') {
    const { code, stdout, stderr } = await run(args, { env, stdin, connection: 'real' })
    return { code, stdout: stdout.toString('latin1'), lastError: lastLine(stderr) }
  },
  start(args, env) {
    const shown = newShown()
    const stdout = shown.sink(true)
    const ended = main(args, {
      stdin: new PassThrough(),
      stdout,
      stderr: shown.sink(false),
      env: { ...patience, ...env },
      clock: systemClock,
      random: systemRandom,
      files: systemFiles,
      onInterrupt: () => () => {},
      stayAwake: () => () => {},
    })
    return {
      ...shown.lasting(ended.then(() => {})),
      async end() {
        stdout.destroy(Object.assign(new Error('the reader is gone'), { code: 'EPIPE' }))
        await ended
      },
    }
  },
}

/** What ends a command that waits for a server which does not answer. */
const timeoutMs = 60_000

export const etcdctl: Tool = {
  run(args, env, stdin = '') {
    return new Promise((resolve, reject) => {
      const options = { env: programEnv(env), timeout: timeoutMs, encoding: 'latin1' } as const
      const child = execFile('etcdctl', [...args], options, (error, stdout, stderr) => {
        const code = error === null ? 0 : error.code
        if (typeof code !== 'number') reject(error)
        else resolve({ code, stdout, lastError: lastLine(stderr) })
      })
      // It may end without reading: that is no failure of the test.
      child.stdin?.on('error', () => {})
      child.stdin?.end(stdin)
    })
  },
  start(args, env) {
    const child = spawn('etcdctl', [...args], { env: programEnv(env), timeout: timeoutMs })
    const shown = newShown()
    child.stdout.pipe(shown.sink(true))
    child.stderr.pipe(shown.sink(false))
    const ended = once(child, 'close')
    return {
      ...shown.lasting(ended.then(() => {})),
      async end() {
        child.kill('SIGINT')
        await ended
      },
    }
  },
}

const programEnv = (env: Env) => {
  return { PATH: process.env.PATH, ETCDCTL_API: '3', ...patience, ...env }
}

const lastLine = (stderr: string): string => stderr.trimEnd().split('\n').at(-1) ?? ''

/** What was printed so far, and who waits for more. */
function newShown() {
  let stdout = ''
  let all = ''
  const waiters = new Set<() => void>()
  const add = (piece: Buffer, isStdout: boolean): void => {
    const text = piece.toString('latin1')
    if (isStdout) stdout += text
    all += text
    for (const wake of waiters) wake()
  }
  const matches = (pattern: RegExp): Promise<void> =>
    new Promise((resolve) => {
      const check = () => {
        if (!pattern.test(all)) return
        waiters.delete(check)
        resolve()
      }
      waiters.add(check)
      check()
    })
  return {
    sink: (isStdout: boolean) =>
      new Writable({
        write(piece, _encoding, done) {
          add(piece, isStdout)
          done()
        },
      }),
    lasting: (ended: Promise<void>) => ({
      stdout: () => stdout,
      async shows(pattern: RegExp) {
        const end = ended.then(() => {
          if (!pattern.test(all)) throw new Error(`it ended, and printed only: ${all}`)
        })
        await Promise.race([matches(pattern), end])
      },
    }),
  }
}
