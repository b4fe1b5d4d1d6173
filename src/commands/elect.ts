// elect <election-name> [proposal]: stands for an election and leads until a signal comes, or
// (-l) tells who leads. The candidate's key is bound to a lease that is kept alive meanwhile, and
// its value is the proposal; etcdctl and Go programs can stand for the same election.
import type { Command } from 'commander'
import type { Connection } from '../connection/connect.js'
import { type Candidacy, leaders, newCandidacy } from '../connection/election.js'
import { openSession, type Session, sessionTtlSecondsDefault } from '../connection/session.js'
import { bytes, type CommandContext, CommandError, defineCommand, UsageError } from './context.js'
import { anyAborted, catchInterrupts } from './holding.js'

export interface ElectOptions {
  name: string
  /** Undefined: listen. */
  proposal: string | undefined
}

const words = (command: Command): Command =>
  command
    .argument('<election-name>')
    .argument('[proposal]')
    .option('-l, --listen', 'print each leader instead of becoming one', false)

export function electOptions(
  { listen }: { listen: boolean },
  args: readonly string[],
): ElectOptions {
  const [name, proposal, ...rest] = args
  if (name === undefined || rest.length > 0) {
    const problem = 'elect takes one election name argument and an optional proposal argument'
    throw new UsageError(problem)
  }
  if (listen && proposal !== undefined) throw new UsageError('proposal given but -l is set')
  if (!listen && proposal === undefined) throw new UsageError('no proposal argument but -l not set')
  return { name, proposal }
}

export async function runElect(
  ctx: CommandContext,
  { name, proposal }: ElectOptions,
): Promise<void> {
  const connection = await ctx.connect()
  if (proposal === undefined) return runListen(ctx, connection, bytes(name))
  const session = await openSession(connection, sessionTtlSecondsDefault)
  try {
    const candidacy = newCandidacy(connection, session, bytes(name))
    await runCampaign(ctx, { connection, session, candidacy }, bytes(proposal))
  } finally {
    await session.close()
  }
}

interface Standing {
  connection: Connection
  session: Session
  candidacy: Candidacy
}

async function runCampaign(
  ctx: CommandContext,
  { connection, session, candidacy }: Standing,
  proposal: Buffer,
): Promise<void> {
  const interrupts = catchInterrupts(ctx)
  const either = AbortSignal.any([interrupts.signal, session.lost])
  try {
    await candidacy.campaign(proposal, either)
    await ctx.print({ kind: 'get', response: await connection.kv.range({ key: candidacy.key }) })
    await anyAborted(either)
  } catch (error) {
    if (session.lost.aborted) throw sessionExpired()
    // What failed first is what the user is to hear; the lease takes the key away in any case.
    await candidacy.resign(ctx.commandBudget()()).catch(() => undefined)
    throw error
  } finally {
    interrupts.stop()
  }
  if (!interrupts.signal.aborted) throw sessionExpired()
  await candidacy.resign(ctx.commandBudget()())
}

const sessionExpired = (): CommandError =>
  new CommandError('elect: session expired', { exitCode: 1 })

async function runListen(ctx: CommandContext, connection: Connection, name: Buffer): Promise<void> {
  const interrupts = catchInterrupts(ctx)
  try {
    for await (const response of leaders(connection, name, interrupts.signal)) {
      await ctx.print({ kind: 'get', response })
    }
  } catch (cause) {
    if (interrupts.signal.aborted) return
    throw new CommandError('elect: observer lost', { exitCode: 1, cause })
  } finally {
    interrupts.stop()
  }
}

export const electCommand = defineCommand({ words, options: electOptions, run: runElect })
