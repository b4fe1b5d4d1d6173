// server-flags.ts: the flags of a member, with the names, variables (ETCD_*) and texts of etcd. The
// commands that start a server share them.
import { type Command, Option } from 'commander'
import type { LogLevel } from '../platform/log.js'
import type { ServerConfig } from '../server/config.js'
import { authToken } from './auth-token.js'
import { UsageError } from './context.js'
import { featureGates, gateNames } from './feature-gates.js'
import type { FlagTexts } from './flag-texts.js'
import { givenInert, inertFlags } from './server-flags-inert.js'
import { boolean, count, durationMs, list, ValueError } from './values.js'

/** A flag of etcd: how its text is read, and which setting it is. */
interface ServerFlag {
  readonly name: string
  readonly value:
    | '<string>'
    | '<file>'
    | '<urls>'
    | '<int>'
    | '<ms>'
    | '<duration>'
    | '<version>'
    | undefined
  readonly about: string
  /** A name from before etcd 3.6, which scripts may still use; help does not show it. */
  readonly former?: string
  read(text: string): Partial<ServerConfig>
}

const tlsVersions = ['TLS1.2', 'TLS1.3'] as const

const flags: readonly ServerFlag[] = [
  flag('name', '<string>', 'name of this member', (name) => ({ name })),
  flag('data-dir', '<string>', 'directory of this member; empty: keep nothing', (dir) => ({
    dataDir: dir === '' ? undefined : dir,
  })),
  flag('wal-dir', '<string>', 'directory of the log', (dir) => ({
    walDir: dir === '' ? undefined : dir,
  })),
  flag(
    'listen-client-urls',
    '<urls>',
    'where to listen for clients; port 0: a free one',
    (text) => ({
      listenClientUrls: list(text),
    }),
  ),
  flag('advertise-client-urls', '<urls>', 'where clients are told to come', (text) => ({
    advertiseClientUrls: list(text),
  })),
  flag('listen-peer-urls', '<urls>', 'where to listen for other members', (text) => ({
    listenPeerUrls: list(text),
  })),
  flag('initial-advertise-peer-urls', '<urls>', 'where members are told to come', (text) => ({
    initialAdvertisePeerUrls: list(text),
  })),
  flag(
    'initial-cluster',
    '<string>',
    'members of a new cluster: name=url,...',
    (initialCluster) => ({
      initialCluster,
    }),
  ),
  flag('initial-cluster-state', '<string>', 'new, or existing to join', (text) => ({
    initialClusterState: oneOf(text, ['new', 'existing']),
  })),
  flag('initial-cluster-token', '<string>', 'keeps clusters apart', (initialClusterToken) => ({
    initialClusterToken,
  })),
  flag('max-cluster-version', '<version>', 'lets older members join: 3.4, 3.5 ...', (text) => ({
    maxClusterVersion: version(text),
  })),
  flag('heartbeat-interval', '<ms>', 'milliseconds between heartbeats', (text) => ({
    heartbeatIntervalMs: count(text),
  })),
  flag('election-timeout', '<ms>', 'milliseconds without a leader', (text) => ({
    electionTimeoutMs: count(text),
  })),
  flag('pre-vote', undefined, 'ask before a campaign', (text) => ({ preVote: boolean(text) })),
  flag('snapshot-count', '<int>', 'entries between two checkpoints', (text) => ({
    snapshotCount: count(text),
  })),
  formerly(
    'experimental-snapshot-catchup-entries',
    flag('snapshot-catchup-entries', '<int>', 'entries kept for slow followers', (text) => ({
      snapshotCatchupEntries: count(text),
    })),
  ),
  flag('quota-backend-bytes', '<int>', 'size of the database that raises an alarm', (text) => ({
    quotaBackendBytes: count(text),
  })),
  flag('max-request-bytes', '<int>', 'largest request', (text) => ({
    maxRequestBytes: count(text),
  })),
  flag('max-txn-ops', '<int>', 'most operations in a transaction', (text) => ({
    maxTxnOps: count(text),
  })),
  flag('max-concurrent-streams', '<int>', 'most calls on a connection', (text) => ({
    maxConcurrentStreams: count(text),
  })),
  formerly(
    'experimental-watch-progress-notify-interval',
    flag('watch-progress-notify-interval', '<duration>', 'between progress reports', (text) => ({
      watchProgressNotifyIntervalMs: durationMs(text),
    })),
  ),
  flag('auto-compaction-mode', '<string>', 'periodic or revision', (text) => ({
    autoCompactionMode: oneOf(text, ['periodic', 'revision']),
  })),
  flag('force-new-cluster', undefined, 'go on without the other members', (text) => ({
    forceNewCluster: boolean(text),
  })),
  flag('experimental-initial-corrupt-check', undefined, 'compare data before serving', (text) => ({
    initialCorruptCheck: boolean(text),
  })),
  flag('experimental-enable-lease-checkpoint', undefined, 'keep what leases have left', (text) => ({
    leaseCheckpoint: boolean(text),
  })),
  flag('experimental-enable-lease-checkpoint-persist', undefined, 'on disk, too', (text) => ({
    leaseCheckpointPersist: boolean(text),
  })),
  flag(
    'feature-gates',
    '<string>',
    `name=true,...; known: ${gateNames.join(', ')}`,
    (text) => featureGates(text).config,
  ),
  formerly(
    'experimental-corrupt-check-time',
    flag('corrupt-check-time', '<duration>', 'between comparisons; 0: none', (text) => ({
      corruptCheckTimeMs: durationMs(text),
    })),
  ),
  flag('listen-client-http-urls', '<urls>', 'where to serve HTTP apart from gRPC', (text) => ({
    listenClientHttpUrls: text === '' ? [] : list(text),
  })),
  flag('listen-metrics-urls', '<urls>', 'where to serve metrics and health alone', (text) => ({
    listenMetricsUrls: text === '' ? [] : list(text),
  })),
  flag('enable-grpc-gateway', undefined, 'serve the API as JSON, too', (text) => ({
    enableGrpcGateway: boolean(text),
  })),
  flag('cors', '<urls>', 'origins that may read answers over HTTP; *: all', (text) => ({
    cors: text.split(',').map((each) => each.trim()),
  })),
  flag(
    'host-whitelist',
    '<string>',
    'names for this server in HTTP without TLS; *: all',
    (text) => ({
      hostWhitelist: text.split(','),
    }),
  ),
  flag('metrics', '<string>', 'basic, or extensive: with durations of calls', (text) => ({
    metrics: oneOf(text, ['basic', 'extensive']),
  })),
  flag('cert-file', '<file>', 'certificate of the client port', (text) => ({
    certFile: text === '' ? undefined : text,
  })),
  flag('key-file', '<file>', 'private key of the client port', (text) => ({
    keyFile: text === '' ? undefined : text,
  })),
  flag('trusted-ca-file', '<file>', 'authority that clients must be vouched for by', (text) => ({
    trustedCaFile: text === '' ? undefined : text,
  })),
  flag('client-cert-auth', undefined, "take a certificate's common name for its user", (text) => ({
    clientCertAuth: boolean(text),
  })),
  flag('peer-cert-file', '<file>', 'certificate shown to other members', (text) => ({
    peerCertFile: text === '' ? undefined : text,
  })),
  flag('peer-key-file', '<file>', 'private key of that certificate', (text) => ({
    peerKeyFile: text === '' ? undefined : text,
  })),
  flag('peer-trusted-ca-file', '<file>', 'authority of the other members', (text) => ({
    peerTrustedCaFile: text === '' ? undefined : text,
  })),
  flag(
    'peer-client-cert-auth',
    undefined,
    'with an authority members are always checked',
    () => ({}),
  ),
  flag('peer-cert-allowed-cn', '<string>', 'common name that other members must have', (text) => ({
    peerCertAllowedCn: text,
  })),
  flag('auto-tls', undefined, 'make a certificate for the client port', (text) => ({
    autoTls: boolean(text),
  })),
  flag('cipher-suites', '<string>', 'suites of TLS 1.2, comma separated', (text) => ({
    cipherSuites: text === '' ? [] : list(text),
  })),
  flag('tls-min-version', '<string>', 'TLS1.2 or TLS1.3', (text) =>
    text === '' ? {} : { tlsMinVersion: oneOf(text, tlsVersions) },
  ),
  flag('tls-max-version', '<string>', 'TLS1.2 or TLS1.3', (text) =>
    text === '' ? {} : { tlsMaxVersion: oneOf(text, tlsVersions) },
  ),
  flag('auth-token', '<string>', 'kind of token: simple, or jwt,sign-method=...', (text) => ({
    authToken: authToken(text),
  })),
  flag('auth-token-ttl', '<int>', 'seconds that a simple token lives unused', (text) => ({
    authTokenTtlSeconds: count(text),
  })),
  flag('bcrypt-cost', '<int>', 'work of hashing a password, 4 to 31', (text) => ({
    bcryptCost: count(text),
  })),
  flag('unsafe-no-fsync', undefined, 'answer before the log is on disk', (text) => ({
    unsafeNoFsync: boolean(text),
  })),
]

