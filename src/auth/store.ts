// store.ts: users, roles and what roles may touch. Changes come out of the log, in its order, so
// every member has the same users at the same index; each effective change raises the auth
// revision by one, and a request that was let in under an older one is refused.
//
// Until it is enabled, all of this is kept but nobody is asked for anything. Enabled, a user named
// root with the role root exists at all times: whoever holds that role may do everything.
import type { Permission, Role, User } from '../api/gen/auth.js'
import { Permission_Type as PermissionType } from '../api/gen/auth.js'
import { EtcdError } from '../api/rpc-errors.js'
import type { Passwords } from './password.js'
import { type Access, isGrantable, type PermittedKeys, permittedKeys } from './permission-range.js'
import type { Identity, Login, Tokens } from './token.js'

const root = 'root'

/** What the role root grants, though no role record says so. */
const everything: Permission = {
  permType: PermissionType.READWRITE,
  key: Buffer.alloc(0),
  range_end: Buffer.alloc(1),
}

/** As the buckets hold it; roles by names that they refer to. */
export interface AuthRecords {
  /** Undefined: authentication was never switched on. */
  enabled: boolean | undefined
  revision: number
  users: readonly User[]
  roles: readonly Role[]
}

export interface NewUser {
  name: string
  /** The bcrypt text; empty: no password fits. */
  password: Buffer
  /** May log in by the name in a certificate only. */
  noPassword: boolean
}

export interface KeyInterval {
  key: Buffer
  end: Buffer
}

const noBytes = Buffer.alloc(0)

export class AuthStore {
  readonly tokens: Tokens
  readonly passwords: Passwords
  #enabled: boolean | undefined
  /** 1 in a new store. */
  #revision = 1
  #endedLogins = 0
  readonly #users = new Map<string, User>()
  readonly #roles = new Map<string, Role>()
  /** What a user's roles add up to; made when it is asked for, and dropped by any change. */
  readonly #permitted = new Map<string, Readonly<Record<Access, PermittedKeys>>>()

  constructor({ tokens, passwords }: { tokens: Tokens; passwords: Passwords }) {
    this.tokens = tokens
    this.passwords = passwords
  }

  get isEnabled(): boolean {
    return this.#enabled === true
  }

  get revision(): number {
    return this.#revision
  }

