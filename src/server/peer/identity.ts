// identity.ts: who says something to whom, as headers of every request about raft, and the checks
// of them. Members of other clusters and of versions too far apart are refused before anything
// they send is read.
import type { IncomingHttpHeaders } from 'node:http'
import { memberHex } from '../../storage/schema.js'
import { compareVersions } from '../membership/cluster-version.js'

/** What a member says of itself. */
export interface Identity {
  readonly localId: bigint
  readonly clusterId: bigint
  /** Where this member is told to others to be. */
  readonly peerUrls: readonly string[]
  readonly version: string
}

/** Since 3.4 every version is content with peers that speak the protocol of 3.0. */
const oldestPeerVersion = '3.0.0'
/** What a member that does not say its version is taken for. */
const unsaidVersion = '2.0.0'

export const headerName = {
  clusterId: 'X-Etcd-Cluster-Id',
  version: 'X-Server-Version',
  from: 'X-Server-From',
  to: 'X-Raft-To',
} as const

export function identityHeaders(identity: Identity): Record<string, string> {
  return {
    [headerName.from]: memberHex(identity.localId),
    [headerName.version]: identity.version,
    'X-Min-Cluster-Version': oldestPeerVersion,
    [headerName.clusterId]: memberHex(identity.clusterId),
    'X-PeerURLs': identity.peerUrls.join(','),
  }
}

/** Why a member must not talk to this one; undefined: it may. */
export function incompatibility(
  headers: IncomingHttpHeaders,
  { version, clusterId }: Identity,
): string | undefined {
  const theirs = text(headers['x-server-version']) ?? unsaidVersion
  const oldestForThem = text(headers['x-min-cluster-version']) ?? unsaidVersion
  const isReadable = isVersion(theirs) && isVersion(oldestForThem)
  if (
    !isReadable ||
    compareVersions(theirs, oldestPeerVersion) < 0 ||
    compareVersions(oldestForThem, version) > 0
  ) {
    return 'incompatible version'
  }
  const isSame = text(headers['x-etcd-cluster-id']) === memberHex(clusterId)
  return isSame ? undefined : 'cluster ID mismatch'
}

/** The sender and where it says that it is; undefined when it does not say. */
export function senderOf(
  headers: IncomingHttpHeaders,
): { id: bigint; urls: readonly string[] } | undefined {
  const id = parseId(text(headers['x-server-from']) ?? '')
  const urls = text(headers['x-peerurls'])?.split(',') ?? []
  return id === undefined ? undefined : { id, urls }
}

/** Any 64-bit number in hexadecimal. */
export function parseId(hex: string): bigint | undefined {
  if (!/^[0-9a-fA-F]+$/.test(hex)) return undefined
  const id = BigInt(`0x${hex}`)
  return id < 2n ** 64n ? id : undefined
}

function isVersion(version: string): boolean {
  return /^\d{1,9}\.\d{1,9}\.\d{1,9}([-+].*)?$/.test(version)
}

function text(value: string | string[] | undefined): string | undefined {
  return Array.isArray(value) ? value[0] : value
}
