// server: runs one member of a cluster until SIGINT or SIGTERM. Flags and their ETCD_* variables
// are etcd's; what is not given has etcd's default. Events are logged to standard error, a JSON
// line each; standard output tells only when and where clients may come.
import type { LogLevel } from '../platform/log.js'
import { type ServerConfig, serverConfig } from '../server/config.js'
import { systemPlatform } from '../server/platform.js'
import { startServer } from '../server/server.js'
import {
  type CommandContext,
  CommandError,
  type CommandLine,
  defineCommand,
  UsageError,
} from './context.js'
import { runCommand } from './run.js'
import { serverSettings, serverWords } from './server-flags.js'

/** Both commands that start a server are in one bundle, so that it holds the server once. */
export { runCommand }

export interface ServerOptions {
  config: ServerConfig
  logLevel: LogLevel
}

/** @throws UsageError, ConfigError */
export function serverOptions(
  typed: Readonly<Record<string, unknown>>,
  args: readonly string[],
  { env }: Pick<CommandLine, 'env'>,
): ServerOptions {
  if (args.length > 0) throw new UsageError(`'${args[0]}' is not a valid flag`, 2)
  const { given, logLevel } = serverSettings(typed, env, { logLevel: 'info' })
  return { config: serverConfig(given), logLevel }
}

/** Serves until a signal. */
export async function runServer(
  ctx: CommandContext,
  { config, logLevel }: ServerOptions,
): Promise<void> {
  ctx.catchInterrupts()
  const platform = systemPlatform(logLevel, (line) => ctx.warn(line))
  const { signal } = ctx
  const server = await startServer(config, platform, { signal }).catch((error: unknown) => {
    // A member that waits for the others may be told to wait no longer.
    if (!signal.aborted) throw error
  })
  if (server === undefined) return
  try {
    await ctx.write(`serving clients on ${server.endpoints.join(', ')}\n`)
    const failure = await Promise.race([server.failed, interrupted(ctx.signal)])
    if (failure !== undefined) {
      throw new CommandError(failure.message, { exitCode: 1, cause: failure })
    }
  } finally {
    await server.close()
  }
}

export const serverCommand = defineCommand({
  words: (command) => serverWords(command),
  options: serverOptions,
  run: runServer,
})

function interrupted(signal: AbortSignal): Promise<undefined> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve(undefined)
    else signal.addEventListener('abort', () => resolve(undefined), { once: true })
  })
}
