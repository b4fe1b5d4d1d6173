// join.ts: how a new member finds the cluster that was told of it. It asks the members named in
// --initial-cluster for their list, finds itself in it by its peer URLs, and takes its id and the
// cluster's from there. Nothing is written before everything fits.
import { clusterVersion } from '../../api/version.js'
import type { MemberRecord } from '../../storage/schema.js'
import { ConfigError, firstMembers, type ServerConfig } from '../config.js'
import { type AskOptions, askVersion, getMembers } from '../peer/client.js'
import type { PeerTls } from '../peer/peer-url.js'
import type { PeerVersion } from '../peer/transport.js'
import { compareVersions } from './cluster-version.js'

/** How long one member may take to answer. */
const askTimeoutMs = 10_000
/** The oldest cluster that a member of this version can serve in. */
const oldestClusterVersion = '3.0.0'

/** A member that others have been told of, and the cluster they told it to join. */
export interface Joined {
  memberId: bigint
  clusterId: bigint
  members: readonly MemberRecord[]
}

/** Undefined when the cluster is to be a new one. @throws ConfigError */
export async function joinCluster(
  config: ServerConfig,
  tls: PeerTls | undefined,
): Promise<Joined | undefined> {
  const options = { timeoutMs: askTimeoutMs, ...(tls === undefined ? {} : { tls }) }
  if (config.initialClusterState === 'new') return undefined
  const local = firstMembers(config)
  const others = local.filter(({ name }) => name !== config.name)
  const urls = others.flatMap(({ peerUrls }) => peerUrls).sort()
  if (urls.length === 0) {
    throw new ConfigError('cannot fetch cluster info from peer urls: no other member is named')
  }
  const { clusterId, members } = await ask(urls, options)
  const own = matched(local, members, config.name)
  await checkVersions(
    members.filter(({ id }) => id !== own.id),
    options,
  )
  return { memberId: own.id, clusterId, members }
}

async function ask(
  urls: readonly string[],
  options: AskOptions,
): Promise<Awaited<ReturnType<typeof getMembers>>> {
  try {
    return await getMembers(urls, options)
  } catch (error) {
    throw new ConfigError(`cannot fetch cluster info from peer urls: ${(error as Error).message}`, {
      cause: error,
    })
  }
}

/** Every member of the list must be one of ours, by its URLs; the one with our name is us. */
function matched(
  local: readonly MemberRecord[],
  remote: readonly MemberRecord[],
  name: string,
): MemberRecord {
  if (local.length !== remote.length) {
    throw new ConfigError('error validating peerURLs: member count is unequal')
  }
  let own: MemberRecord | undefined
  for (const member of remote) {
    const urls = [...member.peerUrls].sort().join(',')
    const known = local.find(({ peerUrls }) => [...peerUrls].sort().join(',') === urls)
    if (known === undefined) {
      throw new ConfigError(
        `error validating peerURLs: unmatched member while checking PeerURLs: ${urls}`,
      )
    }
    if (known.name === name) own = member
  }
  if (own === undefined) throw new ConfigError(`the cluster does not know a member ${name}`)
  return own
}

/** At least one must answer, and nobody's cluster may be newer than we are. */
async function checkVersions(others: readonly MemberRecord[], options: AskOptions): Promise<void> {
  const answers = await Promise.all(
    others.map(({ peerUrls }) => askVersion(peerUrls, askTimeoutMs, options)),
  )
  const known = answers.filter((answer) => answer !== undefined)
  const fits = ({ etcdcluster: version }: PeerVersion) =>
    version === 'not_decided' ||
    (compareVersions(version, oldestClusterVersion) >= 0 &&
      compareVersions(version, clusterVersion) <= 0)
  if (known.length === 0 || !known.every(fits)) {
    throw new ConfigError('incompatible with current running cluster')
  }
}
