// alarm list, alarm disarm: what the members raised an alarm about, and the end of it.
import type { AlarmMember, AlarmRequest } from '../api/gen/rpc.js'
import { type CommandContext, defineCommand, defineGroup, UsageError } from './context.js'

const get: AlarmRequest['action'] = 0
const deactivate: AlarmRequest['action'] = 2

function noArguments(word: string) {
  return (_flags: unknown, args: readonly string[]): undefined => {
    if (args.length > 0) throw new UsageError(`alarm ${word} command accepts no arguments`)
  }
}

export async function runAlarmList(ctx: CommandContext): Promise<void> {
  const budget = ctx.commandBudget()
  const { maintenance } = await ctx.connect()
  await ctx.print({ kind: 'alarm', response: await maintenance.alarm({ action: get }, budget()) })
}

/** Disarms each alarm that is raised now; prints those that were. */
export async function runAlarmDisarm(ctx: CommandContext): Promise<void> {
  const budget = ctx.commandBudget()
  const { maintenance } = await ctx.connect()
  const { alarms } = await maintenance.alarm({ action: get }, budget())
  const disarmed: AlarmMember[] = []
  for (const { memberID, alarm } of alarms) {
    const answer = await maintenance.alarm({ action: deactivate, memberID, alarm }, budget())
    disarmed.push(...answer.alarms)
  }
  await ctx.print({ kind: 'alarm', response: { header: undefined, alarms: disarmed } })
}

export const alarmCommand = defineGroup({
  list: {
    summary: 'Prints the alarms that are raised',
    command: defineCommand({
      words: (command) => command,
      options: noArguments('list'),
      run: runAlarmList,
    }),
  },
  disarm: {
    summary: 'Disarms all alarms',
    command: defineCommand({
      words: (command) => command,
      options: noArguments('disarm'),
      run: runAlarmDisarm,
    }),
  },
})
