// live-run.ts: a command line that runs in this process on a real connection, for as long as the
// test wants: its input is typed while it runs, its output is awaited, its reader goes away.
import { PassThrough, Writable } from 'node:stream'
import type { Interrupt } from '../../src/commands/context.js'
import { main } from '../../src/main.js'
import { systemClock } from '../../src/platform/clock.js'
import { systemFiles } from '../../src/platform/files.js'
import { systemRandom } from '../../src/platform/random.js'
import { patience } from './run.js'

export interface LiveRun {
  type(text: string): void
  /** No more input. */
  endInput(): void
  /** Resolves when standard output and standard error so far, together, match. */
  shows(pattern: RegExp): Promise<void>
  /** Ctrl-C, or another signal. */
  interrupt(signal?: Interrupt): void
  /** The exit code, when the run has ended. */
  readonly code: Promise<number>
  stdout(): string
  stderr(): string
}

/** With `isTerminal` standard error takes the run for one that a person looks at. */
export function liveRun(
  argv: readonly string[],
  env: Record<string, string> = {},
  { isTerminal = false } = {},
): LiveRun {
  const pieces = { stdout: '', stderr: '' }
  const waiters = new Set<() => void>()
  const stdin = new PassThrough()
  let onInterrupt = (_signal: Interrupt): void => {}
  const sink = (name: 'stdout' | 'stderr'): Writable =>
    new Writable({
      write(piece: Buffer, _encoding, done) {
        pieces[name] += piece.toString('latin1')
        for (const wake of waiters) wake()
        done()
      },
    })
  const code = main(argv, {
    stdin,
    stdout: sink('stdout'),
    stderr: isTerminal ? asTerminal(sink('stderr')) : sink('stderr'),
    env: { ...patience, ...env },
    clock: systemClock,
    random: systemRandom,
    files: systemFiles,
    onInterrupt(callback) {
      onInterrupt = callback
      return () => {
        onInterrupt = () => {}
      }
    },
    stayAwake: () => () => {},
  })
  return {
    type: (text) => void stdin.write(text),
    endInput: () => void stdin.end(),
    async shows(pattern) {
      const ended = code.then((status) => {
        if (pattern.test(pieces.stdout + pieces.stderr)) return
        throw new Error(`ended with ${status}: ${pieces.stdout}${pieces.stderr}`)
      })
      const shown = new Promise<void>((resolve) => {
        const check = (): void => {
          if (!pattern.test(pieces.stdout + pieces.stderr)) return
          waiters.delete(check)
          resolve()
        }
        waiters.add(check)
        check()
      })
      await Promise.race([shown, ended])
    },
    interrupt: (signal = 'SIGINT') => onInterrupt(signal),
    code,
    stdout: () => pieces.stdout,
    stderr: () => pieces.stderr,
  }
}

/** What a spinner needs of a terminal. It moves no cursor: all that was shown stays to be read. */
function asTerminal(stream: Writable): Writable & { isTTY: boolean } {
  const still = (): boolean => true
  const moves = { cursorTo: still, moveCursor: still, clearLine: still }
  return Object.assign(stream, { isTTY: true, columns: 80, ...moves })
}
