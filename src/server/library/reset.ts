// reset.ts: an empty store again, between two tests, without the time of a new start.
//
// With its data in memory a member is the only one who knows its state, so the state can simply be
// put back: revision 1, no keys, no leases, the users that it began with. With a directory the log
// must be able to tell the same story again, so everything is deleted through the log, and the
// revision goes on.
import {
  AlarmRequest,
  CompactionRequest,
  DeleteRangeRequest,
  LeaseRevokeRequest,
} from '../../api/gen/rpc.js'
import type { AuthRecords } from '../../auth/store.js'
import { requestField } from '../proposer.js'
import type { ServiceParts } from '../rpc/parts.js'

const reason = 'the server was reset'

export async function resetInMemory(parts: ServiceParts, auth: AuthRecords): Promise<void> {
  await settled(parts)
  const { store, lessor, alarms } = parts
  store.cancelWatchers(reason)
  store.restore([], { source: 'reset' })
  lessor.restore([])
  alarms.restore([])
  parts.auth.restore(auth)
  parts.auth.tokens.forgetAll()
  parts.size.defragment()
}

export async function resetOnDisk(parts: ServiceParts): Promise<void> {
  await settled(parts)
  const { store, lessor, alarms, proposer } = parts
  const who = parts.auth.rootIdentity
  store.cancelWatchers(reason)
  for (const id of lessor.leases()) {
    const request = LeaseRevokeRequest.encode({ ID: id.toString() }).finish()
    await proposer.propose(requestField.leaseRevoke, request, { who })
  }
  for (const { memberId, alarm } of alarms.list()) {
    const request = AlarmRequest.encode({ action: 2, memberID: memberId.toString(), alarm })
    await proposer.propose(requestField.alarm, request.finish(), { who })
  }
  const everything = { key: Buffer.from([0]), range_end: Buffer.from([0]), prev_kv: false }
  const request = DeleteRangeRequest.encode(everything).finish()
  await proposer.propose(requestField.deleteRange, request, { who })
  await forgetHistory(parts)
}

/** Or each reset would leave what it deleted behind, until the quota is reached. */
async function forgetHistory({ store, proposer, auth, size }: ServiceParts): Promise<void> {
  const { revision } = store
  if (revision <= store.compactRevision) return
  const request = CompactionRequest.encode({ revision: String(revision), physical: false })
  const { compaction } = requestField
  const outcome = await proposer.propose(compaction, request.finish(), { who: auth.rootIdentity })
  if (outcome.kind === 'compaction') await outcome.removed
  size.defragment()
}

/** What was asked for before has come out of the log. */
async function settled({ proposer, auth }: ServiceParts): Promise<void> {
  const nothing = AlarmRequest.encode({ action: 0, memberID: '0', alarm: 0 }).finish()
  await proposer.propose(requestField.alarm, nothing, { who: auth.rootIdentity })
}
