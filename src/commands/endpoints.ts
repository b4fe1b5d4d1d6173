// endpoints.ts: which endpoints a command goes through one by one: those of --endpoints or, with
// --cluster, every client URL of every member.
import type { Connection } from '../connection/connect.js'
import { type CommandContext, CommandError } from './context.js'

export async function endpointList(
  ctx: CommandContext,
  { cluster }: { cluster: boolean },
): Promise<readonly string[]> {
  if (!cluster) return ctx.globals.endpoints
  try {
    const connection = await ctx.connect()
    const request = { linearizable: true }
    const { members } = await connection.cluster.memberList(request, ctx.commandBudget()())
    return members.flatMap(({ clientURLs }) => clientURLs)
  } catch (error) {
    const problem = `failed to fetch endpoints from etcd cluster member list: ${messageOf(error)}`
    throw new CommandError(problem, { exitCode: 1, cause: error })
  }
}

/** A connection to one endpoint only, closed when the work is done. */
export async function withEndpoint<T>(
  ctx: CommandContext,
  endpoint: string,
  work: (connection: Connection) => Promise<T>,
): Promise<T> {
  const connection = await ctx.connect({ endpoints: [endpoint] })
  try {
    return await work(connection)
  } finally {
    await connection.close()
  }
}

export const messageOf = (error: unknown): string =>
  error instanceof Error ? error.message : String(error)

/** Since `startMs` of the clock, in nanoseconds. */
export const elapsedNs = (ctx: CommandContext, startMs: number): bigint =>
  BigInt(Math.round((ctx.clock.now() - startMs) * 1e6))
