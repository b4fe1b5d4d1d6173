// auth.ts: the Auth service. Everything goes through the log, questions too, but for the status.
// Passwords do not: the member that is asked checks them, or logs their hash.

import { InternalAuthenticateRequest } from '../../api/gen/raft_internal.js'
import {
  AuthDisableResponse,
  AuthEnableResponse,
  AuthenticateRequest,
  AuthenticateResponse,
  AuthRoleAddRequest,
  AuthRoleAddResponse,
  AuthRoleDeleteRequest,
  AuthRoleDeleteResponse,
  AuthRoleGetRequest,
  AuthRoleGetResponse,
  AuthRoleGrantPermissionRequest,
  AuthRoleGrantPermissionResponse,
  AuthRoleListResponse,
  AuthRoleRevokePermissionRequest,
  AuthRoleRevokePermissionResponse,
  AuthStatusResponse,
  AuthUserAddRequest,
  AuthUserAddResponse,
  AuthUserChangePasswordRequest,
  AuthUserChangePasswordResponse,
  AuthUserDeleteRequest,
  AuthUserDeleteResponse,
  AuthUserGetRequest,
  AuthUserGetResponse,
  AuthUserGrantRoleRequest,
  AuthUserGrantRoleResponse,
  AuthUserListResponse,
  AuthUserRevokeRoleRequest,
  AuthUserRevokeRoleResponse,
  type ResponseHeader,
} from '../../api/gen/rpc.js'
import { EtcdError } from '../../api/rpc-errors.js'
import { PasswordError } from '../../auth/password.js'
import { TokenError } from '../../auth/token.js'
import type { Handler, ServerCall } from '../../grpc/server.js'
import { RpcError, Status } from '../../grpc/status.js'
import type { Outcome } from '../apply.js'
import { type RequestField, requestField } from '../proposer.js'
import { type MethodTable, service, unary } from './handlers.js'
import type { ServiceParts } from './parts.js'
import { ofText, type TextRequest } from './text-fields.js'

type OutcomeOf<K extends Outcome['kind']> = Extract<Outcome, { kind: K }>

export function authService(parts: ServiceParts): MethodTable {
  const { done, names, permissions } = answers(parts)
  const f = requestField
  const methods: Record<string, Handler> = {
    AuthEnable: done(f.authEnable, AuthEnableResponse),
    AuthDisable: done(f.authDisable, AuthDisableResponse),
    AuthStatus: unary((_data, call) => status(parts, call)),
    Authenticate: unary((data, call) =>
      authenticate(parts, AuthenticateRequest.decode(data), call),
    ),
    UserAdd: done(f.authUserAdd, AuthUserAddResponse, (data) => hashedUser(parts, data)),
    UserGet: names(f.authUserGet, (header, roles) =>
      AuthUserGetResponse.encode({ header, roles }).finish(),
    ),
    UserList: names(f.authUserList, (header, users) =>
      AuthUserListResponse.encode({ header, users }).finish(),
    ),
    UserDelete: done(f.authUserDelete, AuthUserDeleteResponse),
    UserChangePassword: done(f.authUserChangePassword, AuthUserChangePasswordResponse, (data) =>
      hashedChange(parts, data),
    ),
    UserGrantRole: done(f.authUserGrantRole, AuthUserGrantRoleResponse),
    UserRevokeRole: done(f.authUserRevokeRole, AuthUserRevokeRoleResponse),
    RoleAdd: done(f.authRoleAdd, AuthRoleAddResponse),
    RoleGet: permissions(f.authRoleGet),
    RoleList: names(f.authRoleList, (header, roles) =>
      AuthRoleListResponse.encode({ header, roles }).finish(),
    ),
    RoleDelete: done(f.authRoleDelete, AuthRoleDeleteResponse),
    RoleGrantPermission: done(f.authRoleGrantPermission, AuthRoleGrantPermissionResponse),
    RoleRevokePermission: done(f.authRoleRevokePermission, AuthRoleRevokePermissionResponse),
  }
  for (const [method, request] of Object.entries(textRequests)) {
    const handler = methods[method]
    if (handler !== undefined) methods[method] = ofText(request, handler)
  }
  return service('etcdserverpb.Auth', methods)
}

/** Those with names or passwords in them. */
const textRequests: Readonly<Record<string, TextRequest>> = {
  Authenticate: AuthenticateRequest,
  UserAdd: AuthUserAddRequest,
  UserGet: AuthUserGetRequest,
  UserDelete: AuthUserDeleteRequest,
  UserChangePassword: AuthUserChangePasswordRequest,
  UserGrantRole: AuthUserGrantRoleRequest,
  UserRevokeRole: AuthUserRevokeRoleRequest,
  RoleAdd: AuthRoleAddRequest,
  RoleGet: AuthRoleGetRequest,
  RoleDelete: AuthRoleDeleteRequest,
  RoleGrantPermission: AuthRoleGrantPermissionRequest,
  RoleRevokePermission: AuthRoleRevokePermissionRequest,
}

/** The answers that have nothing but a header. */
interface HeaderResponse {
  encode(message: { header: ResponseHeader }): { finish(): Uint8Array }
}

type Encode = (header: ResponseHeader, names: string[]) => Uint8Array

