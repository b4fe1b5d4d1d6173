// role add|delete|get|list|grant-permission|revoke-permission: named sets of permissions on keys.
import type { Command } from 'commander'
import { Permission_Type } from '../api/gen/auth.js'
import { fromKeyRange, type KeyRange, openEnd, prefixRange } from '../connection/key-range.js'
import { bytes, type CommandContext, defineCommand, defineGroup, UsageError } from './context.js'
import { nameArgument, textArgument } from './text-argument.js'

export interface RoleOptions {
  role: string
}

function roleOptions(word: string) {
  return (_flags: unknown, args: readonly string[]): RoleOptions => ({
    role: nameArgument(args, `role ${word} command requires role name as its argument`),
  })
}

export async function runRoleAdd(ctx: CommandContext, { role }: RoleOptions): Promise<void> {
  const { auth } = await ctx.connect()
  await ctx.print({ kind: 'roleAdd', role, response: await auth.roleAdd({ name: role }) })
}

export async function runRoleDelete(ctx: CommandContext, { role }: RoleOptions): Promise<void> {
  const { auth } = await ctx.connect()
  await ctx.print({ kind: 'roleDelete', role, response: await auth.roleDelete({ role }) })
}

export async function runRoleGet(ctx: CommandContext, { role }: RoleOptions): Promise<void> {
  const { auth } = await ctx.connect()
  await ctx.print({ kind: 'roleGet', role, response: await auth.roleGet({ role }) })
}

export function roleListOptions(_flags: unknown, args: readonly string[]): undefined {
  if (args.length > 0) throw new UsageError('role list command requires no arguments')
}

export async function runRoleList(ctx: CommandContext): Promise<void> {
  const { auth } = await ctx.connect()
  await ctx.print({ kind: 'roleList', response: await auth.roleList() })
}

interface RangeFlags {
  prefix: boolean
  fromKey: boolean
}

/** The keys that a permission is about. */
export interface PermissionRange extends RoleOptions {
  range: KeyRange
}

export interface GrantOptions extends PermissionRange {
  permType: Permission_Type
}

const permissionTypes: ReadonlyMap<string, Permission_Type> = new Map([
  ['read', Permission_Type.READ],
  ['write', Permission_Type.WRITE],
  ['readwrite', Permission_Type.READWRITE],
])

/** Further positionals are ignored, as etcdctl ignores them. */
export function grantPermissionOptions(flags: RangeFlags, args: readonly string[]): GrantOptions {
  const [role, type, key, end] = args
  if (role === undefined || type === undefined || key === undefined) {
    const words = 'role name, permission type, and key [endkey]'
    throw new UsageError(`role grant command requires ${words} as its argument`)
  }
  const permType = permissionTypes.get(type.toLowerCase())
  if (permType === undefined) throw new UsageError(`invalid permission type: ${type}`)
  return { role: textArgument(role), permType, range: permissionRange(flags, key, end) }
}

export async function runGrantPermission(
  ctx: CommandContext,
  { role, permType, range }: GrantOptions,
): Promise<void> {
  const { auth } = await ctx.connect()
  const request = { name: role, perm: { permType, ...range } }
  const response = await auth.roleGrantPermission(request)
  await ctx.print({ kind: 'roleGrantPermission', role, response })
}

export interface RevokeOptions extends PermissionRange {
  /** As typed, for the answer. */
  typedKey: Buffer
}

export function revokePermissionOptions(flags: RangeFlags, args: readonly string[]): RevokeOptions {
  const [role, key, end] = args
  if (role === undefined || key === undefined) {
    const words = 'role name and key [endkey]'
    throw new UsageError(`role revoke-permission command requires ${words} as its argument`)
  }
  const range = permissionRange(flags, key, end)
  return { role: textArgument(role), range, typedKey: bytes(key) }
}

export async function runRevokePermission(
  ctx: CommandContext,
  { role, range, typedKey: key }: RevokeOptions,
): Promise<void> {
  const { auth } = await ctx.connect()
  const response = await auth.roleRevokePermission({ role, ...range })
  const rangeEnd = range.range_end
  await ctx.print({ kind: 'roleRevokePermission', role, key, rangeEnd, response })
}

/** The empty key is not a key: the range begins at the first one that is, NUL. */
function permissionRange(flags: RangeFlags, key: string, end: string | undefined): KeyRange {
  const { prefix, fromKey } = flags
  if (end !== undefined && (prefix || fromKey)) {
    const flag = prefix ? '--prefix' : '--from-key'
    throw new UsageError(`unexpected endkey argument with ${flag} flag`)
  }
  if (prefix && fromKey) {
    throw new UsageError('--from-key and --prefix flags are mutually exclusive')
  }
  if (prefix) return prefixRange(bytes(key))
  if (fromKey) return fromKeyRange(bytes(key))
  return { key: key === '' ? openEnd : bytes(key), range_end: bytes(end ?? '') }
}

const withRange = (command: Command): Command =>
  command
    .argument('<key>')
    .argument('[endkey]')
    .option('--prefix', 'all keys that begin with the key', false)
    .option('--from-key', 'all keys from the key on', false)

export const roleCommand = defineGroup({
  add: {
    summary: 'Makes a role',
    command: defineCommand({
      words: (command) => command.argument('<role name>'),
      options: roleOptions('add'),
      run: runRoleAdd,
    }),
  },
  delete: {
    summary: 'Deletes a role',
    command: defineCommand({
      words: (command) => command.argument('<role name>'),
      options: roleOptions('delete'),
      run: runRoleDelete,
    }),
  },
  get: {
    summary: 'Prints what a role allows',
    command: defineCommand({
      words: (command) => command.argument('<role name>'),
      options: roleOptions('get'),
      run: runRoleGet,
    }),
  },
  'grant-permission': {
    summary: 'Lets a role read or write a key, or a range of keys',
    command: defineCommand({
      words: (command) => withRange(command.argument('<role name>').argument('<permission type>')),
      options: grantPermissionOptions,
      run: runGrantPermission,
    }),
  },
  list: {
    summary: 'Prints the names of all roles',
    command: defineCommand({
      words: (command) => command,
      options: roleListOptions,
      run: runRoleList,
    }),
  },
  'revoke-permission': {
    summary: 'Takes a permission from a role',
    command: defineCommand({
      words: (command) => withRange(command.argument('<role name>')),
      options: revokePermissionOptions,
      run: runRevokePermission,
    }),
  },
})
