// server.ts: one member, put together. Every part is made here and given what it needs; parts are
// opened from the disk upward and closed from the network downward, and what was opened is closed
// again when a later step fails.
import { etcdVersion } from '../api/version.js'
import type { Handler, OpenCounts } from '../grpc/server.js'
import { openDataDir } from '../storage/data-dir.js'
import { memberHex } from '../storage/schema.js'
import { newTokens } from './auth-tokens.js'
import { askHash } from './background.js'
import { ClientPort, type Surroundings } from './client-port.js'
import { clientTls } from './client-tls.js'
import { ConfigError, listenAddress, type ServerConfig } from './config.js'
import { differing } from './corruption.js'
import { Member, type Network } from './member.js'
import { joinCluster } from './membership/join.js'
import { registerPeers } from './metrics/peers.js'
import { Metrics } from './metrics/registry.js'
import { timedWal } from './metrics/timed-wal.js'
import { newPeerTransport } from './peer/new-transport.js'
import { PeerTraffic } from './peer/traffic.js'
import type { PeerTransport } from './peer/transport.js'
import { type PeerIdentity, peerIdentity } from './peer-tls.js'
import type { Platform } from './platform.js'
import { emptyState } from './recovery/empty-state.js'
import { memoryMember, type Recovered, recoverMember } from './recovery/recover.js'
import type { ServiceParts } from './rpc/parts.js'

export interface Server {
  /** Where clients reach it: the URLs listened on, each with the port that was taken. */
  readonly endpoints: readonly string[]
  readonly memberId: bigint
  readonly clusterId: bigint
  /** Resolves with the reason if the member cannot go on; close() it then. */
  readonly failed: Promise<Error>
  /** What its services work with, for a program that embeds the server. */
  readonly service: ServiceParts
  /** By full path, as clients call them. */
  readonly methods: ReadonlyMap<string, Handler>
  /** How it reaches the other members; undefined for one that stays alone. */
  readonly peers: PeerTransport | undefined
  /** What clients have open at the ports for gRPC. */
  readonly open: OpenCounts
  /** Breaks every client's connection; the server goes on. */
  dropConnections(): void
  /** Stops serving, writes a checkpoint, and gives the directory free. */
  close(): Promise<void>
  /** Stops as if its process had been killed: nobody is told, and no checkpoint is written. */
  kill(): Promise<void>
}

/**
 * Starts one member; it serves when this resolves.
 * @throws ConfigError, DataDirError, CorruptionError, and what listening throws
 */
export async function startServer(
  config: ServerConfig,
  platform: Platform,
  around: Surroundings = {},
): Promise<Server> {
  const opened: (() => Promise<void>)[] = []
  const own = <T extends { close(): Promise<void> }>(part: T): T => {
    opened.push(() => part.close())
    return part
  }
  const close = async () => {
    for (const closePart of opened.splice(0).reverse()) await closePart()
  }
  try {
    const metrics = new Metrics()
    const identity = await peerIdentity(config, platform.files)
    const recovered = await recover(config, platform, identity, own)
    own(recovered.wal)
    recovered.wal = timedWal(recovered.wal, metrics, platform.clock)
    const { isBackground = false } = around
    const network = peerNetwork(config, recovered, platform, { identity, isBackground, metrics })
    const member = own(new Member(config, recovered, platform, network))
    await listenForPeers(config, member.transport, identity)
    const port = own(new ClientPort(member.service, metrics, around))
    const endpoints = await port.listen(around.tls ?? (await clientTls(config, platform)))
    if (config.initialCorruptCheck) await checkInitially(member.service)
    member.start(advertised(config, endpoints))
    await readiness(member, around.signal)
    const { memberId, clusterId } = recovered
    const { service, failed } = member
    const { methods } = port
    const dropConnections = () => port.dropConnections()
    platform.log.info('ready to serve client requests', {
      'etcd-version': etcdVersion,
      'local-member-id': memberHex(memberId),
      'cluster-id': memberHex(clusterId),
      'client-urls': endpoints,
    })
    const kill = async () => {
      member.abandon()
      dropConnections()
      await close()
    }
    const { transport: peers } = member
    const parts = { service, methods, peers, dropConnections }
    const ids = { memberId, clusterId }
    return {
      ...{ endpoints, failed, ...ids, ...parts, close, kill },
      get open() {
        return port.open
      },
    }
  } catch (error) {
    await close()
    throw error
  }
}

