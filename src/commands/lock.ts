// lock <lockname> [command args…]: holds a lock until a signal comes, or for as long as a command
// runs. The lock is a key below its name, bound to a lease that is kept alive meanwhile; etcdctl
// and Go programs exclude us and are excluded by us.
import { isatty } from 'node:tty'
import type { Command } from 'commander'
import type { Connection } from '../connection/connect.js'
import { type Mutex, newMutex } from '../connection/mutex.js'
import { openSession, type Session, sessionTtlSecondsDefault } from '../connection/session.js'
import { type Child, type Ending, failureText, startChild } from './child.js'
import {
  argument,
  bytes,
  type CommandContext,
  CommandError,
  defineCommand,
  UsageError,
} from './context.js'
import { anyAborted, catchInterrupts, type Interrupts } from './holding.js'
import { count } from './values.js'

export interface LockOptions {
  name: string
  /** Run while the lock is held; empty: hold it until a signal comes. */
  command: readonly string[]
  /** As typed; not positive: the default. */
  ttlSeconds: number
}

const words = (command: Command): Command =>
  command
    .description(
      'Holds a lock until it is interrupted or, with a command, while the command runs.\n' +
        'The command sees ETCD_LOCK_KEY and ETCD_LOCK_REV and gets the signals that tsctl gets;\n' +
        'its exit code is that of tsctl. It is ended when the lock is lost.',
    )
    .argument('<lockname>')
    .argument('[exec-command arg1 arg2 ...]')
    .option('--ttl <int>', 'seconds that the lock outlives its holder', count, 10)

export function lockOptions({ ttl }: { ttl: number }, args: readonly string[]): LockOptions {
  const [name, ...command] = args
  if (name === undefined) {
    throw new UsageError('lock takes a lock name argument and an optional command to execute')
  }
  return { name, command, ttlSeconds: ttl }
}

interface Held {
  connection: Connection
  session: Session
  mutex: Mutex
  interrupts: Interrupts
}

export async function runLock(ctx: CommandContext, options: LockOptions): Promise<void> {
  const { name, command, ttlSeconds } = options
  const connection = await ctx.connect()
  if (ttlSeconds <= 0) {
    ctx.warn(`--ttl=${ttlSeconds} is not positive: ${sessionTtlSecondsDefault} is used instead\n`)
  }
  const session = await openSession(
    connection,
    ttlSeconds > 0 ? ttlSeconds : sessionTtlSecondsDefault,
  )
  const interrupts = catchInterrupts(ctx)
  const mutex = newMutex(connection, session, bytes(name))
  const held = { connection, session, mutex, interrupts }
  try {
    const header = await orGivenBack(ctx, held, () => mutex.lock(interrupts.signal))
    const revision = header?.revision ?? '0'
    if (command.length > 0) await runLocked(ctx, held, { command, revision })
    else await holdLock(ctx, held)
  } finally {
    interrupts.stop()
    await session.close()
  }
}

/**
 * Gives the key back when the work fails. What failed first is what the user is to hear, and the
 * lease takes the key away in any case.
 */
async function orGivenBack<T>(
  ctx: CommandContext,
  { mutex, session }: Held,
  work: () => Promise<T>,
): Promise<T> {
  try {
    return await work()
  } catch (error) {
    if (!session.lost.aborted) await mutex.unlock(ctx.commandBudget()()).catch(() => undefined)
    throw error
  }
}

async function holdLock(ctx: CommandContext, held: Held): Promise<void> {
  const { connection, session, mutex, interrupts } = held
  await orGivenBack(ctx, held, async () => {
    const response = await connection.kv.range({ key: mutex.key })
    if (response.kvs.length === 0) throw new CommandError('lock lost on init', { exitCode: 1 })
    await ctx.print({ kind: 'get', response })
  })
  await anyAborted(interrupts.signal, session.lost)
  if (!interrupts.signal.aborted) throw sessionExpired()
  await mutex.unlock(ctx.commandBudget()())
}

async function runLocked(
  ctx: CommandContext,
  { session, mutex, interrupts }: Held,
  { command, revision }: { command: readonly string[]; revision: string },
): Promise<void> {
  // A variable that is there already wins, as in etcdctl.
  const env = { ETCD_LOCK_KEY: argument(mutex.key), ETCD_LOCK_REV: revision, ...ctx.env }
  const child = startChild(command, env)
  passSignals(child, interrupts)
  const ending = await endedInTime(ctx, child, session)
  if (session.lost.aborted) throw sessionExpired()
  const unlocked = mutex.unlock(ctx.commandBudget()())
  const failure = failureText(ending)
  if (failure === undefined) return unlocked
  await unlocked.catch(() => undefined)
  throw new CommandError(failure, { exitCode: exitCodeOf(ending) })
}

/**
 * A Ctrl-C at a terminal reaches the child by itself, being in our process group; handing it on
 * would make two of it, and to many programs the second one means "at once".
 */
function passSignals(child: Child, interrupts: Interrupts): void {
  const isOnTerminal = [0, 1, 2].some(isatty)
  interrupts.handOver((signal) => {
    if (signal !== 'SIGINT' || !isOnTerminal) child.kill(signal)
  })
}

/** Between the request to end and the end by force, when the lock is not ours any more. */
const graceMs = 2000

/** How the child ended. It is made to when the session is lost: somebody else may hold the lock. */
async function endedInTime(ctx: CommandContext, child: Child, { lost }: Session): Promise<Ending> {
  const ended = new AbortController()
  const ending = child.ending.finally(() => ended.abort())
  await anyAborted(ended.signal, lost)
  if (!lost.aborted || ended.signal.aborted) return ending
  child.kill('SIGTERM')
  const timer = ctx.clock.after(graceMs, () => child.kill('SIGKILL'))
  return ending.finally(() => timer.cancel())
}

/** Of a command that failed. A signal leaves no code of its own. */
function exitCodeOf(ending: Ending): number {
  if (ending.kind === 'exit') return ending.code
  return ending.kind === 'signal' ? 255 : 1
}

const sessionExpired = (): CommandError => new CommandError('session expired', { exitCode: 1 })

export const lockCommand = defineCommand({ words, options: lockOptions, run: runLock })
