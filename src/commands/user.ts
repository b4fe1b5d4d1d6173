// user add|delete|get|list|passwd|grant-role|revoke-role: who may come in, and in which roles.
import type { Command } from 'commander'
import type { RoleAnswer } from '../output/format.js'
import { type CommandContext, defineCommand, defineGroup, UsageError } from './context.js'
import { nameArgument, textArgument } from './text-argument.js'

export interface UserOptions {
  user: string
}

function userOptions(word: string) {
  return (_flags: unknown, args: readonly string[]): UserOptions => ({
    user: nameArgument(args, `user ${word} command requires user name as its argument`),
  })
}

/** Where the password of a user comes from. A line of input is one word, without a prompt. */
export type PasswordSource = { known: string } | 'nowhere' | 'prompt' | 'input'

export interface AddOptions extends UserOptions {
  password: PasswordSource
}

interface InteractiveFlags {
  interactive: boolean
}

interface AddFlags extends InteractiveFlags {
  newUserPassword: string
  noPassword: boolean
}

export function userAddOptions(flags: AddFlags, args: readonly string[]): AddOptions {
  const name = nameArgument(args, 'user add command requires user name as its argument')
  if (flags.noPassword) return { user: name, password: 'nowhere' }
  const { newUserPassword } = flags
  if (newUserPassword !== '') {
    return { user: name, password: { known: textArgument(newUserPassword) } }
  }
  const colon = name.indexOf(':')
  if (colon < 0) return { user: name, password: askedFor(flags) }
  if (colon === 0) throw new UsageError('empty user name is not allowed')
  return { user: name.slice(0, colon), password: { known: name.slice(colon + 1) } }
}

const askedFor = ({ interactive }: InteractiveFlags): PasswordSource =>
  interactive ? 'prompt' : 'input'

export async function runUserAdd(ctx: CommandContext, options: AddOptions): Promise<void> {
  const { user } = options
  const password = await passwordFrom(ctx, options)
  const noPassword = options.password === 'nowhere'
  const { auth } = await ctx.connect()
  const request = { name: user, password, options: { no_password: noPassword } }
  await ctx.print({ kind: 'userAdd', user, response: await auth.userAdd(request) })
}

/** Asks before anything is connected to: a person may take longer than a connection lasts. */
async function passwordFrom(ctx: CommandContext, { user, password }: AddOptions): Promise<string> {
  if (password === 'nowhere') return ''
  if (password === 'prompt') return textArgument(await askTwice(ctx, user))
  if (password !== 'input') return password.known
  const [word = ''] = (await ctx.askPassword()).split(/\s/, 1)
  return textArgument(word)
}

async function askTwice(ctx: CommandContext, user: string): Promise<string> {
  const first = await ctx.askPassword(`Password of ${user}: `)
  if (first === '') throw new UsageError('empty password')
  const again = await ctx.askPassword(`Type password of ${user} again for confirmation: `)
  if (again !== first) throw new UsageError('given passwords are different')
  return first
}

export async function runUserDelete(ctx: CommandContext, { user }: UserOptions): Promise<void> {
  const { auth } = await ctx.connect()
  await ctx.print({ kind: 'userDelete', user, response: await auth.userDelete({ name: user }) })
}

export interface GetOptions extends UserOptions {
  detail: boolean
}

export function userGetOptions(
  { detail }: { detail: boolean },
  args: readonly string[],
): GetOptions {
  return { ...userOptions('get')(undefined, args), detail }
}

export async function runUserGet(ctx: CommandContext, options: GetOptions): Promise<void> {
  const { user, detail } = options
  const { auth } = await ctx.connect()
  const response = await auth.userGet({ name: user })
  if (!detail) return ctx.print({ kind: 'userGet', user, response })
  const roles: RoleAnswer[] = []
  for (const role of response.roles) roles.push({ role, response: await auth.roleGet({ role }) })
  await ctx.print({ kind: 'userDetail', user, roles })
}

export function userListOptions(_flags: unknown, args: readonly string[]): undefined {
  if (args.length > 0) throw new UsageError('user list command requires no arguments')
}

export async function runUserList(ctx: CommandContext): Promise<void> {
  const { auth } = await ctx.connect()
  await ctx.print({ kind: 'userList', response: await auth.userList() })
}

export function userPasswdOptions(flags: InteractiveFlags, args: readonly string[]): AddOptions {
  return { ...userOptions('passwd')(undefined, args), password: askedFor(flags) }
}

export async function runUserPasswd(ctx: CommandContext, options: AddOptions): Promise<void> {
  const password = await passwordFrom(ctx, options)
  const { auth } = await ctx.connect()
  const response = await auth.userChangePassword({ name: options.user, password })
  await ctx.print({ kind: 'userPasswd', response })
}

export interface UserRoleOptions extends UserOptions {
  role: string
}

function userRoleOptions(complaint: string) {
  return (_flags: unknown, args: readonly string[]): UserRoleOptions => {
    const [user, role, ...rest] = args
    if (user === undefined || role === undefined || rest.length > 0) throw new UsageError(complaint)
    return { user: textArgument(user), role: textArgument(role) }
  }
}

export async function runGrantRole(ctx: CommandContext, options: UserRoleOptions): Promise<void> {
  const { user, role } = options
  const { auth } = await ctx.connect()
  const response = await auth.userGrantRole({ user, role })
  await ctx.print({ kind: 'userGrantRole', user, role, response })
}

export async function runRevokeRole(ctx: CommandContext, options: UserRoleOptions): Promise<void> {
  const { user, role } = options
  const { auth } = await ctx.connect()
  const response = await auth.userRevokeRole({ name: user, role })
  await ctx.print({ kind: 'userRevokeRole', user, role, response })
}

const withName = (command: Command): Command => command.argument('<user name>')

const withInteractive = (command: Command): Command =>
  command.option('--interactive', 'ask for the password; otherwise read one word of input', true)

export const userCommand = defineGroup({
  add: {
    summary: 'Makes a user',
    command: defineCommand({
      words: (command) =>
        withInteractive(command.argument('<user name or user:password>'))
          .option('--new-user-password <string>', 'the password of the new user', '')
          .option('--no-password', 'a user without a password, known by its certificate', false),
      options: userAddOptions,
      run: runUserAdd,
    }),
  },
  delete: {
    summary: 'Deletes a user',
    command: defineCommand({
      words: withName,
      options: userOptions('delete'),
      run: runUserDelete,
    }),
  },
  get: {
    summary: 'Prints the roles of a user',
    command: defineCommand({
      words: (command) =>
        withName(command).option('--detail', 'print what each role allows', false),
      options: userGetOptions,
      run: runUserGet,
    }),
  },
  'grant-role': {
    summary: 'Gives a role to a user',
    command: defineCommand({
      words: (command) => withName(command).argument('<role name>'),
      options: userRoleOptions(
        'user grant command requires user name and role name as its argument',
      ),
      run: runGrantRole,
    }),
  },
  list: {
    summary: 'Prints the names of all users',
    command: defineCommand({
      words: (command) => command,
      options: userListOptions,
      run: runUserList,
    }),
  },
  passwd: {
    summary: 'Changes the password of a user',
    command: defineCommand({
      words: (command) => withInteractive(withName(command)),
      options: userPasswdOptions,
      run: runUserPasswd,
    }),
  },
  'revoke-role': {
    summary: 'Takes a role from a user',
    command: defineCommand({
      words: (command) => withName(command).argument('<role name>'),
      options: userRoleOptions('user revoke-role requires user name and role name as its argument'),
      run: runRevokeRole,
    }),
  },
})
