// lease: grants, keeps, shows and revokes leases. IDs are hexadecimal here and decimal in messages.
import type { Connection } from '../connection/connect.js'
import {
  type CommandContext,
  CommandError,
  defineCommand,
  defineGroup,
  parseLeaseId,
  UsageError,
} from './context.js'
import { decimal, ValueError } from './values.js'

interface LeaseOptions {
  /** Decimal. */
  leaseId: string
}

/** The only positional of most lease commands. */
function leaseOptions(args: readonly string[], complaint: string): LeaseOptions {
  const [id, ...rest] = args
  if (id === undefined || rest.length > 0) throw new UsageError(complaint)
  return { leaseId: parseLeaseId(id).toString() }
}

export function grantOptions(args: readonly string[]): { ttlSeconds: string } {
  const [ttl, ...rest] = args
  if (ttl === undefined || rest.length > 0) {
    throw new UsageError('lease grant command needs TTL argument')
  }
  try {
    return { ttlSeconds: decimal(ttl).toString() }
  } catch (error) {
    if (!(error instanceof ValueError)) throw error
    throw new UsageError(`bad TTL (${error.message})`)
  }
}

const grant = defineCommand({
  words: (command) => command.argument('<ttl>', 'seconds to live'),
  options: (_flags, args) => grantOptions(args),
  async run(ctx, { ttlSeconds }) {
    const budget = ctx.commandBudget()
    const { lease } = await ctx.connect()
    const response = await called('failed to grant lease', () =>
      lease.leaseGrant({ TTL: ttlSeconds }, budget()),
    )
    await ctx.print({ kind: 'leaseGrant', response })
  },
})

const revoke = defineCommand({
  words: (command) => command.argument('<leaseID>', 'in hexadecimal'),
  options: (_flags, args) => leaseOptions(args, 'lease revoke command needs 1 argument'),
  async run(ctx, { leaseId }) {
    const budget = ctx.commandBudget()
    const { lease } = await ctx.connect()
    const response = await called('failed to revoke lease', () =>
      lease.leaseRevoke({ ID: leaseId }, budget()),
    )
    await ctx.print({ kind: 'leaseRevoke', response, leaseId })
  },
})

/** etcdctl puts its own words before the server's for these two. */
async function called<T>(what: string, call: () => Promise<T>): Promise<T> {
  try {
    return await call()
  } catch (error) {
    throw new CommandError(`${what} (${(error as Error).message})`, { exitCode: 1, cause: error })
  }
}

const timeToLive = defineCommand({
  words: (command) =>
    command
      .argument('<leaseID>', 'in hexadecimal')
      .option('--keys', 'print the keys attached to the lease', false),
  options: ({ keys }: { keys: boolean }, args) => ({
    ...leaseOptions(args, 'lease timetolive command needs lease ID as argument'),
    keys,
  }),
  async run(ctx, { leaseId, keys }) {
    const response = await asked(ctx, ({ lease }) => lease.leaseTimeToLive({ ID: leaseId, keys }))
    await ctx.print({ kind: 'leaseTimeToLive', response, withKeys: keys })
  },
})

const list = defineCommand({
  words: (command) => command,
  options: () => undefined,
  async run(ctx) {
    const response = await asked(ctx, ({ lease }) => lease.leaseLeases())
    await ctx.print({ kind: 'leaseList', response })
  },
})

/** A question without time limit, whose failure counts as one of the connection. */
async function asked<T>(
  ctx: CommandContext,
  ask: (connection: Connection) => Promise<T>,
): Promise<T> {
  const connection = await ctx.connect()
  try {
    return await ask(connection)
  } catch (error) {
    throw new CommandError((error as Error).message, { exitCode: 2, cause: error })
  }
}

interface KeepAliveOptions extends LeaseOptions {
  once: boolean
}

const keepAlive = defineCommand({
  words: (command) =>
    command
      .argument('<leaseID>', 'in hexadecimal')
      .option('--once', 'renew the lease once and exit', false),
  options: ({ once }: { once: boolean }, args): KeepAliveOptions => ({
    ...leaseOptions(args, 'lease keep-alive command needs lease ID as argument'),
    once,
  }),
  run: runKeepAlive,
})

/** A lease that is gone ends the command well, unless one renewal was all that was asked for. */
async function runKeepAlive(
  ctx: CommandContext,
  { leaseId, once }: KeepAliveOptions,
): Promise<void> {
  if (once) {
    const response = await asked(ctx, async (connection) => {
      for await (const answer of connection.keepAlive(leaseId, { once, signal: ctx.signal })) {
        return answer
      }
      return undefined
    })
    if (response !== undefined) await ctx.print({ kind: 'leaseKeepAlive', response })
    return
  }
  const connection = await ctx.connect()
  for await (const response of connection.keepAlive(leaseId, { signal: ctx.signal })) {
    await ctx.print({ kind: 'leaseKeepAlive', response })
  }
  if (!ctx.signal.aborted) await ctx.print({ kind: 'leaseKeepAliveEnd', leaseId })
}

export const leaseCommand = defineGroup({
  grant: { summary: 'Creates a lease', command: grant },
  'keep-alive': { summary: 'Renews a lease again and again', command: keepAlive },
  list: { summary: 'Prints the IDs of all leases', command: list },
  revoke: { summary: 'Revokes a lease and deletes its keys', command: revoke },
  timetolive: { summary: 'Prints how long a lease has to live', command: timeToLive },
})