/** Handlers by the kind of outcome. `prepare` makes the logged message of the client's. */
function answers(parts: ServiceParts) {
  const { headers } = parts
  return {
    done(
      field: RequestField,
      response: HeaderResponse,
      prepare: (data: Buffer) => Uint8Array | Promise<Uint8Array> = (data) => data,
    ): Handler {
      return unary(async (data, call) => {
        const message = await prepare(data)
        const { revision } = await proposed(parts, { field, message, call, kind: 'done' })
        return response.encode({ header: headers.message(revision) }).finish()
      })
    },
    names(field: RequestField, encode: Encode): Handler {
      return unary(async (message, call) => {
        const asked = { field, message, call, kind: 'names' } as const
        const { revision, names } = await proposed(parts, asked)
        return encode(headers.message(revision), [...names])
      })
    },
    permissions(field: RequestField): Handler {
      return unary(async (message, call) => {
        const asked = { field, message, call, kind: 'permissions' } as const
        const { revision, permissions } = await proposed(parts, asked)
        const perm = [...permissions]
        return AuthRoleGetResponse.encode({ header: headers.message(revision), perm }).finish()
      })
    },
  }
}

interface Asked<K extends Outcome['kind']> {
  field: RequestField
  message: Uint8Array
  call: ServerCall
  kind: K
}

async function proposed<K extends Outcome['kind']>(
  { access, proposer }: ServiceParts,
  { field, message, call, kind }: Asked<K>,
): Promise<OutcomeOf<K>> {
  const who = await access.identify(call)
  return expected(await proposer.propose(field, message, { who, caller: call }), kind)
}

/** The applier gives each kind of request its own kind of outcome. */
function expected<K extends Outcome['kind']>(outcome: Outcome, kind: K): OutcomeOf<K> {
  if (outcome.kind !== kind) throw new Error(`${outcome.kind} is no outcome of kind ${kind}`)
  return outcome as OutcomeOf<K>
}

/** Not through the log: etcd 3.4, which may take over the directory, dies at such an entry. */
async function status({ access, auth, headers, node, store }: ServiceParts, call: ServerCall) {
  await access.identify(call)
  await node.linearizable()
  return AuthStatusResponse.encode({
    header: headers.message(store.revision),
    enabled: auth.isEnabled,
    authRevision: String(auth.revision),
  }).finish()
}

/**
 * The password is checked here, the token made when the login comes out of the log. If users or
 * roles changed between the two, what was checked may have been the old password: once more.
 */
async function authenticate(
  parts: ServiceParts,
  { name, password }: AuthenticateRequest,
  caller: ServerCall,
): Promise<Uint8Array> {
  const { auth, node, proposer, headers } = parts
  await node.linearizable()
  for (;;) {
    const checkedAt = await checkPassword(parts, name, password)
    const message = InternalAuthenticateRequest.encode({
      name,
      password: '',
      simple_token: auth.tokens.letters(),
    }).finish()
    const outcome = await proposer.propose(requestField.authenticate, message, { caller })
    const { login, revision } = expected(outcome, 'login')
    if (login.revision !== checkedAt) continue
    const token = asRpcError(() => auth.tokens.issue(login))
    return AuthenticateResponse.encode({ header: headers.message(revision), token }).finish()
  }
}

/** The auth revision at which it was right. */
async function checkPassword(
  { auth, log }: ServiceParts,
  name: string,
  password: string,
): Promise<number> {
  if (!auth.isEnabled) throw new EtcdError('authNotEnabled')
  const { revision } = auth
  const user = auth.user(name)
  if (user?.options?.no_password) {
    const text = 'auth: authentication failed, password was given for no password user'
    throw new RpcError(Status.unknown, text)
  }
  if (user !== undefined && (await auth.passwords.matches(password, user.password.toString()))) {
    return revision
  }
  log.warn('invalid authentication was requested', { user: name })
  throw new EtcdError('authFailed')
}

async function hashedUser({ auth }: ServiceParts, data: Buffer): Promise<Uint8Array> {
  const request = AuthUserAddRequest.decode(data)
  if (request.options?.no_password) return data
  const hashedPassword = await hashed(auth, request.password)
  return AuthUserAddRequest.encode({ ...request, password: '', hashedPassword }).finish()
}

/** An empty password stays one: no hash fits it, so nobody can log in with it. */
async function hashedChange({ auth }: ServiceParts, data: Buffer): Promise<Uint8Array> {
  const request = AuthUserChangePasswordRequest.decode(data)
  if (request.password === '') return data
  const hashedPassword = await hashed(auth, request.password)
  return AuthUserChangePasswordRequest.encode({ ...request, password: '', hashedPassword }).finish()
}

async function hashed({ passwords }: ServiceParts['auth'], password: string): Promise<string> {
  try {
    return Buffer.from(await passwords.hash(password)).toString('base64')
  } catch (error) {
    if (!(error instanceof PasswordError)) throw error
    throw new RpcError(Status.unknown, error.message)
  }
}

/** etcd has no code for these. */
function asRpcError<T>(make: () => T): T {
  try {
    return make()
  } catch (error) {
    if (!(error instanceof TokenError)) throw error
    throw new RpcError(Status.unknown, error.message, { cause: error })
  }
}
