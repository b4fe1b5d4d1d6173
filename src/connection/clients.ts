// clients.ts: the services of a connection, with the types of the 3.7 messages. At run time they
// are etcd3's own RPC clients; its type declarations stop at 3.4 and spell enums differently, so
// each client is given the type that our transport in fact returns.
import type * as rpc from '../api/gen/rpc.js'

export interface CallOptions {
  /** Sent beside the connection's own metadata; names in lower case. */
  metadata?: Readonly<Record<string, string>>
  /** From now, retries and waiting for a connection included. Absent: no end; 0: over already. */
  deadlineMs?: number | undefined
  signal?: AbortSignal | undefined
}

type Call<Request, Response> = (
  request: rpc.DeepPartial<Request>,
  options?: CallOptions,
) => Promise<Response>

/** A method whose request has no fields: etcd3's clients take no request for it. */
type BareCall<Response> = (options?: CallOptions) => Promise<Response>

export interface KvClient {
  range: Call<rpc.RangeRequest, rpc.RangeResponse>
  put: Call<rpc.PutRequest, rpc.PutResponse>
  deleteRange: Call<rpc.DeleteRangeRequest, rpc.DeleteRangeResponse>
  txn: Call<rpc.TxnRequest, rpc.TxnResponse>
  compact: Call<rpc.CompactionRequest, rpc.CompactionResponse>
}

export interface LeaseClient {
  leaseGrant: Call<rpc.LeaseGrantRequest, rpc.LeaseGrantResponse>
  leaseRevoke: Call<rpc.LeaseRevokeRequest, rpc.LeaseRevokeResponse>
  leaseTimeToLive: Call<rpc.LeaseTimeToLiveRequest, rpc.LeaseTimeToLiveResponse>
  leaseLeases: BareCall<rpc.LeaseLeasesResponse>
}

export interface ClusterClient {
  memberAdd: Call<rpc.MemberAddRequest, rpc.MemberAddResponse>
  memberRemove: Call<rpc.MemberRemoveRequest, rpc.MemberRemoveResponse>
  memberUpdate: Call<rpc.MemberUpdateRequest, rpc.MemberUpdateResponse>
  memberList: Call<rpc.MemberListRequest, rpc.MemberListResponse>
  memberPromote: Call<rpc.MemberPromoteRequest, rpc.MemberPromoteResponse>
}

export interface MaintenanceClient {
  alarm: Call<rpc.AlarmRequest, rpc.AlarmResponse>
  status: BareCall<rpc.StatusResponse>
  defragment: BareCall<rpc.DefragmentResponse>
  hash: BareCall<rpc.HashResponse>
  hashKV: Call<rpc.HashKVRequest, rpc.HashKVResponse>
  moveLeader: Call<rpc.MoveLeaderRequest, rpc.MoveLeaderResponse>
  downgrade: Call<rpc.DowngradeRequest, rpc.DowngradeResponse>
}

export interface AuthClient {
  authEnable: BareCall<rpc.AuthEnableResponse>
  authDisable: BareCall<rpc.AuthDisableResponse>
  authStatus: BareCall<rpc.AuthStatusResponse>
  authenticate: Call<rpc.AuthenticateRequest, rpc.AuthenticateResponse>
  userAdd: Call<rpc.AuthUserAddRequest, rpc.AuthUserAddResponse>
  userGet: Call<rpc.AuthUserGetRequest, rpc.AuthUserGetResponse>
  userList: BareCall<rpc.AuthUserListResponse>
  userDelete: Call<rpc.AuthUserDeleteRequest, rpc.AuthUserDeleteResponse>
  userChangePassword: Call<rpc.AuthUserChangePasswordRequest, rpc.AuthUserChangePasswordResponse>
  userGrantRole: Call<rpc.AuthUserGrantRoleRequest, rpc.AuthUserGrantRoleResponse>
  userRevokeRole: Call<rpc.AuthUserRevokeRoleRequest, rpc.AuthUserRevokeRoleResponse>
  roleAdd: Call<rpc.AuthRoleAddRequest, rpc.AuthRoleAddResponse>
  roleGet: Call<rpc.AuthRoleGetRequest, rpc.AuthRoleGetResponse>
  roleList: BareCall<rpc.AuthRoleListResponse>
  roleDelete: Call<rpc.AuthRoleDeleteRequest, rpc.AuthRoleDeleteResponse>
  roleGrantPermission: Call<rpc.AuthRoleGrantPermissionRequest, rpc.AuthRoleGrantPermissionResponse>
  roleRevokePermission: Call<
    rpc.AuthRoleRevokePermissionRequest,
    rpc.AuthRoleRevokePermissionResponse
  >
}
