// fields.ts: a line for each field of an answer, `"Name" : value`.
//
// Texts are quoted as Go quotes them, so that any bytes fit on a line. Some names repeat and some
// values stay bare (durations, errors, names of enums); scripts know them that way. With --hex
// ids are hexadecimal: those in the header and of members without padding, leases in full width.

import type { KeyValue } from '../api/gen/kv.js'
import type {
  DeleteRangeResponse,
  PutResponse,
  RangeResponse,
  ResponseHeader,
  TxnResponse,
} from '../api/gen/rpc.js'
import { durationText } from './duration.js'
import { alarmName, eventName, permissionName } from './enum-names.js'
import { hexId, zeroPaddedId } from './hex-id.js'
import { progressLine } from './progress.js'
import { quoted } from './quote.js'
import { fieldsRangePieces } from './raw-range-fields.js'
import type { Format, Result, ResultKind, ResultOf } from './result.js'
import { UnsupportedFormatError } from './unsupported.js'
import { userDetail } from './user-detail.js'

export function newFields({ hex }: { hex: boolean }): Format {
  const ids: Ids = hex
    ? { member: hexId, lease: zeroPaddedId }
    : { member: (id) => id, lease: (id) => id }
  const print: Format['print'] = (result) => {
    if (result.kind === 'userDetail') return userDetail(result, print)
    // The kind picked the entry, so the entry fits the result; the compiler cannot follow that.
    const text = lines[result.kind] as ((result: Result, ids: Ids) => string) | undefined
    if (text === undefined) throw UnsupportedFormatError.combination('fields')
    return { stdout: text(result, ids) }
  }
  return {
    print,
    printRange: (message) =>
      fieldsRangePieces(message, {
        head: (rest) => header(rest, ids),
        pair: (kv) => keyValue(kv, '', ids),
        foot: rangeEnd,
      }),
  }
}

/** How ids are written. */
interface Ids {
  member(id: string): string
  lease(id: string): string
}

/** undefined: there is no such form of the result. */
const lines: { [K in ResultKind]?: (result: ResultOf<K>, ids: Ids) => string } = {
  put: ({ response }, ids) => put(response, ids),
  get: ({ response }, ids) => range(response, ids),
  del: ({ response }, ids) => deleteRange(response, ids),
  txn: ({ response }, ids) => txn(response, ids),
  watch: ({ response }, ids) =>
    progressLine(response) +
    header(response, ids) +
    joined(
      response.events,
      ({ type, kv, prev_kv: previous }) =>
        bare('Type', eventName(type)) +
        (previous ? keyValue(previous, 'Prev', ids) : '') +
        (kv ? keyValue(kv, '', ids) : ''),
    ),
  leaseGrant: ({ response }, ids) =>
    header(response, ids) + bare('ID', ids.lease(response.ID)) + bare('TTL', response.TTL),
  leaseRevoke: ({ response }, ids) => header(response, ids),
  leaseKeepAlive: ({ response }, ids) =>
    header(response, ids) + bare('ID', ids.lease(response.ID)) + bare('TTL', response.TTL),
  leaseKeepAliveEnd: () => '',
  leaseTimeToLive: ({ response }, ids) =>
    header(response, ids) +
    bare('ID', ids.lease(response.ID)) +
    bare('TTL', response.TTL) +
    bare('GrantedTTL', response.grantedTTL) +
    joined(response.keys, (key) => text('Key', key)),
  leaseList: ({ response }, ids) =>
    header(response, ids) + joined(response.leases, ({ ID }) => bare('ID', ids.lease(ID))),
  memberList: ({ response }, ids) =>
    header(response, ids) +
    joined(
      response.members,
      (member) =>
        bare('ID', ids.member(member.ID)) +
        text('Name', member.name) +
        joined(member.peerURLs, (url) => text('PeerURL', url)) +
        joined(member.clientURLs, (url) => text('ClientURL', url)) +
        `${bare('IsLearner', member.isLearner)}\n`,
    ),
  endpointHealth: ({ rows }) =>
    joined(
      rows,
      ({ endpoint, health, tookNs, error }) =>
        text('Endpoint', endpoint) +
        bare('Health', health) +
        bare('Took', tookNs === undefined ? '' : durationText(tookNs)) +
        `${bare('Error', error)}\n`,
    ),
  endpointStatus: (result, ids) => endpointStatus(result, ids),
  endpointHashKv: ({ rows }, ids) =>
    joined(
      rows,
      ({ endpoint, response }) =>
        header(response, ids) +
        text('Endpoint', endpoint) +
        bare('Hash', response.hash) +
        `${bare('HashRevision', response.hash_revision)}\n`,
    ),
  alarm: ({ response }, ids) =>
    header(response, ids) +
    joined(
      response.alarms,
      ({ memberID, alarm }) =>
        `${bare('MemberID', ids.member(memberID))}${bare('AlarmType', alarmName(alarm))}\n`,
    ),
  roleAdd: ({ response }, ids) => header(response, ids),
  roleDelete: ({ response }, ids) => header(response, ids),
  roleGet: ({ response }, ids) =>
    header(response, ids) +
    joined(
      response.perm,
      ({ permType, key, range_end: rangeEnd }) =>
        // The second space is etcdctl's.
        bare('PermType', ` ${permissionName(permType)}`) +
        text('Key', key) +
        text('RangeEnd', rangeEnd),
    ),
  roleList: ({ response }, ids) =>
    `${header(response, ids)}"Roles" :${joined(response.roles, (role) => ` ${quoted(role)}`)}\n`,
  roleGrantPermission: ({ response }, ids) => header(response, ids),
  roleRevokePermission: ({ response }, ids) => header(response, ids),
  userAdd: ({ response }, ids) => header(response, ids),
  userDelete: ({ response }, ids) => header(response, ids),
  userPasswd: ({ response }, ids) => header(response, ids),
  userGrantRole: ({ response }, ids) => header(response, ids),
  userRevokeRole: ({ response }, ids) => header(response, ids),
  snapshotStatus: ({ status: { hash, revision, totalKey, totalSize, version } }) =>
    bare('Hash', hash) +
    bare('Revision', revision) +
    bare('Keys', totalKey) +
    bare('Size', totalSize) +
    bare('Version', version),
  snapshotHashKv: ({ hash: { hash, hashRevision, compactRevision } }) =>
    bare('Hash', hash) +
    bare('Hash revision', hashRevision) +
    bare('Compact revision', compactRevision),
  snapshotVerify: ({ report: { digest, findings, findingCount } }) =>
    bare('Digest', digest) +
    bare('Findings', findingCount) +
    joined(findings, ({ offset, what }) => bare('Offset', offset) + text('What', what)),
}

