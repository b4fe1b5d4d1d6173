// json.ts: one line of JSON per answer, as Go's encoder writes etcd's message structs.
//
// The names and their order are etcdctl's. Mostly a field that is zero, false or empty is left
// out and enums are numbers; watch, lease and endpoint answers are other structs, whose fields
// never vanish. Integers of 64 bits are bare digits, taken over as text. --hex turns the ids of
// the member commands into hexadecimal strings and changes nothing else.

import type { Permission } from '../api/gen/auth.js'
import type { Event, KeyValue } from '../api/gen/kv.js'
import type {
  DeleteRangeResponse,
  DowngradeInfo,
  HashKVResponse,
  Member,
  PutResponse,
  RangeResponse,
  ResponseHeader,
  ResponseOp,
  StatusResponse,
  TxnResponse,
  WatchResponse,
} from '../api/gen/rpc.js'
import { durationText } from './duration.js'
import { hexId } from './hex-id.js'
import { jsonBytes, jsonString } from './json-string.js'
import { progressLine } from './progress.js'
import { jsonRangePieces } from './raw-range-json.js'
import type { Format, Result, ResultKind, ResultOf } from './result.js'
import { userDetail } from './user-detail.js'

export function newJson({ hex }: { hex: boolean }): Format {
  const print: Format['print'] = (result) => {
    if (result.kind === 'userDetail') return userDetail(result, print)
    if (result.kind === 'leaseKeepAliveEnd') return { stdout: '' }
    const progress = result.kind === 'watch' ? progressLine(result.response) : ''
    // The kind picked the entry, so the entry fits the result; the compiler cannot follow that.
    const text = texts[result.kind] as (result: Result, hex: boolean) => string
    return { stdout: `${progress}${text(result, hex)}\n` }
  }
  return {
    print,
    printRange: (encoded) =>
      jsonRangePieces(encoded, (rest, pairs) => `${rangeFrame(rest, pairs)}\n`),
  }
}

type TextKind = Exclude<ResultKind, 'userDetail' | 'leaseKeepAliveEnd'>

