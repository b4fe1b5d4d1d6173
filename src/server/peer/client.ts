// client.ts: what a member asks another one outside of raft, each a short HTTP request. Ids in JSON
// bodies are numbers of 64 bits, so they are read without rounding.
import type { MemberRecord } from '../../storage/schema.js'
import type { LeaseTtl, PeerHashKv, PeerVersion } from './transport.js'

export interface AskOptions {
  timeoutMs: number
}

/** The first list that one of the URLs gives, tried in order. */
export async function getMembers(
  urls: readonly string[],
  options: AskOptions,
): Promise<{ clusterId: bigint; members: MemberRecord[] }> {
  throw new Error(`not written yet: ${urls} ${options.timeoutMs}`)
}

export async function getVersion(url: string, options: AskOptions): Promise<PeerVersion> {
  throw new Error(`not written yet: ${url} ${options.timeoutMs}`)
}

/** Asks the leader to make a learner a voter. @throws EtcdError as MemberPromote does */
export async function promoteMember(url: string, id: bigint): Promise<MemberRecord[]> {
  throw new Error(`not written yet: ${url} ${id}`)
}

/** Undefined: no such lease. */
export async function renewLease(url: string, id: bigint): Promise<number | undefined> {
  throw new Error(`not written yet: ${url} ${id}`)
}

export async function leaseTimeToLive(
  url: string,
  id: bigint,
  keys: boolean,
): Promise<LeaseTtl | undefined> {
  throw new Error(`not written yet: ${url} ${id} ${keys}`)
}

/** @throws EtcdError compacted, futureRevision */
export async function peerHashKv(url: string, revision: number): Promise<PeerHashKv> {
  throw new Error(`not written yet: ${url} ${revision}`)
}

/** The first answer that one of the URLs gives; undefined if none does. */
export async function askVersion(
  urls: readonly string[],
  timeoutMs: number,
): Promise<PeerVersion | undefined> {
  for (const url of urls) {
    try {
      return await getVersion(url, { timeoutMs })
    } catch {
      // The next URL may be the one that is reachable.
    }
  }
  return undefined
}
