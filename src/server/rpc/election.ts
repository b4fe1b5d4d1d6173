// election.ts: the Election service: who leads is who has held a place in the queue longest, and
// what the leader proclaims is the value of its key. Keys are laid out as etcd's clients lay them.
import {
  CampaignRequest,
  CampaignResponse,
  type LeaderKey,
  LeaderRequest,
  LeaderResponse,
  ProclaimRequest,
  ProclaimResponse,
  ResignRequest,
  ResignResponse,
} from '../../api/gen/election.js'
import type { KeyValue } from '../../api/gen/kv.js'
import type { DeepPartial, RequestOp, ResponseHeader, TxnResponse } from '../../api/gen/rpc.js'
import type { ServerCall, ServerStream } from '../../grpc/server.js'
import type { WatchEvent } from '../../mvcc/watchable-store.js'
import { asUnknown, type Caller, callerFor, type Methods } from './caller.js'
import { changes, claim, oldestFirst, queueOf, sessionLease, waitForTurn } from './claim.js'
import { type MethodTable, service, streaming, unary } from './handlers.js'
import type { ServiceParts } from './parts.js'

type Store = ServiceParts['store']

export function electionService(
  { store }: Pick<ServiceParts, 'store'>,
  methods: Methods,
): MethodTable {
  const asked = (handle: (caller: Caller, data: Buffer, call: ServerCall) => Promise<Uint8Array>) =>
    unary((data, call) => asUnknown(handle(callerFor(methods, call), data, call)))
  return service('v3electionpb.Election', {
    Campaign: asked((caller, data, call) => campaign(caller, store, { data, call })),
    Proclaim: asked(proclaim),
    Leader: asked(leader),
    Observe: streaming((stream) => asUnknown(observe(store, methods, stream))),
    Resign: asked(resign),
  })
}

async function campaign(
  caller: Caller,
  store: Store,
  { data, call }: { data: Buffer; call: ServerCall },
): Promise<Uint8Array> {
  const { name, lease: given, value } = CampaignRequest.decode(data)
  const lease = await sessionLease(caller, given)
  const { key, revision, header, found } = await claim(caller, { name, lease, value })
  const own: LeaderKey = { name, key, rev: revision, lease }
  try {
    if (found !== undefined && !found.value.equals(value)) await setValue(caller, own, value)
    await waitForTurn(caller, store, { name, revision, signal: call.signal })
  } catch (error) {
    // A candidate that gives up must not win later.
    await giveUp(caller, own)
    throw error
  }
  return CampaignResponse.encode({ header, leader: own }).finish()
}

async function proclaim(caller: Caller, data: Buffer): Promise<Uint8Array> {
  const { leader: given, value } = ProclaimRequest.decode(data)
  const { header } = await setValue(caller, needed(given), value)
  return ProclaimResponse.encode({ header }).finish()
}

async function leader(caller: Caller, data: Buffer): Promise<Uint8Array> {
  const { name } = LeaderRequest.decode(data)
  const { kvs, header } = await caller.range({ ...queueOf(name), ...oldestFirst })
  const kv = kvs[0]
  if (kv === undefined) throw new Error('election: no leader')
  return LeaderResponse.encode({ header, kv }).finish()
}

async function resign(caller: Caller, data: Buffer): Promise<Uint8Array> {
  const { leader: given } = ResignRequest.decode(data)
  const { header } = await giveUp(caller, needed(given))
  return ResignResponse.encode({ header }).finish()
}

function needed(given: LeaderKey | undefined): LeaderKey {
  if (given === undefined) throw new Error('"leader" field must be provided')
  return given
}

async function setValue(caller: Caller, own: LeaderKey, value: Buffer): Promise<TxnResponse> {
  const { key, lease } = own
  const answer = await ifUnchanged(caller, own, { request_put: { key, value, lease } })
  if (!answer.succeeded) throw new Error('election: not leader')
  return answer
}

/** One who has lost its key already has nothing to give up. */
function giveUp(caller: Caller, own: LeaderKey): Promise<TxnResponse> {
  return ifUnchanged(caller, own, { request_delete_range: { key: own.key } })
}

/** Does it if the key is still the one that the leader created. */
function ifUnchanged(
  caller: Caller,
  { key, rev }: LeaderKey,
  op: DeepPartial<RequestOp>,
): Promise<TxnResponse> {
  const compare = [{ key, target: 1, result: 0, create_revision: rev } as const]
  return caller.txn({ compare, success: [op] })
}

/** Tells who leads, each value that the leader proclaims, and who comes next, until cancelled. */
async function observe(store: Store, methods: Methods, stream: ServerStream): Promise<void> {
  const { signal } = stream
  for await (const data of stream) {
    const { name } = LeaderRequest.decode(data)
    const queue = queueOf(name)
    const caller = callerFor(methods, stream)
    for (;;) {
      const { kvs, header } = await caller.range({ ...queue, ...oldestFirst })
      const from = Number(header?.revision ?? 0) + 1
      const first = kvs[0] ?? (await nextCandidate(store, { ...queue, from, signal }))
      const tell = (kv: KeyValue, revision: string) => {
        const told: ResponseHeader | undefined = header && { ...header, revision }
        return stream.write(LeaderResponse.encode({ header: told, kv }).finish())
      }
      await tell(first, kvs[0] === undefined ? first.mod_revision : (header?.revision ?? '0'))
      const since = kvs[0] === undefined ? Number(first.mod_revision) + 1 : from
      for await (const event of changes(store, { key: first.key, from: since, signal })) {
        if (event.type === 'delete') break
        const kv = pairOf(event)
        await tell(kv, kv.mod_revision)
      }
    }
  }
}

async function nextCandidate(
  store: Store,
  range: { key: Buffer; range_end: Buffer; from: number; signal: AbortSignal },
): Promise<KeyValue> {
  for await (const event of changes(store, { ...range, end: range.range_end })) {
    if (event.type === 'put') return pairOf(event)
  }
  throw new Error('election: no leader')
}

function pairOf({ kv }: WatchEvent): KeyValue {
  return {
    key: kv.key,
    create_revision: String(kv.createRevision),
    mod_revision: String(kv.main),
    version: String(kv.version),
    value: kv.value,
    lease: kv.lease.toString(),
  }
}