const bare = (name: string, value: string | number | boolean | undefined): string =>
  `"${name}" : ${value}\n`

const text = (name: string, value: string | Buffer): string => `"${name}" : ${quoted(value)}\n`

const joined = <T>(items: readonly T[], line: (item: T) => string): string =>
  items.map(line).join('')

const absent: ResponseHeader = { cluster_id: '0', member_id: '0', revision: '0', raft_term: '0' }

function header(response: { header: ResponseHeader | undefined }, ids: Ids): string {
  const { cluster_id, member_id, revision, raft_term } = response.header ?? absent
  return (
    bare('ClusterID', ids.member(cluster_id)) +
    bare('MemberID', ids.member(member_id)) +
    (revision === '0' || revision.startsWith('-') ? '' : bare('Revision', revision)) +
    bare('RaftTerm', raft_term)
  )
}

const keyValue = (kv: KeyValue, prefix: 'Prev' | '', ids: Ids): string =>
  text(`${prefix}Key`, kv.key) +
  bare(`${prefix}CreateRevision`, kv.create_revision) +
  bare(`${prefix}ModRevision`, kv.mod_revision) +
  bare(`${prefix}Version`, kv.version) +
  text(`${prefix}Value`, kv.value) +
  bare(`${prefix}Lease`, ids.lease(kv.lease))

const put = (response: PutResponse, ids: Ids): string =>
  header(response, ids) + (response.prev_kv ? keyValue(response.prev_kv, 'Prev', ids) : '')

const range = (response: RangeResponse, ids: Ids): string =>
  header(response, ids) + joined(response.kvs, (kv) => keyValue(kv, '', ids)) + rangeEnd(response)

const rangeEnd = ({ more, count }: RangeResponse): string =>
  bare('More', more) + bare('Count', count)

const deleteRange = (response: DeleteRangeResponse, ids: Ids): string =>
  header(response, ids) +
  bare('Deleted', response.deleted) +
  joined(response.prev_kvs, (kv) => keyValue(kv, 'Prev', ids))

const txn = (response: TxnResponse, ids: Ids): string =>
  header(response, ids) +
  bare('Succeeded', response.succeeded) +
  joined(
    response.responses,
    ({ response_range, response_put, response_delete_range, response_txn }) =>
      (response_range ? range(response_range, ids) : '') +
      (response_put ? put(response_put, ids) : '') +
      (response_delete_range ? deleteRange(response_delete_range, ids) : '') +
      (response_txn ? txn(response_txn, ids) : ''),
  )

const endpointStatus = ({ rows }: ResultOf<'endpointStatus'>, ids: Ids): string =>
  joined(
    rows,
    ({ endpoint, response: status }) =>
      header(status, ids) +
      text('Version', status.version) +
      text('StorageVersion', status.storageVersion) +
      bare('DBSize', status.dbSize) +
      bare('DBSizeInUse', status.dbSizeInUse) +
      bare('DBSizeQuota', status.dbSizeQuota) +
      bare('Leader', status.leader) +
      bare('IsLearner', status.isLearner) +
      bare('RaftIndex', status.raftIndex) +
      bare('RaftTerm', status.raftTerm) +
      bare('RaftAppliedIndex', status.raftAppliedIndex) +
      bare('Errors', `[${status.errors.join(' ')}]`) +
      text('Endpoint', endpoint) +
      text('DowngradeTargetVersion', status.downgradeInfo?.targetVersion ?? '') +
      `${bare('DowngradeEnabled', status.downgradeInfo?.enabled ?? false)}\n`,
  )
