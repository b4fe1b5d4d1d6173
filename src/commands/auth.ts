// auth enable|disable|status: whether the cluster asks who its clients are.
import { EtcdError } from '../api/rpc-errors.js'
import type { CallOptions } from '../connection/clients.js'
import type { Connection } from '../connection/connect.js'
import { type CommandContext, defineCommand, defineGroup, UsageError } from './context.js'

function noArguments(word: string) {
  return (_flags: unknown, args: readonly string[]): undefined => {
    if (args.length === 0) return
    throw new UsageError(`auth ${word} command does not accept any arguments`)
  }
}

/** A root user without the root role gets it: nobody could disable authentication again. */
export async function runAuthEnable(ctx: CommandContext): Promise<void> {
  const budget = ctx.commandBudget()
  const { auth } = await ctx.connect()
  const isEnabled = await succeeds('rootRoleNotExist', () => auth.authEnable(budget()))
  if (!isEnabled) {
    await giveRootRole(auth, budget)
    await auth.authEnable(budget())
  }
  await ctx.write('Authentication Enabled\n')
}

/** The role may be there although the user does not have it; etcdctl gives up then. */
async function giveRootRole(auth: Connection['auth'], budget: () => CallOptions): Promise<void> {
  await succeeds('roleAlreadyExist', () => auth.roleAdd({ name: 'root' }, budget()))
  await auth.userGrantRole({ user: 'root', role: 'root' }, budget())
}

/** False when the call failed for that reason; any other failure is thrown. */
async function succeeds(code: EtcdError['code'], call: () => Promise<unknown>): Promise<boolean> {
  try {
    await call()
    return true
  } catch (error) {
    if (error instanceof EtcdError && error.code === code) return false
    throw error
  }
}

export async function runAuthDisable(ctx: CommandContext): Promise<void> {
  const budget = ctx.commandBudget()
  const { auth } = await ctx.connect()
  await auth.authDisable(budget())
  await ctx.write('Authentication Disabled\n')
}

export async function runAuthStatus(ctx: CommandContext): Promise<void> {
  const budget = ctx.commandBudget()
  const { auth } = await ctx.connect()
  await ctx.print({ kind: 'authStatus', response: await auth.authStatus(budget()) })
}

export const authCommand = defineGroup({
  disable: {
    summary: 'Stops asking clients who they are',
    command: defineCommand({
      words: (command) => command,
      options: noArguments('disable'),
      run: runAuthDisable,
    }),
  },
  enable: {
    summary: 'Lets only users in, each to what its roles allow',
    command: defineCommand({
      words: (command) => command,
      options: noArguments('enable'),
      run: runAuthEnable,
    }),
  },
  status: {
    summary: 'Prints whether authentication is enabled',
    command: defineCommand({
      words: (command) => command,
      options: noArguments('status'),
      run: runAuthStatus,
    }),
  },
})
