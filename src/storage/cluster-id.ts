// cluster-id.ts: the ids that members of a new cluster agree on without talking: each is computed
// from the same flags. A member that joins later gets the time appended, so that a URL used again
// does not bring a removed id back.
import assert from 'node:assert'
import { createHash } from 'node:crypto'

/** Id of the member that listens for peers at `peerUrls`. */
export function memberId(
  peerUrls: readonly string[],
  token: string,
  joinedSeconds?: number,
): bigint {
  const hash = createHash('sha1')
  for (const url of sortedByBytes(peerUrls)) hash.update(url)
  hash.update(token)
  if (joinedSeconds !== undefined) hash.update(joinedSeconds.toString())
  return hash.digest().readBigUInt64BE()
}

/** Id of the cluster that starts with these members. */
export function clusterId(memberIds: readonly bigint[]): bigint {
  assert(memberIds.length > 0, 'a cluster has at least one member')
  const hash = createHash('sha1')
  for (const id of [...memberIds].sort((a, b) => (a < b ? -1 : 1))) {
    const bytes = Buffer.allocUnsafe(8)
    bytes.writeBigUInt64BE(id)
    hash.update(bytes)
  }
  return hash.digest().readBigUInt64BE()
}

function sortedByBytes(texts: readonly string[]): string[] {
  return [...texts].sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)))
}
