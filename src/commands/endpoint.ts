// endpoint health|status|hashkv: questions to each endpoint by itself, answered in one table.
import type { Command } from 'commander'
import type { AlarmMember, HashKVResponse, StatusResponse } from '../api/gen/rpc.js'
import { EtcdError } from '../api/rpc-errors.js'
import type { Connection } from '../connection/connect.js'
import { ConnectionError } from '../connection/errors.js'
import type { EndpointAnswer, EndpointHealth } from '../output/format.js'
import {
  type CommandContext,
  CommandError,
  type CommandLine,
  defineCommand,
  defineGroup,
} from './context.js'
import { elapsedNs, endpointList, isFatal, messageOf, withEndpoint } from './endpoints.js'
import { fromVariable } from './environment.js'
import { boolean, int64 } from './values.js'

interface EndpointFlags {
  cluster: boolean
}

export interface EndpointOptions {
  cluster: boolean
}

/** --cluster is the one flag that has a variable without being global. */
export function endpointOptions(
  { cluster }: EndpointFlags,
  _args: readonly string[],
  { given, env }: Pick<CommandLine, 'given' | 'env'>,
): EndpointOptions {
  if (given.has('cluster')) return { cluster }
  return { cluster: fromVariable({ name: 'cluster', read: boolean }, env) === true }
}

export async function runHealth(ctx: CommandContext, options: EndpointOptions): Promise<void> {
  const endpoints = await endpointList(ctx, options)
  const rows: EndpointHealth[] = [] // in the order in which the answers come
  await Promise.all(endpoints.map(async (one) => rows.push(await health(ctx, one))))
  await ctx.print({ kind: 'endpointHealth', rows })
  if (rows.some((row) => !row.health)) throw new CommandError('unhealthy cluster', { exitCode: 1 })
}

async function health(ctx: CommandContext, endpoint: string): Promise<EndpointHealth> {
  let connection: Connection
  try {
    connection = await ctx.connect({ endpoints: [endpoint] })
  } catch (error) {
    // Only what this endpoint may have said; words that make no sense are not about its health.
    if (!(error instanceof ConnectionError) || error.exitCode === 128) throw error
    return { endpoint, health: false, tookNs: undefined, error: error.message }
  }
  const budget = ctx.commandBudget()
  const start = ctx.clock.now()
  const refusal = await healthRefusal(connection, budget)
  const tookNs = elapsedNs(ctx, start)
  const error = refusal ?? (await alarmRefusal(connection, budget))
  return { endpoint, health: error === '', tookNs, error }
}

type Budget = () => { deadlineMs: number }

/** Why no read can be agreed upon; undefined when one was. */
async function healthRefusal({ kv }: Connection, budget: Budget): Promise<string | undefined> {
  try {
    await kv.range({ key: Buffer.from('health') }, budget())
    return undefined
  } catch (error) {
    // To refuse the read, the members must have agreed on who may read.
    const isAllowed = error instanceof EtcdError && error.code === 'permissionDenied'
    return isAllowed ? undefined : messageOf(error)
  }
}

const alarmNames = new Map<AlarmMember['alarm'], string>([
  [1, 'NOSPACE'],
  [2, 'CORRUPT'],
])

async function alarmRefusal({ maintenance }: Connection, budget: Budget): Promise<string> {
  try {
    const { alarms } = await maintenance.alarm({ action: 0 }, budget())
    if (alarms.length === 0) return ''
    const names = alarms.map(({ alarm }) => `${alarmNames.get(alarm) ?? 'UNKNOWN'} `)
    return `Active Alarm(s): ${names.join('')}`
  } catch {
    return 'Unable to fetch the alarm list'
  }
}

export async function runStatus(ctx: CommandContext, options: EndpointOptions): Promise<void> {
  const { rows, failures } = await askEach<StatusResponse>(ctx, options, {
    what: 'status',
    ask: ({ maintenance }, budget) => maintenance.status(budget()),
  })
  await ctx.print({ kind: 'endpointStatus', rows })
  if (failures.length > 0) throw new CommandError('', { exitCode: 1, cause: failures.at(-1) })
}

interface HashKvFlags extends EndpointFlags {
  rev: bigint
}

export interface HashKvOptions extends EndpointOptions {
  revision: bigint
}

export function hashKvOptions(
  flags: HashKvFlags,
  args: readonly string[],
  line: Pick<CommandLine, 'given' | 'env'>,
): HashKvOptions {
  return { ...endpointOptions(flags, args, line), revision: flags.rev }
}

export async function runHashKv(ctx: CommandContext, options: HashKvOptions): Promise<void> {
  const request = { revision: String(options.revision) }
  const { rows, failures } = await askEach<HashKVResponse>(ctx, options, {
    what: 'hash',
    ask: ({ maintenance }, budget) => maintenance.hashKV(request, budget()),
  })
  await ctx.print({ kind: 'endpointHashKv', rows })
  if (failures.length > 0) throw failures.at(-1)
}

interface Question<T> {
  what: string
  ask(connection: Connection, budget: Budget): Promise<T>
}

/** One endpoint after the other. One that fails is told about at once, and does not end it. */
async function askEach<T>(
  ctx: CommandContext,
  options: EndpointOptions,
  { what, ask }: Question<T>,
): Promise<{ rows: EndpointAnswer<T>[]; failures: unknown[] }> {
  const rows: EndpointAnswer<T>[] = []
  const failures: unknown[] = []
  for (const endpoint of await endpointList(ctx, options)) {
    try {
      const response = await withEndpoint(ctx, endpoint, (connection) =>
        ask(connection, ctx.commandBudget()),
      )
      rows.push({ endpoint, response })
    } catch (error) {
      if (isFatal(error)) throw error
      ctx.warn(`Failed to get the ${what} of endpoint ${endpoint} (${messageOf(error)})\n`)
      failures.push(error)
    }
  }
  return { rows, failures }
}

export const endpointCommand = defineGroup(
  {
    health: {
      summary: 'Tells whether each endpoint can agree with its cluster',
      command: defineCommand({
        words: (command) => command,
        options: endpointOptions,
        run: runHealth,
      }),
    },
    status: {
      summary: 'Prints version, size, leader and log position of each endpoint',
      command: defineCommand({
        words: (command) => command,
        options: endpointOptions,
        run: runStatus,
      }),
    },
    hashkv: {
      summary: 'Prints the hash over the keys and their history on each endpoint',
      command: defineCommand({
        words: (command) =>
          command.option('--rev <int>', 'history up to this revision; 0: all', int64, 0n),
        options: hashKvOptions,
        run: runHashKv,
      }),
    },
  },
  (command: Command) => command.option('--cluster', 'all endpoints of all members', false),
)