export interface ServerSettings {
  /** What was given, by a flag or its variable. */
  given: Partial<ServerConfig>
  logLevel: LogLevel
  /** Flags that were given and set nothing here. */
  inert: readonly string[]
}

/** Declares the flags, less those that make no sense where a command decides by itself. */
export function serverWords(command: Command, { except = [] as readonly string[] } = {}): Command {
  for (const { name, value, about, former } of flags) {
    if (except.includes(name)) continue
    const placeholder = value === undefined ? '' : ` ${value}`
    command.option(`--${name}${placeholder}`, about)
    if (former !== undefined) command.addOption(new Option(`--${former}${placeholder}`).hideHelp())
  }
  for (const { name, isSwitch } of inertFlags) {
    if (except.includes(name)) continue
    command.addOption(new Option(`--${name}${isSwitch ? '' : ' <string>'}`).hideHelp())
  }
  return command
    .option('--auto-compaction-retention <string>', 'hours, a duration, or revisions; 0: off')
    .option('--log-level <string>', 'debug, info, warn, error, panic or fatal')
}

/** Whether a configuration file may have this at its top level. */
export function isServerFlag(name: string): boolean {
  const others = ['auto-compaction-retention', 'log-level']
  const all = [...flags.flatMap(({ name: now, former }) => [now, former]), ...others]
  return all.includes(name) || inertFlags.some((one) => one.name === name)
}

