// recording.ts: the transcripts of a real etcdctl, as fixtures/golden/etcdctl-3.4/README.md
// describes them, and what each case expects.
import { readdirSync, readFileSync } from 'node:fs'

/** A command that prepares a case, or that runs while the case does. */
export interface Command {
  argv: readonly string[]
  stdin?: string
  stdin_repeat?: { text: string; count: number }
  capture?: Readonly<Record<string, string>>
}

export type Step =
  | { sleep_ms: number }
  | { await_stdout: string }
  | { await_stdout: string; timeout: number }
  | { capture_stdout: Readonly<Record<string, string>> }
  | { send_stdin: string }
  | { close_stdin: true }
  | { signal: 'SIGINT' | 'SIGTERM' }
  | Command

export interface Case {
  /** Name of the group: `put`. */
  file: string
  name: string
  format: string
  server: string
  env: Readonly<Record<string, string>>
  setup: readonly (readonly string[] | Command)[]
  argv: readonly string[]
  argv_b64?: readonly string[]
  values?: Readonly<Record<string, string>>
  stdin: string | null
  stdin_repeat?: { text: string; count: number }
  steps?: readonly Step[]
  tty?: boolean
  /** Run to carry state; nothing is expected. */
  state_only?: boolean
  stdout_b64?: string
  stderr_text?: string
  exit?: number
  usage_omitted?: boolean
  capture?: Readonly<Record<string, string>>
  volatile: readonly string[]
}

/** What a run came to, or should come to. */
export interface Outcome {
  exit: number
  stdout: Buffer
  stderr: string
}

const folder = new URL('../../../fixtures/golden/etcdctl-3.4/', import.meta.url)

export const groups: readonly string[] = readdirSync(folder)
  .filter((file) => file.endsWith('.json'))
  .map((file) => file.replace(/\.json$/, ''))

export function casesOf(group: string): readonly Case[] {
  const text = readFileSync(new URL(`${group}.json`, folder), 'utf8')
  return (JSON.parse(text) as Case[]).map((one) => ({ ...one, file: group }))
}

/** A case that has something to compare, after those that only carry state for it. */
export interface Scene {
  before: readonly Case[]
  expecting: Case
}

export function scenesOf(group: string): readonly Scene[] {
  const scenes: Scene[] = []
  let before: Case[] = []
  for (const one of casesOf(group)) {
    if (one.state_only) before.push(one)
    else {
      scenes.push({ before, expecting: one })
      before = []
    }
  }
  return scenes
}

export function expectedOutcome(one: Case): Outcome {
  return {
    exit: one.exit ?? 0,
    stdout: Buffer.from(one.stdout_b64 ?? '', 'base64'),
    stderr: one.stderr_text ?? '',
  }
}
