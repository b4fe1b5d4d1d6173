// client.ts: what a member asks another one outside of raft, each a short HTTP request. Ids in JSON
// bodies are numbers of 64 bits, so they are read without rounding.
import { LeaseInternalRequest, LeaseInternalResponse } from '../../api/gen/lease.js'
import { LeaseKeepAliveRequest, LeaseKeepAliveResponse } from '../../api/gen/rpc.js'
import { EtcdError, etcdErrorCode } from '../../api/rpc-errors.js'
import { type Clock, systemClock } from '../../platform/clock.js'
import { type Json, parseJson } from '../../storage/exact-json.js'
import { type MemberRecord, memberFrom } from '../../storage/schema.js'
import { parseId } from './identity.js'
import { promotePath, promotionErrors } from './member-routes.js'
import type { PeerTls } from './peer-url.js'
import { type Answer, exchange } from './post.js'
import type { LeaseTtl, PeerHashKv, PeerVersion } from './transport.js'

export interface AskOptions {
  timeoutMs: number
  /** For URLs that begin with https. */
  tls?: PeerTls
  clock?: Clock
}

/** As etcd's time-out of a request, with the default time for elections. */
const defaultTimeoutMs = 7_000

interface Question {
  method: 'GET' | 'POST'
  path: string
  type?: string
  body?: Uint8Array
}

/** The first list that one of the URLs gives, tried in order. */
export async function getMembers(
  urls: readonly string[],
  options: AskOptions,
): Promise<{ clusterId: bigint; members: MemberRecord[] }> {
  const errors: string[] = []
  for (const url of urls) {
    try {
      const { headers, body } = success(
        await ask(url, { method: 'GET', path: '/members' }, options),
      )
      const clusterId = parseId(String(headers['x-etcd-cluster-id']))
      if (clusterId === undefined) throw new Error('the answer names no cluster')
      return { clusterId, members: memberList(body) }
    } catch (error) {
      errors.push(`${url}: ${(error as Error).message}`)
    }
  }
  throw new Error(`no member answered: ${errors.join('; ')}`)
}

export async function getVersion(url: string, options: AskOptions): Promise<PeerVersion> {
  const { body } = success(await ask(url, { method: 'GET', path: '/version' }, options))
  const fields = object(body)
  const text = (name: string) => {
    const value = fields.get(name)
    return typeof value === 'string' ? value : undefined
  }
  const etcdserver = text('etcdserver')
  const etcdcluster = text('etcdcluster')
  if (etcdserver === undefined || etcdcluster === undefined) {
    throw new Error(`no version: ${body.toString()}`)
  }
  // Before 3.6 the form of the storage had no version.
  return { etcdserver, etcdcluster, storage: text('storage') ?? '' }
}

/** Asks the leader to make a learner a voter. @throws EtcdError as MemberPromote does */
export async function promoteMember(
  url: string,
  id: bigint,
  options: Partial<AskOptions> = {},
): Promise<MemberRecord[]> {
  const answer = await ask(url, { method: 'POST', path: `${promotePath}${id}` }, options)
  const said = reason(answer)
  const known = promotionErrors.find(({ status, text }) => {
    return answer.status === status && said === text
  })
  if (known !== undefined) throw new EtcdError(known.code)
  return memberList(success(answer).body)
}

/** Undefined: no such lease. */
export async function renewLease(
  url: string,
  id: bigint,
  options: Partial<AskOptions> = {},
): Promise<number | undefined> {
  const body = LeaseKeepAliveRequest.encode({ ID: String(id) }).finish()
  const answer = await askLessor(url, '/leases', body, options)
  return answer === undefined ? undefined : Number(LeaseKeepAliveResponse.decode(answer.body).TTL)
}

