// member-routes.ts: what others ask outside of raft: who the members are and what they speak,
// leases as only the leader knows them, hashes to compare.
import type { IncomingMessage, ServerResponse } from 'node:http'
import { LeaseInternalRequest, LeaseInternalResponse } from '../../api/gen/lease.js'
import { LeaseKeepAliveRequest, LeaseKeepAliveResponse } from '../../api/gen/rpc.js'
import { EtcdError } from '../../api/rpc-errors.js'
import type { Clock } from '../../platform/clock.js'
import { parseJson } from '../../storage/exact-json.js'
import { encodeMember, type MemberRecord, memberHex } from '../../storage/schema.js'
import { answer, answerJson, refuse, refuseJson, refuseMethod, wholeBody } from './answer.js'
import { headerName } from './identity.js'
import type { PeerHandlers } from './transport.js'

/** As etcd 3.7. Every question here is a few numbers. */
const questionBytesMax = 64 * 1024

export interface MemberRouteParts {
  clusterId: bigint
  clock: Clock
  handlers: Omit<PeerHandlers, 'step' | 'receiveSnapshot'>
}

type Serve = (
  parts: MemberRouteParts,
  request: IncomingMessage,
  response: ServerResponse,
) => Promise<void> | void

interface MemberRoute {
  method: 'GET' | 'POST'
  /** What 405 says to be allowed. */
  allow?: 'GET' | 'POST'
  isOfCluster: boolean
  serve: Serve
}

export const promotePath = '/members/promote/'

function leaseRoute(serve: Serve): MemberRoute {
  return { method: 'POST', isOfCluster: false, serve }
}

function getRoute(serve: Serve, isOfCluster: boolean): MemberRoute {
  return { method: 'GET', allow: 'GET', isOfCluster, serve }
}

const routes: ReadonlyMap<string, MemberRoute> = new Map([
  ['/members', getRoute(serveMembers, true)],
  ['/members/hashkv', getRoute(serveHashKv, false)],
  ['/version', getRoute(serveVersion, false)],
  ['/downgrade/enabled', getRoute(serveDowngradeEnabled, true)],
  ['/leases', leaseRoute(serveRenewal)],
  ['/leases/internal', leaseRoute(serveTimeToLive)],
])

const promoteRoute: MemberRoute = {
  method: 'POST',
  allow: 'POST',
  isOfCluster: true,
  serve: servePromotion,
}

/** Undefined: there is nothing at that path. */
export function memberRoute(path: string): Serve | undefined {
  const route = path.startsWith(promotePath) ? promoteRoute : routes.get(path)
  if (route === undefined) return undefined
  return (parts, request, response) => {
    if (request.method !== route.method) return refuseMethod(response, route.allow)
    if (route.isOfCluster) response.setHeader(headerName.clusterId, memberHex(parts.clusterId))
    return route.serve(parts, request, response)
  }
}

/** Any method, no check: whoever can ask can hear that this member lives. */
export function serveProbing({ clock }: { clock: Clock }, response: ServerResponse): void {
  const now = new Date(clock.wall()).toISOString()
  const body = `{"OK":true,"Now":"${now}"}\n`
  answer(response, 200, { type: 'text/plain; charset=utf-8', body })
}

function serveMembers({ handlers }: MemberRouteParts, _: unknown, response: ServerResponse): void {
  answerJson(response, 200, `${memberList(handlers.members())}\n`)
}

function serveVersion({ handlers }: MemberRouteParts, _: unknown, response: ServerResponse): void {
  const { etcdserver, etcdcluster, storage } = handlers.version()
  answerJson(response, 200, JSON.stringify({ etcdserver, etcdcluster, storage }))
}

function serveDowngradeEnabled(
  { handlers }: MemberRouteParts,
  _: unknown,
  response: ServerResponse,
): void {
  const body = String(handlers.isDowngradeEnabled())
  answer(response, 200, { type: 'text/plain; charset=utf-8', body })
}

async function servePromotion(
  { handlers }: MemberRouteParts,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const text = (request.url ?? '').slice(promotePath.length)
  const id = /^\d{1,20}$/.test(text) ? BigInt(text) : undefined
  if (id === undefined || id >= 2n ** 64n) {
    return refuse(response, 404, `member ${text} not found in cluster`)
  }
  try {
    const members = await handlers.promote(id)
    answerJson(response, 200, `${memberList(members)}\n`)
  } catch (error) {
    const known = promotionErrors.find(({ code }) => isCode(error, code))
    if (known === undefined) refuseJson(response, 500, 'Internal Server Error')
    else refuse(response, known.status, known.text)
  }
}

