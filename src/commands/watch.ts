// watch: prints changes as they happen, runs a command for each, or takes further watches from
// standard input (-i). It ends when it is interrupted or when the server cancels the watch.
//
//   watch [flags] <key> [range_end] [-- command args…]
import { type CommandContext, CommandError, type CommandLine, defineCommand } from './context.js'
import { followWatch } from './watch-follow.js'
import {
  type WatchEnvironment,
  type WatchFlags,
  type WatchOptions,
  watchEnvironment,
  watchOptions,
  watchWords,
} from './watch-options.js'

export type WatchWork = { interactive: WatchEnvironment } | { watch: WatchOptions }

export function watchWork(
  flags: WatchFlags,
  args: readonly string[],
  { beforeSeparator, env }: CommandLine,
): WatchWork {
  const environment = watchEnvironment(env)
  if (flags.interactive) return { interactive: environment }
  return { watch: watchOptions(flags, { args, beforeSeparator }, environment) }
}

async function runWatch(ctx: CommandContext, work: WatchWork): Promise<void> {
  if ('interactive' in work) {
    const { runInteractiveWatch } = await import('./watch-interactive.js')
    return runInteractiveWatch(ctx, work.interactive)
  }
  const { create, command } = work.watch
  const connection = await ctx.connect()
  await followWatch(ctx, connection.watch(create, { signal: ctx.signal }), { command })
  if (ctx.signal.aborted) return
  throw new CommandError('watch is canceled by the server', { exitCode: 5 })
}

export const watchCommand = defineCommand({
  words: watchWords,
  options: watchWork,
  run: runWatch,
})
