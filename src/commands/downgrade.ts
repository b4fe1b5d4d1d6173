// downgrade validate|enable|cancel: prepares a cluster for members of an older version.
import { DowngradeRequest_DowngradeAction as Action } from '../api/gen/rpc.js'
import { type CommandContext, defineCommand, defineGroup, UsageError } from './context.js'
import { textArgument } from './text-argument.js'

export interface DowngradeOptions {
  action: 'validate' | 'enable' | 'cancel'
  /** X.Y or X.Y.Z, for the server to judge; empty for cancel. */
  version: string
}

const actions = { validate: Action.VALIDATE, enable: Action.ENABLE, cancel: Action.CANCEL }

export function targetOptions(action: 'validate' | 'enable') {
  return (_flags: unknown, args: readonly string[]): DowngradeOptions => {
    const [version, ...rest] = args
    if (version === undefined) throw new UsageError('TARGET_VERSION not provided')
    if (rest.length > 0) throw new UsageError('too many arguments')
    if (version === '') throw new UsageError('target version not provided')
    return { action, version: textArgument(version) }
  }
}

export async function runDowngrade(ctx: CommandContext, options: DowngradeOptions): Promise<void> {
  const { action, version } = options
  const budget = ctx.commandBudget()
  const { maintenance } = await ctx.connect()
  const response = await maintenance.downgrade({ action: actions[action], version }, budget())
  await ctx.print({ kind: 'downgrade', action, response })
}

export const downgradeCommand = defineGroup({
  cancel: {
    summary: 'Gives a downgrade up that has been enabled',
    command: defineCommand({
      words: (command) => command,
      options: (): DowngradeOptions => ({ action: 'cancel', version: '' }),
      run: runDowngrade,
    }),
  },
  enable: {
    summary: 'Lets members of an older version join',
    command: defineCommand({
      words: (command) => command.argument('<TARGET_VERSION>'),
      options: targetOptions('enable'),
      run: runDowngrade,
    }),
  },
  validate: {
    summary: 'Checks whether the cluster could go back to an older version',
    command: defineCommand({
      words: (command) => command.argument('<TARGET_VERSION>'),
      options: targetOptions('validate'),
      run: runDowngrade,
    }),
  },
})
