// config.ts: what one member is told when it starts, with etcd's names and defaults. Pure: takes
// words, gives a checked configuration or a ConfigError with etcd's text where etcd has one.
import { clusterVersion } from '../api/version.js'
import { InitialClusterError, initialMembers } from '../storage/initial-cluster.js'
import type { MemberRecord } from '../storage/schema.js'

/** Settings of one member. Everything has a value; `defaultConfig` is etcd's own choice. */
export interface ServerConfig {
  name: string
  /** Directory of the member; undefined keeps everything in memory. */
  dataDir: string | undefined
  /** Where the log lives when not in `dataDir`/member/wal. */
  walDir: string | undefined
  listenClientUrls: readonly string[]
  advertiseClientUrls: readonly string[]
  /** Where HTTP and the JSON gateway are served apart from gRPC; empty: on the same ports. */
  listenClientHttpUrls: readonly string[]
  /** Where /metrics and health checks are served once more, and nothing else. */
  listenMetricsUrls: readonly string[]
  /** Empty: no other member can reach this one, so it stays alone. */
  listenPeerUrls: readonly string[]
  initialAdvertisePeerUrls: readonly string[]
  /** Members of the first cluster, this one included: name=url,name=url,... */
  initialCluster: string
  initialClusterState: 'new' | 'existing'
  initialClusterToken: string
  /** Members agree on no newer version, so that older ones may join: 3.4, 3.5 ... */
  maxClusterVersion: string
  /** One tick of raft. */
  heartbeatIntervalMs: number
  /** At least five heartbeats, at most 50 s. */
  electionTimeoutMs: number
  preVote: boolean
  /** Applied entries between two checkpoints, at the least. */
  snapshotCount: number
  /** Entries kept in memory behind the applied index for followers that lag. */
  snapshotCatchupEntries: number
  /** 0: etcd's default of 2 GiB; negative: no limit. */
  quotaBackendBytes: number
  /** Largest proposal, counted as it stands in the log. */
  maxRequestBytes: number
  maxTxnOps: number
  maxConcurrentStreams: number
  watchProgressNotifyIntervalMs: number
  autoCompactionMode: 'periodic' | 'revision'
  /** Milliseconds in periodic mode, revisions in revision mode; 0 is off. */
  autoCompactionRetention: number
  /** Go on without the other members, whose majority is lost. */
  forceNewCluster: boolean
  /** Has the log say how much time long leases have left, for the next leader. */
  leaseCheckpoint: boolean
  /** As etcd's feature of that name, which is taken for granted here. */
  leaseCheckpointPersist: boolean
  /** Compare data with the other members before serving. */
  initialCorruptCheck: boolean
  /** How often the leader compares data; 0 is never. */
  corruptCheckTimeMs: number
  authToken: TokenConfig
  /** How long a simple token lives after its last use. */
  authTokenTtlSeconds: number
  /** Work of hashing a password: 2 to the power of this; 4 to 31, else 10. */
  bcryptCost: number
  /** Certificate and key that this member shows to others, as server and as client. */
  peerCertFile: string | undefined
  peerKeyFile: string | undefined
  /** Authority that other members must be vouched for by. */
  peerTrustedCaFile: string | undefined
  /** The only common name that other members may have; empty: any. */
  peerCertAllowedCn: string
  /** PEM files of the client port, for URLs of https and unixs. */
  certFile: string | undefined
  keyFile: string | undefined
  /** Clients must show a certificate that this authority signed. */
  trustedCaFile: string | undefined
  /** The common name of a client's certificate is its user. */
  clientCertAuth: boolean
  /** Make a certificate for the client port when there is none. */
  autoTls: boolean
  /** Of TLS 1.2, in the names of the registry, for clients and members; none: Node's choice. */
  cipherSuites: readonly string[]
  tlsMinVersion: 'TLS1.2' | 'TLS1.3'
  /** Undefined: the newest there is. */
  tlsMaxVersion: 'TLS1.2' | 'TLS1.3' | undefined
  enableGrpcGateway: boolean
  /** Origins of pages that may read what is answered over plain HTTP; `*`: all. */
  cors: readonly string[]
  /** Names that clients without TLS may use for this server over plain HTTP; `*`: all. */
  hostWhitelist: readonly string[]
  /** Extensive: how long calls take, too. */
  metrics: 'basic' | 'extensive'
  /** Answers before the log is on disk. For throw-away servers only. */
  unsafeNoFsync: boolean
}