  /** For requests that the member itself makes. */
  get rootIdentity(): Identity | undefined {
    return this.isEnabled ? { user: root, revision: this.#revision } : undefined
  }

  /** Puts what the buckets hold in the place of everything. */
  restore({ enabled, revision, users, roles }: AuthRecords): void {
    this.#enabled = enabled
    this.#revision = Math.max(revision, 1)
    this.#users.clear()
    this.#roles.clear()
    this.#permitted.clear()
    for (const user of users) this.#users.set(user.name.toString(), user)
    for (const role of roles) this.#roles.set(role.name.toString(), role)
  }

  /** For the buckets, in the order of their names. */
  records(): AuthRecords {
    return {
      enabled: this.#enabled,
      revision: this.#revision,
      users: inOrder(this.#users),
      roles: inOrder(this.#roles),
    }
  }

  /** @throws EtcdError rootUserNotExist, rootRoleNotExist */
  enable(): void {
    if (this.isEnabled) return
    const user = this.#users.get(root)
    if (user === undefined) throw new EtcdError('rootUserNotExist')
    if (!user.roles.includes(root)) throw new EtcdError('rootRoleNotExist')
    this.#enabled = true
  }

  /** Tokens go with it. */
  disable(): void {
    if (!this.isEnabled) return
    this.#enabled = false
    this.#changed()
    this.tokens.forgetAll()
  }

  /**
   * The log up to this index is of a former life of the member, and its tokens ended with that: to
   * come across their logins again must not give them new time.
   */
  endLoginsUpTo(index: number): void {
    this.#endedLogins = index
  }

  /** The password was checked by the member that proposed it. @throws EtcdError */
  logIn(login: Omit<Login, 'revision'>): Login {
    if (!this.isEnabled) throw new EtcdError('authNotEnabled')
    const user = this.#users.get(login.user)
    if (user === undefined || user.options?.no_password) throw new EtcdError('authFailed')
    const done = { ...login, revision: this.#revision }
    if (login.index > this.#endedLogins) this.tokens.remember(done)
    return done
  }

  user(name: string): User | undefined {
    return this.#users.get(name)
  }

  userNames(): string[] {
    return inOrder(this.#users).map(({ name }) => name.toString())
  }

  addUser({ name, password, noPassword }: NewUser): void {
    if (name === '') throw new EtcdError('userEmpty')
    if (this.#users.has(name)) throw new EtcdError('userAlreadyExist')
    const options = { no_password: noPassword }
    this.#putUser({ name: Buffer.from(name), password, roles: [], options })
  }

  deleteUser(name: string): void {
    if (this.isEnabled && name === root) throw new EtcdError('invalidAuthMgmt')
    this.existingUser(name)
    this.#users.delete(name)
    this.#changed()
    this.tokens.forget(name)
  }

  changePassword(name: string, password: Buffer): void {
    const user = this.existingUser(name)
    this.#putUser({ ...user, password: user.options?.no_password ? noBytes : password })
    this.tokens.forget(name)
  }

  /** A role that the user has already changes nothing. The role root needs no record. */
  grantRole(name: string, role: string): void {
    const user = this.existingUser(name)
    if (role !== root) this.existingRole(role)
    if (user.roles.includes(role)) return
    this.#putUser({ ...user, roles: [...user.roles, role].sort(byBytes) })
  }

  revokeRole(name: string, role: string): void {
    if (this.isEnabled && name === root && role === root) throw new EtcdError('invalidAuthMgmt')
    const user = this.existingUser(name)
    if (!user.roles.includes(role)) throw new EtcdError('roleNotGranted')
    this.#putUser({ ...user, roles: user.roles.filter((each) => each !== role) })
  }

  roleNames(): string[] {
    return inOrder(this.#roles).map(({ name }) => name.toString())
  }

  permissions(name: string): readonly Permission[] {
    const role = this.existingRole(name)
    return name === root ? [everything] : role.keyPermission
  }

  addRole(name: string): void {
    if (name === '') throw new EtcdError('roleEmpty')
    if (this.#roles.has(name)) throw new EtcdError('roleAlreadyExist')
    this.#putRole({ name: Buffer.from(name), keyPermission: [] })
  }

  /** Users lose the role too. */
  deleteRole(name: string): void {
    if (this.isEnabled && name === root) throw new EtcdError('invalidAuthMgmt')
    this.existingRole(name)
    this.#roles.delete(name)
    for (const [key, user] of this.#users) {
      if (!user.roles.includes(name)) continue
      this.#users.set(key, { ...user, roles: user.roles.filter((each) => each !== name) })
    }
    this.#changed()
  }

  /** Changes the type of a permission on the same keys, or adds one. */
  grantPermission(name: string, permission: Permission | undefined): void {
    if (permission === undefined) throw new EtcdError('permissionNotGiven')
    const { key, range_end } = permission
    if (!isGrantable(key, range_end)) throw new EtcdError('invalidAuthMgmt')
    const role = this.existingRole(name)
    // Only the first permission that begins at the key is looked at, as in etcd.
    const first = role.keyPermission.findIndex((each) => Buffer.compare(each.key, key) >= 0)
    const found = role.keyPermission[first]
    const isSame = found?.key.equals(key) && found.range_end.equals(range_end)
    const keyPermission = isSame
      ? role.keyPermission.with(first, permission)
      : [...role.keyPermission, permission].sort((a, b) => Buffer.compare(a.key, b.key))
    this.#putRole({ ...role, keyPermission })
  }

  revokePermission(name: string, { key, end }: KeyInterval): void {
    const role = this.existingRole(name)
    const keyPermission = role.keyPermission.filter(
      (each) => !(each.key.equals(key) && each.range_end.equals(end)),
    )
    if (keyPermission.length === role.keyPermission.length) {
      throw new EtcdError('permissionNotGranted')
    }
    this.#putRole({ ...role, keyPermission })
  }

  /**
   * May this be done to these keys?
   * @throws EtcdError userEmpty, authOldRevision, permissionDenied
   */
  check(who: Identity | undefined, access: Access, { key, end }: KeyInterval): void {
    if (!this.isEnabled) return
    if (who === undefined) throw new EtcdError('userEmpty')
    if (who.revision < this.#revision) throw new EtcdError('authOldRevision')
    const user = this.#users.get(who.user)
    if (user?.roles.includes(root)) return
    if (user === undefined || !this.#permittedTo(user, who.user)[access].cover(key, end)) {
      throw new EtcdError('permissionDenied')
    }
  }

  /** @throws EtcdError userEmpty, userNotFound, permissionDenied */
  checkRoot(who: Identity | undefined): void {
    if (!this.isEnabled) return
    if (who === undefined || who.user === '') throw new EtcdError('userEmpty')
    if (!this.existingUser(who.user).roles.includes(root)) throw new EtcdError('permissionDenied')
  }

  /** Everybody, while nobody is asked. */
  isRoot(who: Identity | undefined): boolean {
    return !this.isEnabled || (who !== undefined && this.hasRole(who.user, root))
  }

  hasRole(name: string, role: string): boolean {
    return this.#users.get(name)?.roles.includes(role) ?? false
  }

  existingUser(name: string): User {
    const user = this.#users.get(name)
    if (user === undefined) throw new EtcdError('userNotFound')
    return user
  }

  existingRole(name: string): Role {
    const role = this.#roles.get(name)
    if (role === undefined) throw new EtcdError('roleNotFound')
    return role
  }

  #permittedTo(user: User, name: string): Readonly<Record<Access, PermittedKeys>> {
    const known = this.#permitted.get(name)
    if (known !== undefined) return known
    const granted = user.roles.flatMap((role) => this.#roles.get(role)?.keyPermission ?? [])
    const permitted = permittedKeys(granted)
    this.#permitted.set(name, permitted)
    return permitted
  }

  #putUser(user: User): void {
    this.#users.set(user.name.toString(), user)
    this.#changed()
  }

  #putRole(role: Role): void {
    this.#roles.set(role.name.toString(), role)
    this.#changed()
  }

  #changed(): void {
    this.#revision++
    this.#permitted.clear()
  }
}

function byBytes(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a), Buffer.from(b))
}

function inOrder<T extends { name: Buffer }>(named: ReadonlyMap<string, T>): T[] {
  return [...named.values()].sort((a, b) => Buffer.compare(a.name, b.name))
}
