// replay.ts: runs recorded cases again, each with what was done before it and while it ran.
//
// Where the recording slept, the replay waits for what the sleep was for: the first answer of the
// server to a client that shows nothing, the output of what was just done, all of the expected
// lines before a signal.
import { argument } from '../../../src/commands/context.js'
import { startAnswerCountingProxy } from '../../support/answer-counting-proxy.js'
import type { Client, Running } from './clients.js'
import type { Case, Command, Outcome, Step } from './recording.js'
import { expression } from './text.js'

/** What the cases of one group share while they run. */
export interface Stage {
  client: Client
  /** Runs what only prepares. */
  hands: Client
  server: 'etcd' | 'bundled'
  /** Recorded address to the one that is there instead. */
  addresses: ReadonlyMap<string, string>
  /** Values of {{NAME}}. */
  captured: Map<string, string>
  cwd: string
  /** Waits for the effect of a case, in place of what it only shows after half a minute. */
  effect?: () => Promise<void>
}

/** Longest wait for something that has to come. */
const patienceMs = 60_000

export async function runCase(one: Case, stage: Stage): Promise<Outcome> {
  const behind = { ...stage, client: stage.hands }
  for (const command of one.setup) {
    await runCommand(Array.isArray(command) ? { argv: command } : (command as Command), one, behind)
  }
  const words = one.argv_b64?.map((word) => argument(Buffer.from(word, 'base64'))) ?? one.argv
  const steps = one.steps ?? (stage.client.name === 'tsctl' ? endless[one.name] : undefined)
  const played = { ...one, argv: words }
  if (steps === undefined) return runCommand(played, one, stage)
  return perform({ ...played, steps }, stage)
}

/** What etcdctl refuses, and tsctl does until it is told to stop. */
const endless: Readonly<Record<string, readonly Step[]>> = {
  'watch/table': [{ await_stdout: '.' }, { signal: 'SIGINT' }],
}

/** Recorded text with the addresses of this run and the values captured in it. */
export function filled(text: string, { addresses, captured }: Stage): string {
  return text
    .replace(/127\.0\.0\.1:\d+/g, (address) => addresses.get(address) ?? address)
    .replace(/\{\{(\w+)\}\}/g, (_, name) => captured.get(name) ?? '')
}

export async function runCommand(
  command: Omit<Command, 'stdin'> & { stdin?: string | null },
  { env, tty }: Pick<Case, 'env' | 'tty'>,
  stage: Stage,
): Promise<Outcome> {
  const running = stage.client.start({
    argv: command.argv.map((word) => filled(word, stage)),
    env: environment(env, stage),
    cwd: stage.cwd,
    isTerminal: tty === true,
    runsCommands: runsCommands(command.argv),
  })
  const { text, count } = command.stdin_repeat ?? { text: command.stdin ?? '', count: 1 }
  if (text !== '') running.type(text.repeat(count))
  running.endInput()
  const outcome = await running.outcome
  capture(outcome.stdout, command.capture, stage)
  return outcome
}

const environment = (env: Case['env'], stage: Stage): Record<string, string> =>
  Object.fromEntries(Object.entries(env).map(([name, value]) => [name, filled(value, stage)]))

function capture(output: Buffer, patterns: Command['capture'] = {}, { captured }: Stage): void {
  for (const [name, pattern] of Object.entries(patterns)) {
    captured.set(name, expression(pattern).exec(output.toString())?.[1] ?? '')
  }
}

/** A command that stays in the foreground, and what is done while it runs. */
async function perform(one: Case, stage: Stage): Promise<Outcome> {
  const env = environment(one.env, stage)
  const [host = '', port = ''] = (env.ETCDCTL_ENDPOINTS ?? '').split(':')
  await using proxy = await startAnswerCountingProxy(Number(port))
  const running = stage.client.start({
    argv: one.argv.map((word) => filled(word, stage)),
    env: { ...env, ETCDCTL_ENDPOINTS: `${host}:${proxy.port}` },
    cwd: stage.cwd,
    isTerminal: one.tty === true,
    runsCommands: runsCommands(one.argv) || typesCommands(one),
  })
  const isTyping = (one.steps ?? []).some((step) => 'send_stdin' in step)
  if (!isTyping) running.endInput()
  const watched = watching(running, proxy)
  for (const [at, step] of (one.steps ?? []).entries()) {
    const next = one.steps?.[at + 1]
    await runStep(step, { one, stage, running, watched, next })
  }
  const outcome = await within(running.outcome, one)
  capture(outcome.stdout, one.capture, stage)
  return outcome
}

