// protobuf.ts: the answer as the encoded message, and nothing else: no length, no line feed.
//
// Two peculiarities are etcdctl's, kept because the bytes are an interface. Lease answers are
// reduced to their header, standing alone at the top level (revoke fails instead). Watch answers
// are rebuilt from some of their fields, and follow each other without a boundary.

import {
  AlarmResponse,
  AuthRoleAddResponse,
  AuthRoleDeleteResponse,
  AuthRoleGetResponse,
  AuthRoleGrantPermissionResponse,
  AuthRoleListResponse,
  AuthRoleRevokePermissionResponse,
  AuthStatusResponse,
  AuthUserAddResponse,
  AuthUserChangePasswordResponse,
  AuthUserDeleteResponse,
  AuthUserGetResponse,
  AuthUserGrantRoleResponse,
  AuthUserListResponse,
  AuthUserRevokeRoleResponse,
  DeleteRangeResponse,
  DowngradeResponse,
  MemberAddResponse,
  MemberListResponse,
  MemberPromoteResponse,
  MemberRemoveResponse,
  MemberUpdateResponse,
  MoveLeaderResponse,
  PutResponse,
  RangeResponse,
  ResponseHeader,
  TxnResponse,
  WatchResponse,
} from '../api/gen/rpc.js'
import { progressLine } from './progress.js'
import type { Format, Result, ResultKind, ResultOf } from './result.js'
import { UnsupportedFormatError } from './unsupported.js'
import { userDetail } from './user-detail.js'

export function newProtobuf(): Format {
  const print: Format['print'] = (result) => {
    if (result.kind === 'userDetail') return userDetail(result, print)
    // The kind picked the entry, so the entry fits the result; the compiler cannot follow that.
    const encoding = encodings[result.kind] as ((result: Result) => Buffer) | undefined
    if (encoding === undefined) throw UnsupportedFormatError.combination('protobuf')
    return { stdout: encoding(result) }
  }
  return { print, printRange: (message) => [message] }
}

/** undefined: there is no such form of the result. */
const encodings: { [K in ResultKind]?: (result: ResultOf<K>) => Buffer } = {
  put: asReceived(PutResponse),
  get: asReceived(RangeResponse),
  del: asReceived(DeleteRangeResponse),
  txn: asReceived(TxnResponse),
  memberList: asReceived(MemberListResponse),
  memberAdd: asReceived(MemberAddResponse),
  memberRemove: asReceived(MemberRemoveResponse),
  memberUpdate: asReceived(MemberUpdateResponse),
  memberPromote: asReceived(MemberPromoteResponse),
  moveLeader: asReceived(MoveLeaderResponse),
  downgrade: asReceived(DowngradeResponse),
  alarm: asReceived(AlarmResponse),
  roleAdd: asReceived(AuthRoleAddResponse),
  roleDelete: asReceived(AuthRoleDeleteResponse),
  roleGet: asReceived(AuthRoleGetResponse),
  roleList: asReceived(AuthRoleListResponse),
  roleGrantPermission: asReceived(AuthRoleGrantPermissionResponse),
  roleRevokePermission: asReceived(AuthRoleRevokePermissionResponse),
  userAdd: asReceived(AuthUserAddResponse),
  userDelete: asReceived(AuthUserDeleteResponse),
  userGet: asReceived(AuthUserGetResponse),
  userList: asReceived(AuthUserListResponse),
  userPasswd: asReceived(AuthUserChangePasswordResponse),
  userGrantRole: asReceived(AuthUserGrantRoleResponse),
  userRevokeRole: asReceived(AuthUserRevokeRoleResponse),
  authStatus: asReceived(AuthStatusResponse),
  watch: ({ response }) => {
    const { header, created, canceled, compact_revision, events } = response
    const kept = { header, created, canceled, compact_revision, events }
    const encoded = encode(WatchResponse, { ...kept, ...notKept })
    return Buffer.concat([Buffer.from(progressLine(response)), encoded])
  },
  leaseGrant: ({ response }) => headerAlone(response.header),
  leaseKeepAlive: ({ response }) => headerAlone(response.header),
  leaseKeepAliveEnd: () => Buffer.alloc(0),
  leaseTimeToLive: ({ response }) => headerAlone(response.header),
  leaseList: ({ response }) => headerAlone(response.header),
  leaseRevoke: ({ response }) => {
    throw UnsupportedFormatError.leaseRevokeEncoding(JSON.stringify(response.header ?? {}))
  },
}

const notKept = { watch_id: '0', cancel_reason: '', fragment: false }

interface Codec<T> {
  encode(message: T): { finish(): Uint8Array }
}

function encode<T>(codec: Codec<T>, message: T): Buffer {
  const { buffer, byteOffset, byteLength } = codec.encode(message).finish()
  return Buffer.from(buffer, byteOffset, byteLength)
}

/** The answer as it was received. */
function asReceived<T>(codec: Codec<T>): (result: { response: T }) => Buffer {
  return ({ response }) => encode(codec, response)
}

const headerAlone = (header: ResponseHeader | undefined): Buffer =>
  header === undefined ? Buffer.alloc(0) : encode(ResponseHeader, header)
