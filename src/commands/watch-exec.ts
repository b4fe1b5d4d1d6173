// watch-exec.ts: the command that `watch … -- command` runs for each event, one after the other.
// It sees the event in its environment, writes where we write and reads nothing.
import { type Event, Event_EventType } from '../api/gen/kv.js'
import type { WatchResponse } from '../api/gen/rpc.js'
import { quoted, quotedList } from '../output/quote.js'
import { failureText, startChild } from './child.js'
import { type CommandContext, CommandError } from './context.js'

/** Throws a CommandError, its text already said, when the command fails. */
export async function runForEvents(
  ctx: CommandContext,
  command: readonly string[],
  { header, events }: WatchResponse,
): Promise<void> {
  for (const event of events) {
    const env = { ...ctx.env, ...eventVariables(header?.revision ?? '0', event) }
    const failure = failureText(await startChild(command, env).ending)
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