const texts: { [K in TextKind]: (result: ResultOf<K>, hex: boolean) => string } = {
  put: ({ response }) => put(response),
  get: ({ response }) => range(response),
  del: ({ response }) => deleteRange(response),
  txn: ({ response }) => txn(response),
  watch: ({ response }) => watch(response),
  leaseGrant: ({ response: { header, ID, TTL, error } }) =>
    object(...headerMembers(header), `"ID":${ID}`, `"TTL":${TTL}`, `"Error":${jsonString(error)}`),
  leaseRevoke: ({ response }) => headerOnly(response),
  leaseKeepAlive: ({ response: { header, ID, TTL } }) =>
    object(...headerMembers(header), `"ID":${ID}`, `"TTL":${TTL}`),
  leaseTimeToLive: ({ response: { header, ID, TTL, grantedTTL, keys } }) =>
    object(
      ...headerMembers(header),
      `"id":${ID}`,
      `"ttl":${TTL}`,
      `"granted-ttl":${grantedTTL}`,
      `"keys":${orNull(keys.map(jsonBytes))}`,
    ),
  leaseList: ({ response: { header, leases } }) =>
    object(...headerMembers(header), `"leases":[${leases.map(({ ID }) => `{"id":${ID}}`)}]`),
  memberList: ({ response }, hex) => members(response, hex),
  memberAdd: ({ response }, hex) => {
    if (!hex) {
      const added = message('member', response.member, (member) => memberObject(member, false))
      return object(headerMember(response), added, memberList(response.members))
    }
    const added = response.member ? memberObject(response.member, true) : 'null'
    return object(hexHeader(response), `"member":${added}`, hexMemberList(response.members))
  },
  memberRemove: ({ response }, hex) => members(response, hex),
  memberUpdate: ({ response }, hex) => members(response, hex),
  memberPromote: ({ response }, hex) => members(response, hex),
  endpointHealth: ({ rows }) =>
    orNull(
      rows.map(({ endpoint, health, tookNs, error }) =>
        object(
          `"endpoint":${jsonString(endpoint)}`,
          `"health":${health}`,
          `"took":${jsonString(tookNs === undefined ? '' : durationText(tookNs))}`,
          string('error', error),
        ),
      ),
    ),
  endpointStatus: ({ rows }) =>
    orNull(
      rows.map(({ endpoint, response }) =>
        object(`"Endpoint":${jsonString(endpoint)}`, `"Status":${status(response)}`),
      ),
    ),
  endpointHashKv: ({ rows }) =>
    orNull(
      rows.map(({ endpoint, response }) =>
        object(`"Endpoint":${jsonString(endpoint)}`, `"HashKV":${hashKv(response)}`),
      ),
    ),
  moveLeader: ({ response }) => headerOnly(response),
  downgrade: ({ response }) => object(headerMember(response), string('version', response.version)),
  alarm: ({ response }) =>
    object(
      headerMember(response),
      list('alarms', response.alarms, ({ memberID, alarm }) =>
        object(number('memberID', memberID), number('alarm', alarm)),
      ),
    ),
  roleAdd: ({ response }) => headerOnly(response),
  roleDelete: ({ response }) => headerOnly(response),
  roleGet: ({ response }) =>
    object(headerMember(response), list('perm', response.perm, permission)),
  roleList: ({ response }) =>
    object(headerMember(response), list('roles', response.roles, jsonString)),
  roleGrantPermission: ({ response }) => headerOnly(response),
  roleRevokePermission: ({ response }) => headerOnly(response),
  userAdd: ({ response }) => headerOnly(response),
  userDelete: ({ response }) => headerOnly(response),
  userGet: ({ response }) =>
    object(headerMember(response), list('roles', response.roles, jsonString)),
  userList: ({ response }) =>
    object(headerMember(response), list('users', response.users, jsonString)),
  userPasswd: ({ response }) => headerOnly(response),
  userGrantRole: ({ response }) => headerOnly(response),
  userRevokeRole: ({ response }) => headerOnly(response),
  authStatus: ({ response }) =>
    object(
      headerMember(response),
      flag('enabled', response.enabled),
      number('authRevision', response.authRevision),
    ),
  snapshotStatus: ({ status: { hash, revision, totalKey, totalSize, version } }) =>
    object(
      `"hash":${hash}`,
      `"revision":${revision}`,
      `"totalKey":${totalKey}`,
      `"totalSize":${totalSize}`,
      `"version":${jsonString(version)}`,
    ),
  snapshotHashKv: ({ hash: { hash, hashRevision, compactRevision } }) =>
    object(
      `"hash":${hash}`,
      `"hashRevision":${hashRevision}`,
      `"compactRevision":${compactRevision}`,
    ),
  snapshotVerify: ({ report: { digest, findings, findingCount } }) =>
    object(
      `"digest":${jsonString(digest)}`,
      `"findingCount":${findingCount}`,
      `"findings":[${findings.map(finding).join(',')}]`,
    ),
}

const finding = ({ offset, what }: { offset: number; what: string }): string =>
  object(`"offset":${offset}`, `"what":${jsonString(what)}`)

interface WithHeader {
  header: ResponseHeader | undefined
}

/** undefined: the member of the object is left out. */
type JsonMember = string | undefined

const object = (...members: readonly JsonMember[]): string =>
  `{${members.filter((member) => member !== undefined).join(',')}}`

const number = (name: string, value: string | number): JsonMember =>
  value === '0' || value === 0 ? undefined : `"${name}":${value}`

const string = (name: string, value: string): JsonMember =>
  value === '' ? undefined : `"${name}":${jsonString(value)}`

const bytes = (name: string, value: Buffer): JsonMember =>
  value.length === 0 ? undefined : `"${name}":${jsonBytes(value)}`

const flag = (name: string, value: boolean): JsonMember => (value ? `"${name}":true` : undefined)

const message = <T>(name: string, value: T | undefined, text: (value: T) => string): JsonMember =>
  value === undefined ? undefined : `"${name}":${text(value)}`

const list = <T>(name: string, items: readonly T[], text: (item: T) => string): JsonMember =>
  items.length === 0 ? undefined : `"${name}":[${items.map(text)}]`

const orNull = (items: readonly string[]): string => (items.length === 0 ? 'null' : `[${items}]`)

const headerMembers = (header: ResponseHeader | undefined): JsonMember[] =>
  header === undefined
    ? []
    : [
        number('cluster_id', header.cluster_id),
        number('member_id', header.member_id),
        number('revision', header.revision),
        number('raft_term', header.raft_term),
      ]

const headerMember = ({ header }: WithHeader): JsonMember =>
  message('header', header, () => object(...headerMembers(header)))

const headerOnly = (response: WithHeader): string => object(headerMember(response))

