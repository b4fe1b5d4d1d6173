// child.ts: a command that is run for the user (`watch … -- command`, `lock NAME command`). It
// writes where we write, and reads nothing unless it is told to. How it ended is told in Go's
// words.
import { spawn } from 'node:child_process'
import { quoted } from '../output/quote.js'

export type Ending =
  | { kind: 'exit'; code: number }
  | { kind: 'signal'; signal: NodeJS.Signals }
  /** It could not be started. */
  | { kind: 'unstarted'; reason: string }

export interface Child {
  readonly ending: Promise<Ending>
  /** Nothing happens when it has ended. */
  kill(signal: NodeJS.Signals): void
}

export function startChild(
  [file = '', ...args]: readonly string[],
  env: Readonly<Record<string, string | undefined>>,
  { stdin = 'ignore' }: { stdin?: 'ignore' | 'inherit' } = {},
): Child {
  const child = spawn(file, args, { env, stdio: [stdin, 'inherit', 'inherit'] })
  const ending = new Promise<Ending>((resolve) => {
    child.on('error', (error) => {
      // A signal that could not be sent is an error of the child, too, and no end of it.
      if (child.pid === undefined) resolve({ kind: 'unstarted', reason: startFailure(file, error) })
    })
    child.on('close', (code, signal) => {
      resolve(signal === null ? { kind: 'exit', code: code ?? 0 } : { kind: 'signal', signal })
    })
  })
  return { ending, kill: (signal) => void child.kill(signal) }
}

/** Undefined when it went well. */
export function failureText(ending: Ending): string | undefined {
  if (ending.kind === 'unstarted') return ending.reason
  if (ending.kind === 'signal') return `signal: ${signalTexts[ending.signal] ?? ending.signal}`
  return ending.code === 0 ? undefined : `exit status ${ending.code}`
}

function startFailure(file: string, { code, message }: NodeJS.ErrnoException): string {
  const isPath = file.includes('/')
  const reason = code === 'ENOENT' ? 'no such file or directory' : 'permission denied'
  if (code !== 'ENOENT' && code !== 'EACCES') return message
  if (isPath) return `fork/exec ${file}: ${reason}`
  return `exec: ${quoted(file)}: executable file not found in $PATH`
}

const signalTexts: Readonly<Record<string, string>> = {
  SIGABRT: 'aborted',
  SIGHUP: 'hangup',
  SIGINT: 'interrupt',
  SIGKILL: 'killed',
  SIGPIPE: 'broken pipe',
  SIGQUIT: 'quit',
  SIGSEGV: 'segmentation fault',
  SIGTERM: 'terminated',
}
