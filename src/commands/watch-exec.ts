// watch-exec.ts: the command that `watch … -- command` runs for each event, one after the other.
// It sees the event in its environment, writes where we write and reads nothing.
import { spawn } from 'node:child_process'
import { type Event, Event_EventType } from '../api/gen/kv.js'
import type { WatchResponse } from '../api/gen/rpc.js'
import { quoted, quotedList } from '../output/quote.js'
import { type CommandContext, CommandError } from './context.js'

/** Throws a CommandError, its text already said, when the command fails. */
export async function runForEvents(
  ctx: CommandContext,
  command: readonly string[],
  { header, events }: WatchResponse,
): Promise<void> {
  for (const event of events) {
    const env = { ...ctx.env, ...eventVariables(header?.revision ?? '0', event) }
    const failure = await failureOf(command, env)
    if (failure === undefined) continue
    ctx.warn(`command ${quotedList(command)} error (${failure})\n`)
    throw new CommandError('', { exitCode: 1 })
  }
}

/** The quotes are part of the values: keys may hold anything. */
function eventVariables(revision: string, { type, kv }: Event): Record<string, string> {
  return {
    ETCD_WATCH_REVISION: revision,
    ETCD_WATCH_EVENT_TYPE: type === Event_EventType.DELETE ? '"DELETE"' : '"PUT"',
    ETCD_WATCH_KEY: quoted(kv?.key ?? ''),
    ETCD_WATCH_VALUE: quoted(kv?.value ?? ''),
  }
}

/** How the run failed, in Go's words; undefined when it went well. */
function failureOf(
  [file = '', ...args]: readonly string[],
  env: Record<string, string | undefined>,
): Promise<string | undefined> {
  return new Promise((resolve) => {
    const child = spawn(file, args, { env, stdio: ['ignore', 'inherit', 'inherit'] })
    child.on('error', (error) => resolve(startFailure(file, error)))
    child.on('close', (code, signal) => {
      if (signal !== null) resolve(`signal: ${signalTexts[signal] ?? signal}`)
      else resolve(code === 0 ? undefined : `exit status ${code}`)
    })
  })
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