/** How the errors of a promotion travel between members. */
export const promotionErrors = [
  { code: 'memberNotFound', status: 404, text: 'membership: ID not found' },
  {
    code: 'memberNotLearner',
    status: 412,
    text: 'membership: can only promote a learner member',
  },
  {
    code: 'learnerNotReady',
    status: 412,
    text: 'etcdserver: can only promote a learner member which is in sync with leader',
  },
] as const

async function serveHashKv(
  { handlers, clock, clusterId }: MemberRouteParts,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const body = await wholeBody(request, clock, questionBytesMax)
  if (body === undefined) return refuse(response, 400, 'error reading body')
  const question = parseJson(body.toString())
  const revision = question instanceof Map ? (question.get('revision') ?? 0n) : undefined
  if (typeof revision !== 'bigint') return refuse(response, 400, 'error unmarshalling request')
  try {
    const answered = hashJson(handlers.hashKv(Number(revision)))
    response.setHeader(headerName.clusterId, memberHex(clusterId))
    answerJson(response, 200, answered)
  } catch (error) {
    if (!(error instanceof EtcdError)) throw error
    refuse(response, 400, error.message.replace(/^etcdserver: /, ''))
  }
}

/** Zeros are left out, as Go leaves them out. */
function hashJson({ revision, ...hashes }: ReturnType<PeerHandlers['hashKv']>): string {
  const { hash, compactRevision, hashRevision } = hashes
  const header = { ...(revision === 0 ? {} : { revision }) }
  const fields = { hash, compact_revision: compactRevision, hash_revision: hashRevision }
  const present = Object.entries(fields).filter(([, value]) => value !== 0)
  return JSON.stringify({ header, ...Object.fromEntries(present) })
}

async function serveRenewal(
  { handlers, clock }: MemberRouteParts,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const question = await readQuestion(request, response, clock, LeaseKeepAliveRequest)
  if (question === undefined) return
  await answerLease(response, async () => {
    const ttl = await handlers.renewLease(BigInt(question.ID))
    if (ttl === undefined) return undefined
    const fields = { header: undefined, ID: question.ID, TTL: String(ttl) }
    return LeaseKeepAliveResponse.encode(fields).finish()
  })
}

async function serveTimeToLive(
  { handlers, clock }: MemberRouteParts,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const question = await readQuestion(request, response, clock, LeaseInternalRequest)
  if (question === undefined) return
  const { ID = '0', keys = false } = question.LeaseTimeToLiveRequest ?? {}
  await answerLease(response, async () => {
    const lease = await handlers.leaseTimeToLive(BigInt(ID), keys)
    if (lease === undefined) return undefined
    const header = { cluster_id: '0', member_id: '0', revision: '0', raft_term: '0' }
    return LeaseInternalResponse.encode({
      LeaseTimeToLiveResponse: {
        header,
        ID,
        TTL: String(lease.remainingSeconds),
        grantedTTL: String(lease.ttlSeconds),
        keys: [...lease.keys],
      },
    }).finish()
  })
}

/** Undefined: there was no question, and the answer says so. */
async function readQuestion<T>(
  request: IncomingMessage,
  response: ServerResponse,
  clock: Clock,
  codec: { decode(bytes: Buffer): T },
): Promise<T | undefined> {
  const body = await wholeBody(request, clock, questionBytesMax)
  try {
    if (body !== undefined) return codec.decode(body)
    refuse(response, 400, 'error reading body')
  } catch {
    refuse(response, 400, 'error unmarshalling request')
  }
  return undefined
}

async function answerLease(
  response: ServerResponse,
  ask: () => Promise<Uint8Array | undefined>,
): Promise<void> {
  let body: Uint8Array | undefined
  try {
    body = await ask()
  } catch (error) {
    if (isCode(error, 'timeoutWaitAppliedIndex')) {
      const text = 'waiting for node to catch up its applied index has timed out'
      return refuse(response, 408, text)
    }
    if (isCode(error, 'leaseNotFound')) return refuse(response, 404, 'lease not found')
    const isElsewhere = isCode(error, 'notLeader')
    return refuse(response, 400, isElsewhere ? 'not a primary lessor' : (error as Error).message)
  }
  if (body === undefined) refuse(response, 404, 'lease not found')
  else answer(response, 200, { type: 'application/protobuf', body })
}

function memberList(members: readonly MemberRecord[]): string {
  return `[${members.map((member) => encodeMember(member)).join(',')}]`
}

function isCode(error: unknown, code: EtcdError['code']): boolean {
  return error instanceof EtcdError && error.code === code
}