/** Whether a number without a unit stands for nanoseconds, as in Go's JSON. */
export function isDurationFlag(name: string): boolean {
  return flags.some((one) => one.value === '<duration>' && [one.name, one.former].includes(name))
}

/** @throws UsageError */
export function serverSettings(
  texts: FlagTexts,
  { logLevel: defaultLevel, except = [] }: { logLevel: LogLevel; except?: readonly string[] },
): ServerSettings {
  const given: Partial<ServerConfig> = {}
  for (const each of flags) {
    if (except.includes(each.name)) continue
    const text = texts(each.name) ?? (each.former && texts(each.former))
    if (text !== undefined) Object.assign(given, checked(each.name, text, each.read))
  }
  const mode = given.autoCompactionMode ?? 'periodic'
  const retention = texts('auto-compaction-retention') ?? '0'
  given.autoCompactionRetention = checked('auto-compaction-retention', retention, (text) =>
    compactionRetention(text, mode),
  )
  const level = texts('log-level') ?? defaultLevel
  const logLevel = checked('log-level', level, readLogLevel)
  const isAsked = !except.includes('feature-gates')
  const { inert } = featureGates((isAsked && texts('feature-gates')) || '')
  const inertGates = inert.map((name) => `feature-gates=${name}`)
  return { given, logLevel, inert: [...givenInert(texts, except), ...inertGates] }
}

/** A panic of etcd is an error here. */
function readLogLevel(text: string): LogLevel {
  const known = ['debug', 'info', 'warn', 'error', 'panic', 'fatal'] as const
  const level = oneOf(text, known)
  return level === 'panic' ? 'error' : level
}

function flag(
  name: string,
  value: ServerFlag['value'],
  about: string,
  read: ServerFlag['read'],
): ServerFlag {
  return { name, value, about, read }
}

function formerly(former: string, now: ServerFlag): ServerFlag {
  return { ...now, former }
}

/** @throws UsageError naming the flag whose text cannot be read */
function checked<T>(name: string, text: string, read: (text: string) => T): T {
  try {
    return read(text)
  } catch (error) {
    if (!(error instanceof ValueError)) throw error
    throw new UsageError(`invalid value "${text}" for flag --${name}: ${error.message}`, 2)
  }
}

function oneOf<T extends string>(text: string, allowed: readonly T[]): T {
  const found = allowed.find((each) => each === text)
  if (found === undefined) throw new ValueError(`${text} is not one of ${allowed.join(', ')}`)
  return found
}

/** Major and minor, as in 3.4 or 3.4.0. */
function version(text: string): string {
  const [, numbers] = /^v?(\d+\.\d+)(\.\d+)?$/.exec(text) ?? []
  if (numbers === undefined) throw new ValueError(`${text} is no version`)
  return `${numbers}.0`
}

/** A bare number counts hours in periodic mode, revisions in revision mode. */
function compactionRetention(text: string, mode: ServerConfig['autoCompactionMode']): number {
  if (mode === 'revision') return count(text)
  return /^\d+$/.test(text) ? count(text) * 60 * 60 * 1000 : durationMs(text)
}
