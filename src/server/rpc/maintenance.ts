// maintenance.ts: the Maintenance service: what a member says of itself, its alarms, its hashes,
// and its database as a stream.
import { createHash } from 'node:crypto'
import {
  AlarmRequest_AlarmAction as AlarmAction,
  AlarmRequest,
  AlarmResponse,
  AlarmType,
  DefragmentResponse,
  HashKVRequest,
  HashKVResponse,
  HashResponse,
  MoveLeaderRequest,
  MoveLeaderResponse,
  SnapshotResponse,
  StatusResponse,
} from '../../api/gen/rpc.js'
import { etcdVersion } from '../../api/version.js'
import type { ServerCall, ServerStream } from '../../grpc/server.js'
import { planDatabase } from '../../storage/bbolt/writer.js'
import { crc32c } from '../../storage/crc32c.js'
import { metaKey } from '../../storage/schema.js'
import { defaultQuotaBytes } from '../config.js'
import { requestField } from '../proposer.js'
import { downgrade } from './downgrade.js'
import { type MethodTable, service, streaming, unary } from './handlers.js'
import type { ServiceParts } from './parts.js'

export function maintenanceService(parts: ServiceParts): MethodTable {
  return service('etcdserverpb.Maintenance', {
    Status: unary(() => status(parts)),
    Alarm: unary((data, call) => alarm(parts, data, call)),
    Defragment: unary(() => defragment(parts)),
    Hash: unary(() => hash(parts)),
    HashKV: unary((data) => hashKv(parts, HashKVRequest.decode(data))),
    Snapshot: streaming((stream) => snapshot(parts, stream)),
    MoveLeader: unary((data) => moveLeader(parts, data)),
    Downgrade: unary((data, call) => downgrade(parts, data, call)),
  })
}

function status(parts: ServiceParts): Uint8Array {
  const { node, headers, store, size, config, alarms, isLearner, membership } = parts
  const { leader, commit, term } = node.status()
  const errors = alarms.list().map(({ memberId: id, alarm: type }) => {
    return `memberID:${id} alarm:${type === AlarmType.CORRUPT ? 'CORRUPT' : 'NOSPACE'}`
  })
  return StatusResponse.encode({
    header: headers.message(store.revision),
    version: etcdVersion,
    dbSize: String(size.allocatedBytes),
    leader: leader.toString(),
    raftIndex: String(commit),
    raftTerm: String(term),
    raftAppliedIndex: String(node.applied),
    errors: leader === 0n ? ['etcdserver: no leader', ...errors] : errors,
    dbSizeInUse: String(size.inUseBytes),
    isLearner: isLearner(),
    storageVersion: membership.storageVersion,
    dbSizeQuota: String(config.quotaBackendBytes || defaultQuotaBytes),
    downgradeInfo: membership.downgrade ?? { enabled: false, targetVersion: '' },
  }).finish()
}

/** Even a GET goes through the log, so that it answers what all members know. */
async function alarm(parts: ServiceParts, data: Buffer, call: ServerCall): Promise<Uint8Array> {
  const { proposer, headers, access } = parts
  const { action } = AlarmRequest.decode(data)
  if (action !== AlarmAction.GET) await access.require('root', call)
  const who = await access.identify(call)
  const outcome = await proposer.propose(requestField.alarm, data, { who, caller: call })
  if (outcome.kind !== 'alarm') throw new Error(`${outcome.kind} is no outcome of an alarm`)
  return AlarmResponse.encode({
    header: headers.message(outcome.revision),
    alarms: outcome.alarms.map(({ memberId, alarm: type }) => ({
      memberID: memberId.toString(),
      alarm: type,
    })),
  }).finish()
}

/** The state in memory has no holes; what a defragmentation changes is the size counted. */
function defragment({ size }: ServiceParts): Uint8Array {
  size.defragment()
  return DefragmentResponse.encode({ header: undefined }).finish()
}

/** Items whose bytes differ from member to member, or from version to version. */
const unhashedMeta = [metaKey.consistentIndex, metaKey.term, metaKey.storageVersion]

function hash({ headers, store, capture }: ServiceParts): Uint8Array {
  let crc = 0
  for (const { name, items } of capture()) {
    crc = crc32c(Buffer.from(name), crc)
    for (const { key, value } of items) {
      if (name === 'meta' && unhashedMeta.some((each) => each.equals(key))) continue
      crc = crc32c(value, crc32c(key, crc))
    }
  }
  return HashResponse.encode({ header: headers.message(store.revision), hash: crc }).finish()
}

function hashKv({ headers, store }: ServiceParts, request: HashKVRequest): Uint8Array {
  const result = store.hashKv(Number(request.revision))
  return HashKVResponse.encode({
    header: headers.message(store.revision),
    hash: result.hash,
    compact_revision: String(result.compactRevision),
    // A negative one, of which there is the hash of nothing, is given back as it came.
    hash_revision: Number(request.revision) < 0 ? request.revision : String(result.hashRevision),
  }).finish()
}

async function moveLeader({ handOver }: ServiceParts, data: Buffer): Promise<Uint8Array> {
  await handOver(BigInt(MoveLeaderRequest.decode(data).targetID))
  return MoveLeaderResponse.encode({ header: undefined }).finish()
}

/** As etcd: pieces small enough that a slow client holds little memory. */
const blobBytes = 32 * 1024

/**
 * The database in pieces, each with the bytes still to come; then the SHA-256 of them all. The
 * view is taken at the first step, so writes go on meanwhile.
 */
async function snapshot(
  { capture, membership }: ServiceParts,
  stream: ServerStream,
): Promise<void> {
  const plan = await planDatabase(capture())
  const digest = createHash('sha256')
  let remaining = plan.sizeBytes
  const response = (blob: Buffer, left: number) =>
    snapshotResponse(blob, { left, version: membership.storageVersion })
  for await (const chunk of plan.chunks()) {
    for (let at = 0; at < chunk.length; at += blobBytes) {
      const blob = chunk.subarray(at, at + blobBytes)
      digest.update(blob)
      remaining -= blob.length
      await stream.write(response(blob, remaining))
    }
  }
  await stream.write(response(digest.digest(), 0))
}

function snapshotResponse(
  blob: Buffer,
  { left, version }: { left: number; version: string },
): Uint8Array {
  return SnapshotResponse.encode({
    header: undefined,
    remaining_bytes: String(left),
    blob,
    version,
  }).finish()
}