const keyValue = (kv: KeyValue): string =>
  object(
    bytes('key', kv.key),
    number('create_revision', kv.create_revision),
    number('mod_revision', kv.mod_revision),
    number('version', kv.version),
    bytes('value', kv.value),
    number('lease', kv.lease),
  )

const put = (response: PutResponse): string =>
  object(headerMember(response), message('prev_kv', response.prev_kv, keyValue))

const range = (response: RangeResponse): string =>
  rangeFrame(response, response.kvs.length === 0 ? undefined : response.kvs.map(keyValue).join())

const rangeFrame = (response: RangeResponse, pairs: string | undefined): string =>
  object(
    headerMember(response),
    message('kvs', pairs, () => `[${pairs}]`),
    flag('more', response.more),
    number('count', response.count),
  )

const deleteRange = (response: DeleteRangeResponse): string =>
  object(
    headerMember(response),
    number('deleted', response.deleted),
    list('prev_kvs', response.prev_kvs, keyValue),
  )

const txn = (response: TxnResponse): string =>
  object(
    headerMember(response),
    flag('succeeded', response.succeeded),
    list(
      'responses',
      response.responses,
      (operation) => `{"Response":${operationText(operation)}}`,
    ),
  )

const operationText = (operation: ResponseOp): string =>
  object(
    message('response_range', operation.response_range, range),
    message('response_put', operation.response_put, put),
    message('response_delete_range', operation.response_delete_range, deleteRange),
    message('response_txn', operation.response_txn, txn),
  )

const watch = (response: WatchResponse): string =>
  object(
    `"Header":${object(...headerMembers(response.header))}`,
    `"Events":${orNull(response.events.map(event))}`,
    `"CompactRevision":${response.compact_revision}`,
    `"Canceled":${response.canceled}`,
    `"Created":${response.created}`,
    `"CancelReason":${jsonString(response.cancel_reason)}`,
  )

const event = ({ type, kv, prev_kv }: Event): string =>
  object(number('type', type), message('kv', kv, keyValue), message('prev_kv', prev_kv, keyValue))

const permission = ({ permType, key, range_end }: Permission): string =>
  object(number('permType', permType), bytes('key', key), bytes('range_end', range_end))

const members = (response: WithHeader & { members: Member[] }, hex: boolean): string =>
  hex
    ? object(hexHeader(response), hexMemberList(response.members))
    : object(headerMember(response), memberList(response.members))

const memberList = (all: readonly Member[]): JsonMember =>
  list('members', all, (member) => memberObject(member, false))

const hexMemberList = (all: readonly Member[]): JsonMember =>
  `"members":[${all.map((member) => memberObject(member, true))}]`

const hexHeader = ({ header }: WithHeader): JsonMember => {
  if (header === undefined) return '"header":null'
  const ids = [
    `"cluster_id":"${hexId(header.cluster_id)}"`,
    `"member_id":"${hexId(header.member_id)}"`,
  ]
  const rest = [number('revision', header.revision), number('raft_term', header.raft_term)]
  return `"header":${object(...ids, ...rest)}`
}

const memberObject = (member: Member, hex: boolean): string =>
  object(
    hex ? `"ID":"${hexId(member.ID)}"` : number('ID', member.ID),
    string('name', member.name),
    list('peerURLs', member.peerURLs, jsonString),
    list('clientURLs', member.clientURLs, jsonString),
    flag('isLearner', member.isLearner),
  )

const status = (response: StatusResponse): string =>
  object(
    headerMember(response),
    string('version', response.version),
    number('dbSize', response.dbSize),
    number('leader', response.leader),
    number('raftIndex', response.raftIndex),
    number('raftTerm', response.raftTerm),
    number('raftAppliedIndex', response.raftAppliedIndex),
    list('errors', response.errors, jsonString),
    number('dbSizeInUse', response.dbSizeInUse),
    flag('isLearner', response.isLearner),
    string('storageVersion', response.storageVersion),
    number('dbSizeQuota', response.dbSizeQuota),
    message('downgradeInfo', response.downgradeInfo, downgradeInfo),
  )

const downgradeInfo = ({ enabled, targetVersion }: DowngradeInfo): string =>
  object(flag('enabled', enabled), string('targetVersion', targetVersion))

const hashKv = (response: HashKVResponse): string =>
  object(
    headerMember(response),
    number('hash', response.hash),
    number('compact_revision', response.compact_revision),
    number('hash_revision', response.hash_revision),
  )