/** Whether the tool starts other programs, which write where it writes. */
function runsCommands(argv: readonly string[]): boolean {
  const [word] = argv
  return (word === 'watch' && argv.includes('--')) || (word === 'lock' && argv.length > 2)
}

const typesCommands = ({ steps = [] }: Case): boolean =>
  steps.some((step) => 'send_stdin' in step && step.send_stdin.includes(' -- '))

interface Performance {
  one: Case
  stage: Stage
  running: Running
  watched: Watched
  next: Step | undefined
}

async function runStep(step: Step, performance: Performance): Promise<void> {
  const { one, stage, running, watched, next } = performance
  if ('sleep_ms' in step) {
    if (one.tty) {
      await watched.until(() => false, step.sleep_ms) // the echo goes off meanwhile
      return
    }
    await watched.until(() => isSettled(performance), patienceMs)
    // What shows nothing may be about to catch the signal: its messages end when it waits.
    if (isSilent(performance)) await watched.rest()
  } else if ('timeout' in step) await stage.effect?.()
  else if ('await_stdout' in step) {
    const pattern = expression(step.await_stdout, 's')
    const isShown = await watched.until(() => pattern.test(running.stdout().toString()), patienceMs)
    if (!isShown) throw new Error(`${one.name} shows no ${step.await_stdout}: ${said(running)}`)
  } else if ('capture_stdout' in step) capture(running.stdout(), step.capture_stdout, stage)
  else if ('send_stdin' in step) {
    watched.mark()
    running.type(step.send_stdin)
  } else if ('close_stdin' in step) running.endInput()
  else if ('signal' in step) running.signal(step.signal)
  else {
    // What a command does while nothing else happens in between is one thing to wait for.
    if (next === undefined || 'sleep_ms' in next || 'await_stdout' in next) watched.mark()
    await runCommand(step, one, { ...stage, client: stage.hands })
  }
}

/** Whether that has come for which the recording slept. */
function isSettled({ one, running, watched, next }: Performance): boolean {
  const isLast = next !== undefined && ('signal' in next || 'close_stdin' in next)
  if (!isLast || one.stdout_b64 === undefined) return watched.hasMoved()
  const expected = Buffer.from(one.stdout_b64, 'base64')
  if (expected.length === 0) return watched.hasMoved()
  // Numbers in a message may be a byte or two shorter than they were.
  if (one.format === 'protobuf') return running.stdout().length > expected.length * 0.95 - 4
  return lineCount(running.stdout()) >= lineCount(expected)
}

const isSilent = ({ one, next }: Performance): boolean =>
  one.stdout_b64 === '' && next !== undefined && 'signal' in next

const lineCount = (output: Buffer): number => output.toString('latin1').split('\n').length

interface Watched {
  /** What counts as movement counts from now on. */
  mark(): void
  /** Whether there was output or an answer of the server since the last mark. */
  hasMoved(): boolean
  /** Waits for the condition, looked at whenever something moves; whether it came true. */
  until(condition: () => boolean, limitMs: number): Promise<boolean>
  /** Waits until nothing has moved for a while. */
  rest(): Promise<void>
}

function watching(running: Running, proxy: { answerCount: number; onAnswer: () => void }): Watched {
  const position = (): number =>
    running.stdout().length + running.stderr().length + proxy.answerCount
  let marked = 0
  let look = (): void => undefined
  running.onOutput = () => look()
  proxy.onAnswer = () => look()
  const watched: Watched = {
    mark() {
      marked = position()
    },
    hasMoved: () => position() > marked,
    async rest() {
      do watched.mark()
      while (await watched.until(watched.hasMoved, restMs))
    },
    until: (condition, limitMs) =>
      new Promise((resolve) => {
        const settle = (isTrue: boolean): void => {
          clearTimeout(timer)
          look = () => undefined
          resolve(isTrue)
        }
        const timer = setTimeout(() => settle(condition()), limitMs)
        look = () => {
          if (condition()) settle(true)
        }
        look()
      }),
  }
  return watched
}

const restMs = 250

async function within(outcome: Promise<Outcome>, { name }: Case): Promise<Outcome> {
  let timer: NodeJS.Timeout | undefined
  const limit = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${name} does not end`)), patienceMs)
  })
  return Promise.race([outcome, limit]).finally(() => clearTimeout(timer))
}

const said = (running: Running): string => `${running.stdout()}${running.stderr()}`
