// apply-auth.ts: what requests about users and roles do, once they come out of the log. Questions
// go through the log too, so that the answer is of one moment for all members, and so does a
// login, so that every member knows its token.
import type { Permission } from '../api/gen/auth.js'
import type { InternalRaftRequest } from '../api/gen/raft_internal.js'
import type { AuthStore } from '../auth/store.js'
import type { Identity, Login } from '../auth/token.js'

export type AuthOutcome =
  | { kind: 'done' }
  | { kind: 'names'; names: readonly string[] }
  | { kind: 'permissions'; permissions: readonly Permission[] }
  | { kind: 'login'; login: Login }

export interface AppliedBy {
  who: Identity | undefined
  /** Of the entry in the log. */
  index: number
}

/** Requests of administrators: their proposer must have the role root. */
const adminRequests = [
  'auth_enable',
  'auth_disable',
  'auth_user_add',
  'auth_user_delete',
  'auth_user_change_password',
  'auth_user_grant_role',
  'auth_user_revoke_role',
  'auth_user_list',
  'auth_role_add',
  'auth_role_delete',
  'auth_role_grant_permission',
  'auth_role_revoke_permission',
  'auth_role_list',
] as const satisfies readonly (keyof InternalRaftRequest)[]

const done = { kind: 'done' } as const

/** Undefined: the request is about something else. @throws EtcdError; nothing has changed then */
export function applyAuth(
  auth: AuthStore,
  request: InternalRaftRequest,
  { who, index }: AppliedBy,
): AuthOutcome | undefined {
  if (adminRequests.some((name) => request[name] !== undefined)) auth.checkRoot(who)
  if (request.authenticate) {
    const { name: user, simple_token: letters } = request.authenticate
    return { kind: 'login', login: auth.logIn({ user, letters, index }) }
  }
  if (request.auth_status) return done // of etcd members only: asked there, answered there
  if (request.auth_user_get || request.auth_role_get) return answer(auth, request, who)
  if (request.auth_user_list) return { kind: 'names', names: auth.userNames() }
  if (request.auth_role_list) return { kind: 'names', names: auth.roleNames() }
  const change = switchChange(auth, request) ?? userChange(auth, request)
  const apply = change ?? roleChange(auth, request)
  if (apply === undefined) return undefined
  apply()
  return done
}

/** Users may ask about themselves and about the roles they have. */
function answer(
  auth: AuthStore,
  { auth_user_get: user, auth_role_get: role }: InternalRaftRequest,
  who: Identity | undefined,
): AuthOutcome {
  const name = who?.user ?? ''
  if (user) {
    if (user.name !== name) auth.checkRoot(who)
    return { kind: 'names', names: auth.existingUser(user.name).roles }
  }
  const asked = role?.role ?? ''
  if (!auth.hasRole(name, asked)) auth.checkRoot(who)
  return { kind: 'permissions', permissions: auth.permissions(asked) }
}

type Change = (() => void) | undefined

function switchChange(auth: AuthStore, { auth_enable, auth_disable }: InternalRaftRequest): Change {
  if (auth_enable) return () => auth.enable()
  if (auth_disable) return () => auth.disable()
  return undefined
}

function userChange(auth: AuthStore, request: InternalRaftRequest): Change {
  const { auth_user_add: add, auth_user_delete, auth_user_change_password: change } = request
  const { auth_user_grant_role: grant, auth_user_revoke_role: revoke } = request
  if (add) {
    const noPassword = add.options?.no_password ?? false
    const password = noPassword ? Buffer.alloc(0) : storedPassword(auth, add)
    return () => auth.addUser({ name: add.name, password, noPassword })
  }
  if (auth_user_delete) return () => auth.deleteUser(auth_user_delete.name)
  if (change) return () => auth.changePassword(change.name, storedPassword(auth, change))
  if (grant) return () => auth.grantRole(grant.user, grant.role)
  if (revoke) return () => auth.revokeRole(revoke.name, revoke.role)
  return undefined
}

function roleChange(auth: AuthStore, request: InternalRaftRequest): Change {
  const { auth_role_add, auth_role_delete } = request
  const { auth_role_grant_permission: grant, auth_role_revoke_permission: revoke } = request
  if (auth_role_add) return () => auth.addRole(auth_role_add.name)
  if (auth_role_delete) return () => auth.deleteRole(auth_role_delete.role)
  if (grant) return () => auth.grantPermission(grant.name, grant.perm && ownBytes(grant.perm))
  if (revoke) {
    const keys = { key: revoke.key, end: revoke.range_end }
    return () => auth.revokePermission(revoke.role, keys)
  }
  return undefined
}

/** A permission outlives the entry that its bytes stand in. */
function ownBytes({ permType, key, range_end }: Permission): Permission {
  return { permType, key: Buffer.from(key), range_end: Buffer.from(range_end) }
}

/** An etcd before 3.5 logs the password itself; each of its members makes its own hash of it. */
function storedPassword(
  { passwords }: AuthStore,
  { password, hashedPassword }: { password: string; hashedPassword: string },
): Buffer {
  if (password !== '' && hashedPassword === '') return Buffer.from(passwords.hashNow(password))
  return Buffer.from(hashedPassword, 'base64')
}
