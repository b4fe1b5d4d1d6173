// defrag: makes the database file of each endpoint as small as its contents. The member answers
// nobody else meanwhile, so endpoints take their turns.
import type { Command } from 'commander'
import { durationText } from '../output/duration.js'
import { type CommandContext, CommandError, defineCommand } from './context.js'
import { elapsedNs, endpointList, isFatal, messageOf, withEndpoint } from './endpoints.js'

export interface DefragOptions {
  cluster: boolean
}

const words = (command: Command): Command =>
  command.option('--cluster', 'all endpoints of all members', false)

export async function runDefrag(ctx: CommandContext, options: DefragOptions): Promise<void> {
  let failureCount = 0
  for (const endpoint of await endpointList(ctx, options)) {
    const start = ctx.clock.now()
    const failure = await withEndpoint(ctx, endpoint, ({ maintenance }) =>
      maintenance.defragment(ctx.commandBudget()()),
    ).then(
      () => undefined,
      (error) => {
        if (isFatal(error)) throw error
        return messageOf(error)
      },
    )
    const took = `took ${durationText(elapsedNs(ctx, start))}`
    if (failure === undefined) {
      await ctx.write(`Finished defragmenting etcd member[${endpoint}]. ${took}\n`)
    } else {
      failureCount++
      ctx.warn(`Failed to defragment etcd member[${endpoint}]. ${took}. (${failure})\n`)
    }
  }
  if (failureCount > 0) throw new CommandError('', { exitCode: 1 })
}

export const defragCommand = defineCommand({
  words,
  options: ({ cluster }: DefragOptions) => ({ cluster }),
  run: runDefrag,
})
