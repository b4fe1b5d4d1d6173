// endpoints.ts: which endpoints a command goes through one by one: those of --endpoints or, with
// --cluster, every client URL of every member.
import type { Connection } from '../connection/connect.js'
import { ConnectionError } from '../connection/errors.js'
import { type CommandContext, CommandError } from './context.js'

export async function endpointList(
  ctx: CommandContext,
  { cluster }: { cluster: boolean },
): Promise<readonly string[]> {
  if (!cluster) return ctx.globals.endpoints
  const connection = await ctx.connect().catch((error) => {
    if (!(error instanceof ConnectionError)) throw error
    // The one place where etcdctl does not tell this failure apart by its exit code.
    throw new CommandError(error.message, { exitCode: 1, cause: error })
  })
  try {
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

/** A connection that cannot even be made (bad TLS files, a wrong password) fails for all. */
export const isFatal = (error: unknown): boolean => error instanceof Error && 'exitCode' in error

export const messageOf = (error: unknown): string =>
  error instanceof Error ? error.message : String(error)

/** Since `startMs` of the clock, in nanoseconds. */
export const elapsedNs = (ctx: CommandContext, startMs: number): bigint =>
  BigInt(Math.round((ctx.clock.now() - startMs) * 1e6))