/** What clients show after they logged in. */
export type TokenConfig =
  | { kind: 'simple' }
  | {
      kind: 'jwt'
      /** RS256, ES384, HS512, EdDSA, ... */
      signMethod: string
      ttlMs: number
      privateKeyFile?: string
      publicKeyFile?: string
    }

/** A configuration that cannot work. The message is one line for the person who started it. */
export class ConfigError extends Error {
  constructor(message: string, options?: ErrorOptions) {
    super(message, options)
    this.name = 'ConfigError'
  }
}

const defaultPeerUrl = 'http://localhost:2380'
const defaultClientUrl = 'http://localhost:2379'

/** Quota that stands for "not configured": 2 GiB, as in etcd. */
export const defaultQuotaBytes = 2 * 1024 * 1024 * 1024

/** Slack of the gRPC layer on top of maxRequestBytes, so that the server itself refuses. */
export const requestOverheadBytes = 512 * 1024

export const defaultConfig: ServerConfig = {
  name: 'default',
  dataDir: 'default.etcd',
  walDir: undefined,
  listenClientUrls: [defaultClientUrl],
  advertiseClientUrls: [defaultClientUrl],
  listenClientHttpUrls: [],
  listenMetricsUrls: [],
  listenPeerUrls: [defaultPeerUrl],
  initialAdvertisePeerUrls: [defaultPeerUrl],
  initialCluster: `default=${defaultPeerUrl}`,
  initialClusterState: 'new',
  initialClusterToken: 'etcd-cluster',
  maxClusterVersion: clusterVersion,
  heartbeatIntervalMs: 100,
  electionTimeoutMs: 1000,
  preVote: true,
  snapshotCount: 10_000,
  snapshotCatchupEntries: 5_000,
  quotaBackendBytes: 0,
  maxRequestBytes: 1.5 * 1024 * 1024,
  maxTxnOps: 128,
  maxConcurrentStreams: 4_294_967_295,
  watchProgressNotifyIntervalMs: 10 * 60 * 1000,
  autoCompactionMode: 'periodic',
  autoCompactionRetention: 0,
  forceNewCluster: false,
  leaseCheckpoint: false,
  leaseCheckpointPersist: false,
  initialCorruptCheck: false,
  corruptCheckTimeMs: 0,
  peerCertFile: undefined,
  peerKeyFile: undefined,
  peerTrustedCaFile: undefined,
  peerCertAllowedCn: '',
  certFile: undefined,
  keyFile: undefined,
  trustedCaFile: undefined,
  clientCertAuth: false,
  autoTls: false,
  cipherSuites: [],
  tlsMinVersion: 'TLS1.2',
  tlsMaxVersion: undefined,
  enableGrpcGateway: true,
  cors: ['*'],
  hostWhitelist: ['*'],
  metrics: 'basic',
  authToken: { kind: 'simple' },
  authTokenTtlSeconds: 300,
  bcryptCost: 10,
  unsafeNoFsync: false,
}

/**
 * Fills what was not given and checks the whole. What follows from other settings follows them:
 * the data directory from the name, the first cluster from name and peer URLs, advertised client
 * URLs from those listened on.
 * @throws ConfigError
 */