/** Undefined: no such lease. */
export async function leaseTimeToLive(
  url: string,
  id: bigint,
  keys: boolean,
  options: Partial<AskOptions> = {},
): Promise<LeaseTtl | undefined> {
  const LeaseTimeToLiveRequest = { ID: String(id), keys }
  const body = LeaseInternalRequest.encode({ LeaseTimeToLiveRequest }).finish()
  const answer = await askLessor(url, '/leases/internal', body, options)
  if (answer === undefined) return undefined
  const { LeaseTimeToLiveResponse: lease } = LeaseInternalResponse.decode(answer.body)
  if (lease === undefined) throw new Error('the answer describes no lease')
  return {
    ttlSeconds: Number(lease.grantedTTL),
    remainingSeconds: Number(lease.TTL),
    keys: lease.keys,
  }
}

/** @throws EtcdError compacted, futureRevision */
export async function peerHashKv(
  url: string,
  revision: number,
  options: Partial<AskOptions> = {},
): Promise<PeerHashKv> {
  const body = Buffer.from(JSON.stringify(revision === 0 ? {} : { revision }))
  const question = { path: '/members/hashkv', type: 'application/json', body }
  const answer = await ask(url, { method: 'GET', ...question }, options)
  const code = etcdErrorCode(`etcdserver: ${reason(answer)}`)
  if (answer.status === 400 && code !== undefined) throw new EtcdError(code)
  const fields = object(success(answer).body)
  const header = fields.get('header')
  return {
    revision: header instanceof Map ? count(header.get('revision')) : 0,
    hash: count(fields.get('hash')),
    compactRevision: count(fields.get('compact_revision')),
    hashRevision: count(fields.get('hash_revision')),
  }
}

/** The first answer that one of the URLs gives; undefined if none does. */
export async function askVersion(
  urls: readonly string[],
  timeoutMs: number,
  options: Partial<AskOptions> = {},
): Promise<PeerVersion | undefined> {
  for (const url of urls) {
    try {
      return await getVersion(url, { ...options, timeoutMs })
    } catch {
      // The next URL may be the one that is reachable.
    }
  }
  return undefined
}

/** Undefined: no such lease. @throws EtcdError when the member does not lead, or not yet */
async function askLessor(
  url: string,
  path: string,
  body: Uint8Array,
  options: Partial<AskOptions>,
): Promise<Answer | undefined> {
  const type = 'application/protobuf'
  const answer = await ask(url, { method: 'POST', path, type, body }, options)
  if (answer.status === 404 && reason(answer) === 'lease not found') return undefined
  if (answer.status === 408) throw new EtcdError('timeoutWaitAppliedIndex')
  if (reason(answer) === 'not a primary lessor') throw new EtcdError('notLeader')
  return success(answer)
}

function ask(
  url: string,
  { method, path, type, body = Buffer.alloc(0) }: Question,
  { timeoutMs = defaultTimeoutMs, tls, clock = systemClock }: Partial<AskOptions>,
): Promise<Answer> {
  const headers = type === undefined ? {} : { 'Content-Type': type }
  const limits = { clock, idleMs: timeoutMs, signal: AbortSignal.timeout(timeoutMs) }
  return exchange({ url, path, method, headers, body, tls, agents: undefined, ...limits })
}

/** @throws when the answer is a refusal */
function success(answer: Answer): Answer {
  if (answer.status === 200) return answer
  throw new Error(`${answer.status} ${reason(answer)}`)
}

function reason({ body }: Answer): string {
  return body.toString().replace(/\n$/, '')
}

function memberList(body: Buffer): MemberRecord[] {
  const list = parseJson(body.toString())
  if (!Array.isArray(list)) throw new Error(`no list of members: ${body.toString()}`)
  return list.map((fields) => {
    const member = memberFrom(fields)
    if (member === undefined) throw new Error(`no list of members: ${body.toString()}`)
    const { promote: _, ...record } = member
    return record
  })
}

function object(body: Buffer): Map<string, Json> {
  const value = parseJson(body.toString())
  if (value instanceof Map) return value
  throw new Error(`no JSON object: ${body.toString()}`)
}

/** Go leaves zeros out. */
function count(value: Json | undefined): number {
  return typeof value === 'bigint' ? Number(value) : 0
}