/** @throws why the member cannot go on, and the reason of the signal */
async function readiness({ ready, failed }: Member, signal?: AbortSignal): Promise<void> {
  const ended = new Promise<Error>((resolve) => {
    const end = () => resolve(new Error('the start was given up', { cause: signal?.reason }))
    if (signal?.aborted) end()
    else signal?.addEventListener('abort', end, { once: true })
  })
  await Promise.race([ready, Promise.race([failed, ended]).then((error) => Promise.reject(error))])
}

async function recover(
  config: ServerConfig,
  platform: Platform,
  identity: PeerIdentity | undefined,
  own: <T extends { close(): Promise<void> }>(part: T) => T,
): Promise<Recovered> {
  const { files, log } = platform
  const tokens = await newTokens(config, platform)
  const newState = (clusterId: bigint) => emptyState(config, clusterId, { ...platform, tokens })
  if (config.dataDir === undefined) return memoryMember(config, newState)
  const walDir = config.walDir === undefined ? {} : { walDir: config.walDir }
  const dataDir = own(await openDataDir(config.dataDir, { files, log, ...walDir }))
  const join = (asking: ServerConfig) => joinCluster(asking, identity?.dial)
  return recoverMember(config, dataDir, newState, { files, log, join })
}

/** A member whose data differ from others' must not serve them. @throws Error naming the others */
async function checkInitially(parts: ServiceParts): Promise<void> {
  const { store, membership } = parts
  const found = await differing({
    ...parts,
    members: () => membership.list(),
    hashKv: (revision) => ({ revision: store.revision, ...store.hashKv(revision) }),
    ask: ({ peerUrls }, revision) => askHash(peerUrls, revision, parts.peerAsk),
  })
  if (found.length === 0) return
  const ids = found.map(({ id }) => memberHex(id)).join(', ')
  throw new Error(`found data inconsistency with peers: ${ids}`)
}

/** Where clients are told to come: what was configured, unless it could not know the port. */
function advertised(config: ServerConfig, endpoints: readonly string[]): readonly string[] {
  const isFree = config.advertiseClientUrls.some((url) => /:0\/?$/.test(url))
  return isFree ? endpoints : config.advertiseClientUrls
}

/** A member without a directory cannot take a snapshot, so it stays alone. */
function peerNetwork(
  config: ServerConfig,
  { memberId, clusterId }: Recovered,
  { clock, log }: Platform,
  {
    identity,
    isBackground,
    metrics,
  }: { identity: PeerIdentity | undefined; isBackground: boolean; metrics: Metrics },
): Network | undefined {
  if (config.dataDir === undefined || config.listenPeerUrls.length === 0) return undefined
  const tls = identity === undefined ? {} : { tls: identity.dial }
  const commonName = config.peerCertAllowedCn
  const traffic = new PeerTraffic()
  registerPeers(metrics, traffic, memberId)
  return {
    ask: tls,
    newTransport: (handlers) =>
      newPeerTransport({
        localId: memberId,
        clusterId,
        peerUrls: config.initialAdvertisePeerUrls,
        electionTimeoutMs: config.electionTimeoutMs,
        isBackground,
        ...tls,
        ...(commonName === '' ? {} : { allowedClient: { commonName } }),
        clock,
        log,
        traffic,
        handlers,
      }),
  }
}

async function listenForPeers(
  { listenPeerUrls }: ServerConfig,
  transport: PeerTransport | undefined,
  identity: PeerIdentity | undefined,
): Promise<void> {
  for (const url of listenPeerUrls) {
    const { at, isTls } = listenAddress(url)
    if (isTls && identity === undefined) {
      const flags = '--peer-cert-file and --peer-key-file'
      throw new ConfigError(`--listen-peer-urls: TLS needs ${flags}: ${url}`)
    }
    await transport?.listen(isTls && identity ? { ...at, tls: identity.listen } : at)
  }
}
