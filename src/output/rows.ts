// rows.ts: the cells that simple and table share: one joins them by commas, the other draws them.

import type { Member } from '../api/gen/rpc.js'
import { hexId } from './hex-id.js'
import { humanSize, notInUsePercent } from './humanize.js'
import type { ResultOf } from './result.js'

export const memberRows = ({ response }: ResultOf<'memberList'>): string[][] =>
  response.members.map((member) => [
    hexId(member.ID),
    memberStatus(member),
    member.name,
    member.peerURLs.join(','),
    member.clientURLs.join(','),
    String(member.isLearner),
  ])

// A member writes its name down when it starts for the first time.
const memberStatus = ({ name }: Member): string => (name === '' ? 'unstarted' : 'started')

export const statusRows = ({ rows }: ResultOf<'endpointStatus'>): string[][] =>
  rows.map(({ endpoint, response: status }) => {
    const memberId = status.header?.member_id ?? '0'
    return [
      endpoint,
      hexId(memberId),
      status.version,
      status.storageVersion,
      humanSize(status.dbSize),
      humanSize(status.dbSizeInUse),
      notInUsePercent(status.dbSizeInUse, status.dbSize),
      humanSize(status.dbSizeQuota),
      String(status.leader === memberId),
      String(status.isLearner),
      status.raftTerm,
      status.raftIndex,
      status.raftAppliedIndex,
      status.errors.join(', '),
      status.downgradeInfo?.targetVersion ?? '',
      String(status.downgradeInfo?.enabled ?? false),
    ]
  })

export const hashKvRows = ({ rows }: ResultOf<'endpointHashKv'>): string[][] =>
  rows.map(({ endpoint, response }) => [endpoint, String(response.hash), response.hash_revision])

export const snapshotStatusRow = ({ status }: ResultOf<'snapshotStatus'>): string[] => [
  status.hash.toString(16),
  String(status.revision),
  String(status.totalKey),
  humanSize(status.totalSize),
  status.version,
]

export const snapshotHashKvRow = ({ hash }: ResultOf<'snapshotHashKv'>): string[] => [
  String(hash.hash),
  String(hash.hashRevision),
  String(hash.compactRevision),
]
