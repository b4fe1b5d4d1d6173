// token-client.ts: a client that says with each call who it is, by a token or not at all; nothing
// is repeated and no token renewed behind the back of a test.
import * as rpc from '../../src/api/gen/rpc.js'
import type { Channel, ClientStream } from '../../src/grpc/channel.js'
import { RpcError, statusName } from '../../src/grpc/status.js'
import { openPlainChannel } from '../support/open-plain-channel.js'

/** The messages of each unary method that tests of authentication call. */
const methods = {
  Range: ['KV/Range', rpc.RangeRequest, rpc.RangeResponse],
  Put: ['KV/Put', rpc.PutRequest, rpc.PutResponse],
  DeleteRange: ['KV/DeleteRange', rpc.DeleteRangeRequest, rpc.DeleteRangeResponse],
  Txn: ['KV/Txn', rpc.TxnRequest, rpc.TxnResponse],
  Compact: ['KV/Compact', rpc.CompactionRequest, rpc.CompactionResponse],
  LeaseGrant: ['Lease/LeaseGrant', rpc.LeaseGrantRequest, rpc.LeaseGrantResponse],
  LeaseRevoke: ['Lease/LeaseRevoke', rpc.LeaseRevokeRequest, rpc.LeaseRevokeResponse],
  LeaseTimeToLive: [
    'Lease/LeaseTimeToLive',
    rpc.LeaseTimeToLiveRequest,
    rpc.LeaseTimeToLiveResponse,
  ],
  LeaseLeases: ['Lease/LeaseLeases', rpc.LeaseLeasesRequest, rpc.LeaseLeasesResponse],
  MemberAdd: ['Cluster/MemberAdd', rpc.MemberAddRequest, rpc.MemberAddResponse],
  MemberRemove: ['Cluster/MemberRemove', rpc.MemberRemoveRequest, rpc.MemberRemoveResponse],
  MemberUpdate: ['Cluster/MemberUpdate', rpc.MemberUpdateRequest, rpc.MemberUpdateResponse],
  MemberPromote: ['Cluster/MemberPromote', rpc.MemberPromoteRequest, rpc.MemberPromoteResponse],
  MemberList: ['Cluster/MemberList', rpc.MemberListRequest, rpc.MemberListResponse],
  Status: ['Maintenance/Status', rpc.StatusRequest, rpc.StatusResponse],
  Alarm: ['Maintenance/Alarm', rpc.AlarmRequest, rpc.AlarmResponse],
  Defragment: ['Maintenance/Defragment', rpc.DefragmentRequest, rpc.DefragmentResponse],
  Hash: ['Maintenance/Hash', rpc.HashRequest, rpc.HashResponse],
  HashKV: ['Maintenance/HashKV', rpc.HashKVRequest, rpc.HashKVResponse],
  MoveLeader: ['Maintenance/MoveLeader', rpc.MoveLeaderRequest, rpc.MoveLeaderResponse],
  AuthEnable: ['Auth/AuthEnable', rpc.AuthEnableRequest, rpc.AuthEnableResponse],
  AuthDisable: ['Auth/AuthDisable', rpc.AuthDisableRequest, rpc.AuthDisableResponse],
  AuthStatus: ['Auth/AuthStatus', rpc.AuthStatusRequest, rpc.AuthStatusResponse],
  Authenticate: ['Auth/Authenticate', rpc.AuthenticateRequest, rpc.AuthenticateResponse],
  UserAdd: ['Auth/UserAdd', rpc.AuthUserAddRequest, rpc.AuthUserAddResponse],
  UserGet: ['Auth/UserGet', rpc.AuthUserGetRequest, rpc.AuthUserGetResponse],
  UserList: ['Auth/UserList', rpc.AuthUserListRequest, rpc.AuthUserListResponse],
  UserDelete: ['Auth/UserDelete', rpc.AuthUserDeleteRequest, rpc.AuthUserDeleteResponse],
  UserChangePassword: [
    'Auth/UserChangePassword',
    rpc.AuthUserChangePasswordRequest,
    rpc.AuthUserChangePasswordResponse,
  ],
  UserGrantRole: [
    'Auth/UserGrantRole',
    rpc.AuthUserGrantRoleRequest,
    rpc.AuthUserGrantRoleResponse,
  ],
  UserRevokeRole: [
    'Auth/UserRevokeRole',
    rpc.AuthUserRevokeRoleRequest,
    rpc.AuthUserRevokeRoleResponse,
  ],
  RoleAdd: ['Auth/RoleAdd', rpc.AuthRoleAddRequest, rpc.AuthRoleAddResponse],
  RoleGet: ['Auth/RoleGet', rpc.AuthRoleGetRequest, rpc.AuthRoleGetResponse],
  RoleList: ['Auth/RoleList', rpc.AuthRoleListRequest, rpc.AuthRoleListResponse],
  RoleDelete: ['Auth/RoleDelete', rpc.AuthRoleDeleteRequest, rpc.AuthRoleDeleteResponse],
  RoleGrantPermission: [
    'Auth/RoleGrantPermission',
    rpc.AuthRoleGrantPermissionRequest,
    rpc.AuthRoleGrantPermissionResponse,
  ],
  RoleRevokePermission: [
    'Auth/RoleRevokePermission',
    rpc.AuthRoleRevokePermissionRequest,
    rpc.AuthRoleRevokePermissionResponse,
  ],
} as const

export type Method = keyof typeof methods

type Decoded<T> = T extends rpc.MessageFns<infer Message> ? Message : never
export type Fields<M extends Method> = rpc.DeepPartial<Decoded<(typeof methods)[M][1]>>
export type Answer<M extends Method> = Decoded<(typeof methods)[M][2]>

/** Metadata of a call; a text is a token. */
export type Shown = string | undefined | Readonly<Record<string, string>>

export class TokenClient implements AsyncDisposable {
  readonly #channel: Channel

  /** A port of this machine, or the path of a unix socket. */
  constructor(at: number | string) {
    this.#channel = openPlainChannel(typeof at === 'string' ? { path: at } : at)
  }

  async call<M extends Method>(method: M, fields: Fields<M>, shown?: Shown): Promise<Answer<M>> {
    const [name, request, response] = methods[method]
    // The table pairs each method with its own messages; the compiler sees their union.
    const { fromPartial, encode } = request as rpc.MessageFns<unknown>
    const bytes = encode(fromPartial(fields)).finish()
    const path = `/etcdserverpb.${name}`
    const answer = await this.#channel.unary(path, bytes, { metadata: metadata(shown) })
    return response.decode(answer) as Answer<M>
  }

  /** 'ok', or status and text. */
  async outcome<M extends Method>(method: M, fields: Fields<M>, shown?: Shown): Promise<string> {
    return outcomeOf(this.call(method, fields, shown))
  }

  stream(path: string, shown?: Shown): ClientStream {
    return this.#channel.stream(`/etcdserverpb.${path}`, { metadata: metadata(shown) })
  }

  async logIn(name: string, password: string): Promise<string> {
    return (await this.call('Authenticate', { name, password })).token
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#channel.close()
  }
}

/** 'ok', or status and text. */
export async function outcomeOf(work: Promise<unknown>): Promise<string> {
  try {
    await work
    return 'ok'
  } catch (error) {
    if (!(error instanceof RpcError)) throw error
    return `${statusName(error.code)}: ${error.details}`
  }
}

function metadata(shown: Shown): Readonly<Record<string, string>> {
  return typeof shown === 'string' ? { token: shown } : (shown ?? {})
}
