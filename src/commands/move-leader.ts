// move-leader <member id>: hands leadership over. Only the leader can, so the endpoint that leads
// is looked for first.
import type { StatusResponse } from '../api/gen/rpc.js'
import { type CommandContext, defineCommand, hexProblem, hexValue, UsageError } from './context.js'
import { withEndpoint } from './endpoints.js'

export interface MoveLeaderOptions {
  toId: bigint
}

export function moveLeaderOptions(_flags: unknown, args: readonly string[]): MoveLeaderOptions {
  const [text, ...rest] = args
  if (text === undefined || rest.length > 0) {
    throw new UsageError('move-leader command needs 1 argument')
  }
  const problem = hexProblem(text, 'unsigned')
  if (problem !== undefined) throw new UsageError(problem)
  return { toId: hexValue(text) }
}

export async function runMoveLeader(
  ctx: CommandContext,
  { toId }: MoveLeaderOptions,
): Promise<void> {
  const budget = ctx.commandBudget()
  const { endpoints } = ctx.globals
  for (const endpoint of endpoints) {
    const isDone = await withEndpoint(ctx, endpoint, async ({ maintenance }) => {
      const status = await maintenance.status(budget())
      if (!isLeader(status)) return false
      const request = { targetID: String(toId) }
      const response = await maintenance.moveLeader(request, budget())
      const ids = { fromId: status.leader, toId: String(toId) }
      await ctx.print({ kind: 'moveLeader', response, ...ids })
      return true
    })
    if (isDone) return
  }
  if (endpoints.length === 0) await ctx.connect() // which tells that there are none
  throw new UsageError(`no leader endpoint given at [${endpoints.join(' ')}]`)
}

const isLeader = ({ header, leader }: StatusResponse): boolean => header?.member_id === leader

export const moveLeaderCommand = defineCommand({
  words: (command) => command.argument('<transferee-member-id>'),
  options: moveLeaderOptions,
  run: runMoveLeader,
})