export function serverConfig(given: Partial<ServerConfig>): ServerConfig {
  const name = given.name ?? defaultConfig.name
  const peerUrls = given.initialAdvertisePeerUrls ?? defaultConfig.initialAdvertisePeerUrls
  const config: ServerConfig = {
    ...defaultConfig,
    dataDir: `${name}.etcd`,
    initialCluster: peerUrls.map((url) => `${name}=${url}`).join(','),
    advertiseClientUrls: given.listenClientUrls ?? defaultConfig.advertiseClientUrls,
    ...given,
  }
  checkUrls('listen-client-urls', config.listenClientUrls)
  checkUrls('advertise-client-urls', config.advertiseClientUrls)
  if (config.listenPeerUrls.length > 0) checkUrls('listen-peer-urls', config.listenPeerUrls)
  checkUrls('initial-advertise-peer-urls', config.initialAdvertisePeerUrls)
  if (config.listenMetricsUrls.length > 0) {
    checkUrls('listen-metrics-urls', config.listenMetricsUrls)
  }
  if (config.cors.join() !== '*') checkUrls('cors', config.cors)
  checkTiming(config)
  if (config.leaseCheckpointPersist && !config.leaseCheckpoint) {
    throw new ConfigError(
      'enabling feature gate LeaseCheckpointPersist requires enabling feature gate LeaseCheckpoint',
    )
  }
  firstMembers(config)
  return config
}

/** Parts a URL of a listener: a TCP port or a unix socket, plain or with TLS. */
export interface ListenAddress {
  url: string
  isTls: boolean
  at: { host: string; port: number } | { path: string }
}

/** @throws ConfigError on anything but http(s)://host:port and unix(s)://path */
export function listenAddress(url: string): ListenAddress {
  const [, scheme, rest] = /^(https?|unixs?):\/\/(.*)$/.exec(url) ?? []
  if (scheme === undefined || rest === undefined) {
    throw new ConfigError(`URL scheme must be http, https, unix, or unixs: ${url}`)
  }
  const isTls = scheme === 'https' || scheme === 'unixs'
  if (scheme.startsWith('unix')) return { url, isTls, at: { path: rest } }
  const [, host, port, path] = /^(\[[^\]]*\]|[^:/]*):(\d{1,5})(\/.*)?$/.exec(rest) ?? []
  if (host === undefined || port === undefined) {
    throw new ConfigError(`URL address does not have the form "host:port": ${url}`)
  }
  if (path !== undefined && path !== '/') {
    throw new ConfigError(`URL must not contain a path: ${url}`)
  }
  return { url, isTls, at: { host: host.replace(/^\[|\]$/g, ''), port: Number(port) } }
}

/**
 * The members that a new cluster begins with, by ascending id.
 * @throws ConfigError with etcd's texts
 */
export function firstMembers(config: ServerConfig): MemberRecord[] {
  try {
    return initialMembers({
      name: config.name,
      initialCluster: config.initialCluster,
      initialClusterToken: config.initialClusterToken,
      initialAdvertisePeerUrls: config.initialAdvertisePeerUrls.join(','),
    })
  } catch (error) {
    if (!(error instanceof InitialClusterError)) throw error
    throw new ConfigError(error.message, { cause: error })
  }
}

function checkUrls(flag: string, urls: readonly string[]): void {
  if (urls.length === 0) throw new ConfigError(`--${flag} needs at least one URL`)
  for (const url of urls) {
    try {
      listenAddress(url)
    } catch (error) {
      throw new ConfigError(`--${flag}: ${(error as Error).message}`, { cause: error })
    }
  }
}

function checkTiming({ heartbeatIntervalMs, electionTimeoutMs }: ServerConfig): void {
  if (heartbeatIntervalMs <= 0) {
    throw new ConfigError(`--heartbeat-interval must be >0 (set to ${heartbeatIntervalMs}ms)`)
  }
  if (electionTimeoutMs < 5 * heartbeatIntervalMs) {
    throw new ConfigError(
      `--election-timeout[${electionTimeoutMs}ms] should be at least as 5 times as ` +
        `--heartbeat-interval[${heartbeatIntervalMs}ms]`,
    )
  }
  if (electionTimeoutMs > 50_000) {
    throw new ConfigError(
      `--election-timeout[${electionTimeoutMs}ms] is too long, and should be set less than 50000ms`,
    )
  }
}
