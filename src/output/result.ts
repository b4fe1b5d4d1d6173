// result.ts: what a command can have to say, and what a format is.
//
// A command ends in a Result: the message of the server, plus what the text needs and the message
// lacks (a name as typed, an id). A format is a pure function from a result to bytes; who writes
// them is not its concern. Text is bytes: keys and values are never decoded on their way out.

import type {
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
  HashKVResponse,
  LeaseGrantResponse,
  LeaseKeepAliveResponse,
  LeaseLeasesResponse,
  LeaseRevokeResponse,
  LeaseTimeToLiveResponse,
  MemberAddResponse,
  MemberListResponse,
  MemberPromoteResponse,
  MemberRemoveResponse,
  MemberUpdateResponse,
  MoveLeaderResponse,
  PutResponse,
  RangeResponse,
  StatusResponse,
  TxnResponse,
  WatchResponse,
} from '../api/gen/rpc.js'

/** Everything a command can print through a format. Ids are decimal strings, as in the messages. */
export type Result =
  | { kind: 'put'; response: PutResponse }
  /** Also the key line of lock and elect. valuesOnly is --print-value-only, which simple knows. */
  | { kind: 'get'; response: RangeResponse; valuesOnly?: boolean }
  | { kind: 'del'; response: DeleteRangeResponse }
  | { kind: 'txn'; response: TxnResponse }
  /** One answer of the stream. An answer that is a progress notification is told by its content. */
  | { kind: 'watch'; response: WatchResponse }
  | { kind: 'leaseGrant'; response: LeaseGrantResponse }
  | { kind: 'leaseRevoke'; response: LeaseRevokeResponse; leaseId: string }
  | { kind: 'leaseKeepAlive'; response: LeaseKeepAliveResponse }
  /** The stream of keep-alive answers ended: a line in simple, nothing elsewhere. */
  | { kind: 'leaseKeepAliveEnd'; leaseId: string }
  | { kind: 'leaseTimeToLive'; response: LeaseTimeToLiveResponse; withKeys: boolean }
  | { kind: 'leaseList'; response: LeaseLeasesResponse }
  | { kind: 'memberList'; response: MemberListResponse }
  /** name and peerUrls (the text of the flag) are as typed; simple shows them as settings. */
  | { kind: 'memberAdd'; response: MemberAddResponse; name: string; peerUrls: string }
  | { kind: 'memberRemove'; response: MemberRemoveResponse; memberId: string }
  | { kind: 'memberUpdate'; response: MemberUpdateResponse; memberId: string }
  | { kind: 'memberPromote'; response: MemberPromoteResponse; memberId: string }
  /** Rows in the order in which the answers came. */
  | { kind: 'endpointHealth'; rows: readonly EndpointHealth[] }
  | { kind: 'endpointStatus'; rows: readonly EndpointAnswer<StatusResponse>[] }
  | { kind: 'endpointHashKv'; rows: readonly EndpointAnswer<HashKVResponse>[] }
  | { kind: 'moveLeader'; response: MoveLeaderResponse; fromId: string; toId: string }
  | { kind: 'downgrade'; response: DowngradeResponse; action: 'validate' | 'enable' | 'cancel' }
  | { kind: 'alarm'; response: AlarmResponse }
  | { kind: 'roleAdd'; response: AuthRoleAddResponse; role: string }
  | { kind: 'roleDelete'; response: AuthRoleDeleteResponse; role: string }
  | { kind: 'roleGet'; response: AuthRoleGetResponse; role: string }
  | { kind: 'roleList'; response: AuthRoleListResponse }
  | { kind: 'roleGrantPermission'; response: AuthRoleGrantPermissionResponse; role: string }
  /** key is the argument as typed (empty stays empty), rangeEnd the end that was computed. */
  | {
      kind: 'roleRevokePermission'
      response: AuthRoleRevokePermissionResponse
      role: string
      key: Buffer
      rangeEnd: Buffer
    }
  /** user without the password that `name:password` may carry. */
  | { kind: 'userAdd'; response: AuthUserAddResponse; user: string }
  | { kind: 'userDelete'; response: AuthUserDeleteResponse; user: string }
  | { kind: 'userGet'; response: AuthUserGetResponse; user: string }
  /** user get --detail: a frame that is the same in every format, the roles in the chosen one. */
  | { kind: 'userDetail'; user: string; roles: readonly RoleAnswer[] }
  | { kind: 'userList'; response: AuthUserListResponse }
  | { kind: 'userPasswd'; response: AuthUserChangePasswordResponse }
  | { kind: 'userGrantRole'; response: AuthUserGrantRoleResponse; user: string; role: string }
  | { kind: 'userRevokeRole'; response: AuthUserRevokeRoleResponse; user: string; role: string }
  | { kind: 'authStatus'; response: AuthStatusResponse }
  | { kind: 'snapshotStatus'; status: SnapshotStatus }
  /** hashkv of a snapshot file, not of an endpoint. */
  | { kind: 'snapshotHashKv'; hash: SnapshotHashKv }
  | { kind: 'snapshotVerify'; report: SnapshotReport }

export type ResultKind = Result['kind']
export type ResultOf<K extends ResultKind> = Extract<Result, { kind: K }>

export interface EndpointHealth {
  endpoint: string
  health: boolean
  /** Nanoseconds; undefined when no client could be made for the endpoint. */
  tookNs: bigint | undefined
  /** Empty when there is none. In simple a row with an error goes to standard error. */
  error: string
}

export interface EndpointAnswer<Response> {
  endpoint: string
  response: Response
}

export interface RoleAnswer {
  role: string
  response: AuthRoleGetResponse
}

export interface SnapshotStatus {
  hash: number
  revision: number
  totalKey: number
  /** Bytes. */
  totalSize: number
  /** Storage version; empty before 3.6. */
  version: string
}

export interface SnapshotHashKv {
  hash: number
  hashRevision: number
  /** -1 before the first compaction. */
  compactRevision: number
}

/** What is wrong with a snapshot file. */
export interface SnapshotReport {
  digest: 'valid' | 'wrong' | 'missing'
  /** The first ones. */
  findings: readonly { offset: number; what: string }[]
  /** All of them. */
  findingCount: number
}

/** What goes where. Absent means nothing to write. */
export interface Output {
  stdout: Buffer | string
  stderr?: string
}

export interface Format {
  /** Throws UnsupportedFormatError when etcdctl has no such form either. */
  print(result: Result): Output
  /**
   * Prints an undecoded RangeResponse, piece by piece, with the bytes that print would give for
   * the decoded one. A piece is valid until the next one is asked for: its memory is used again.
   * Absent where there is nothing to win; then decode and print.
   */
  printRange?(message: Buffer, options: { valuesOnly: boolean }): Iterable<Buffer>
}

export interface FormatSettings {
  /** --hex: keys and values in simple, ids in fields, member ids in json. */
  hex: boolean
  tableStyle: TableStyle
  /** Colour in tables. The caller decides (terminal, NO_COLOR, --color). */
  color: boolean
}

export const tableStyles = ['ascii', 'unicode'] as const
export type TableStyle = (typeof tableStyles)[number]

export const formatNames = ['simple', 'json', 'fields', 'protobuf', 'table'] as const
export type FormatName = (typeof formatNames)[number]
