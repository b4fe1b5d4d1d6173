// run [flags] -- command args...: runs a command beside a server of its own, on a free port and
// with nothing on disk, and ends as the command ends. `tsctl run -- npm test` is all that a CI job
// needs. The command finds the server by ETCDCTL_ENDPOINTS and TSCTL_SERVER_URL.
import { constants } from 'node:os'
import type { LogLevel } from '../platform/log.js'
import type { ServerConfig } from '../server/config.js'
import { startCluster, startServer } from '../server/library/library.js'
import { type Ending, startChild } from './child.js'
import {
  type CommandContext,
  CommandError,
  type CommandLine,
  defineCommand,
  type Environment,
  UsageError,
} from './context.js'
import { givenTexts } from './flag-texts.js'
import { serverSettings, serverWords } from './server-flags.js'
import { inertFlags } from './server-flags-inert.js'
import { count } from './values.js'

interface RunFlags {
  port: number
  members?: number
}

export interface RunOptions {
  port: number
  /** More than one: a cluster. */
  members: number
  config: Partial<ServerConfig>
  logLevel: LogLevel
  command: readonly string[]
}

/** Where the server is and what it keeps is decided here. */
const decided = [
  'name',
  'data-dir',
  'wal-dir',
  'listen-client-urls',
  'listen-client-http-urls',
  'advertise-client-urls',
  'listen-peer-urls',
  'initial-advertise-peer-urls',
  'initial-cluster',
  'initial-cluster-state',
  'initial-cluster-token',
  'force-new-cluster',
  'experimental-initial-corrupt-check',
  'experimental-enable-lease-checkpoint',
  'experimental-enable-lease-checkpoint-persist',
  'feature-gates',
  'corrupt-check-time',
  'unsafe-no-fsync',
  'cert-file',
  'key-file',
  'trusted-ca-file',
  'client-cert-auth',
  'auto-tls',
  'cipher-suites',
  'tls-min-version',
  'tls-max-version',
  'peer-cert-file',
  'peer-key-file',
  'peer-trusted-ca-file',
  'peer-client-cert-auth',
  'peer-cert-allowed-cn',
  // A variable of theirs is for another server, and may be one that this server refuses.
  ...inertFlags.map(({ name }) => name),
]

export function runOptions(
  flags: RunFlags & Readonly<Record<string, unknown>>,
  args: readonly string[],
  { env }: Pick<CommandLine, 'env'>,
): RunOptions {
  if (args.length === 0) {
    throw new UsageError('run needs a command: tsctl run [flags] -- command args...')
  }
  const { port, members = 1 } = flags
  if (members < 1) throw new UsageError('run needs at least one member')
  if (members > 1 && port !== 0) throw new UsageError('--port is for a single member')
  const { given, logLevel } = serverSettings(givenTexts(flags, env), {
    logLevel: 'warn',
    except: decided,
  })
  return { port, members, config: given, logLevel, command: args }
}

export async function runBeside(ctx: CommandContext, options: RunOptions): Promise<void> {
  const { command } = options
  await using server = await started(ctx, options)
  const child = startChild(
    command,
    { ...inherited(ctx.env), ...server.env() },
    { stdin: 'inherit' },
  )
  const stopPassing = ctx.onInterrupt((signal) => {
    // Ctrl-C in a terminal reaches the command by itself: all of the foreground gets it.
    if (signal !== 'SIGINT' || ctx.stderr.isTTY !== true) child.kill(signal)
  })
  try {
    end(command[0] ?? '', await child.ending)
  } finally {
    stopPassing()
  }
}

function started(ctx: CommandContext, { port, members, config, logLevel }: RunOptions) {
  const log = { level: logLevel, write: (line: string): void => ctx.warn(line) }
  return members > 1
    ? startCluster({ size: members, config, log })
    : startServer({ port, config, log })
}

/** As a shell tells how a command ended. */
function end(file: string, ending: Ending): void {
  if (ending.kind === 'exit' && ending.code === 0) return
  if (ending.kind === 'exit') throw new CommandError('', { exitCode: ending.code })
  if (ending.kind === 'signal') {
    throw new CommandError('', { exitCode: 128 + constants.signals[ending.signal] })
  }
  const isAbsent = ending.reason.includes('not found') || ending.reason.includes('no such file')
  throw new CommandError(`cannot run ${file}: ${ending.reason}`, { exitCode: isAbsent ? 127 : 126 })
}

/** What would lead a client elsewhere, or make it expect more than this server has. */
const misleading = [
  'ETCDCTL_CACERT',
  'ETCDCTL_CERT',
  'ETCDCTL_KEY',
  'ETCDCTL_USER',
  'ETCDCTL_PASSWORD',
  'ETCDCTL_TOKEN',
  'ETCDCTL_DISCOVERY_SRV',
  'ETCDCTL_INSECURE_TRANSPORT',
]

function inherited(env: Environment): Environment {
  return Object.fromEntries(Object.entries(env).filter(([name]) => !misleading.includes(name)))
}

export const runCommand = defineCommand({
  words: (command) =>
    serverWords(
      command
        .argument('<command>')
        .argument('[args...]')
        .option('--port <int>', 'port of the server; 0: a free one', count, 0)
        .option('--members <int>', 'members of a cluster on this machine', count, 1),
      { except: decided },
    ),
  options: runOptions,
  run: runBeside,
})
