// server: runs one member of a cluster until SIGINT or SIGTERM. Flags, their ETCD_* variables and
// the configuration file are etcd's; what is not given has etcd's default. Events are logged to
// standard error, a JSON line each; standard output tells only when and where clients may come.
import { etcdVersion } from '../api/version.js'
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
import { type FlagTexts, givenTexts } from './flag-texts.js'
import { runCommand } from './run.js'
import { serverSettings, serverWords } from './server-flags.js'
import { tellSupervisor } from './supervisor.js'

/** Both commands that start a server are in one bundle, so that it holds the server once. */
export { runCommand }

export interface ServerOptions {
  config: ServerConfig
  logLevel: LogLevel
  /** What the log should warn of, once it is there. */
  warnings: readonly string[]
}

export type ServerWork =
  | { kind: 'version' }
  | { kind: 'file'; configFile: string }
  | { kind: 'serve'; options: ServerOptions }

/** @throws UsageError, ConfigError */
export function serverWork(
  typed: Readonly<Record<string, unknown>>,
  args: readonly string[],
  { env }: Pick<CommandLine, 'env'>,
): ServerWork {
  if (args.length > 0) throw new UsageError(`'${args[0]}' is not a valid flag`, 1)
  if (typed.version === true) return { kind: 'version' }
  const texts = givenTexts(typed, env)
  const configFile = texts('config-file')
  if (configFile !== undefined && configFile !== '') return { kind: 'file', configFile }
  return { kind: 'serve', options: serverOptions(texts, []) }
}

function serverOptions(texts: FlagTexts, unknownKeys: readonly string[]): ServerOptions {
  const { given, logLevel, inert } = serverSettings(texts, { logLevel: 'info' })
  const config = serverConfig(given)
  const warnings = [
    // etcd takes its default then, so whoever left a variable empty by mistake should hear of it.
    ...(config.dataDir === undefined ? ['data-dir was empty; nothing is kept on disk'] : []),
    ...inert.map((name) => `--${name} sets nothing in this server`),
    ...unknownKeys.map((key) => `${key} in the configuration file is no setting of a server`),
  ]
  return { config, logLevel, warnings }
}

async function fileOptions(ctx: CommandContext, configFile: string): Promise<ServerOptions> {
  const content = await ctx.files.readFile(configFile).catch((error: NodeJS.ErrnoException) => {
    const reason = error.code === 'ENOENT' ? 'no such file or directory' : error.message
    throw new UsageError(`open ${configFile}: ${reason}`, 1)
  })
  const { readConfigFile } = await import('./config-file.js')
  const { texts, unknown } = readConfigFile(content.toString())
  return serverOptions(texts, unknown)
}

async function runServer(ctx: CommandContext, work: ServerWork): Promise<void> {
  if (work.kind === 'version') return ctx.write(versionText())
  return serve(ctx, work.kind === 'file' ? await fileOptions(ctx, work.configFile) : work.options)
}

/** Serves until a signal. */
async function serve(
  ctx: CommandContext,
  { config, logLevel, warnings }: ServerOptions,
): Promise<void> {
  ctx.catchInterrupts()
  const platform = systemPlatform(logLevel, (line) => ctx.warn(line))
  for (const warning of warnings) platform.log.warn(warning)
  const { signal } = ctx
  const server = await startServer(config, platform, { signal }).catch((error: unknown) => {
    // A member that waits for the others may be told to wait no longer.
    if (!signal.aborted) throw error
  })
  if (server === undefined) return
  try {
    await ctx.write(`serving clients on ${server.endpoints.join(', ')}\n`)
    await tellSupervisor(ctx.env, platform.log)
    const failure = await Promise.race([server.failed, interrupted(ctx.signal)])
    if (failure !== undefined) {
      throw new CommandError(failure.message, { exitCode: 1, cause: failure })
    }
  } finally {
    await server.close()
  }
}

export const serverCommand = defineCommand({
  isServer: true,
  words: (command) =>
    serverWords(command)
      .option('--config-file <file>', 'YAML with all settings; other flags do not count then')
      .option('--version', 'print the version and end'),
  options: serverWork,
  run: runServer,
})

/** The lines of etcd, of which scripts read the first. */
function versionText(): string {
  const { version, platform, arch } = process
  const go = arch === 'x64' ? 'amd64' : arch
  const lines = [
    `etcd Version: ${etcdVersion}`,
    'Git SHA: Not provided',
    `Go Version: none (Node ${version})`,
  ]
  return `${lines.join('\n')}\nGo OS/Arch: ${platform}/${go}\n`
}

function interrupted(signal: AbortSignal): Promise<undefined> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve(undefined)
    else signal.addEventListener('abort', () => resolve(undefined), { once: true })
  })
}
