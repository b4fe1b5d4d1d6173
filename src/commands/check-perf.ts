// check-perf.ts: writes at a steady rate for a minute, and a verdict: were there as many as asked
// for, was none of them slow, were they about equally fast.
import {
  type CheckGround,
  clearGround,
  failureLines,
  openGround,
  putSomewhere,
} from './check-ground.js'
import { type CommandContext, CommandError } from './context.js'
import { messageOf } from './endpoints.js'
import { catchInterrupts } from './holding.js'
import { type LoadReport, runLoad } from './load.js'
import { startProgressBar } from './progress-bar.js'

export interface PerfOptions extends CheckGround {
  perSecond: number
  clients: number
  durationMs: number
}

const keyBytes = 256
const valueBytes = 1024

/** A signal ends the load early; what it left is removed and judged all the same. */
export async function runPerf(ctx: CommandContext, options: PerfOptions): Promise<void> {
  const { prefix, clients } = options
  const hint = `'etcdctl del --prefix ${prefix}'`
  const connections = await openGround(ctx, options, { clients, hint })
  const [first] = connections
  if (first === undefined) throw new Error('a check has a client')
  const report = await measured(ctx, options, (client) => {
    const connection = connections[client % connections.length] ?? first
    return putSomewhere(ctx, connection, { prefix, keyBytes, valueBytes })
  })
  try {
    await clearGround(ctx, first, options)
  } catch (error) {
    await ctx.write(`FAIL: Cleanup failed during key deletion: ERROR(${messageOf(error)})\n`)
  }
  const { lines, isPassed } = perfVerdict(report, options.perSecond)
  await ctx.write(lines.map((line) => `${line}\n`).join(''))
  if (!isPassed) throw new CommandError('', { exitCode: 1 })
}

async function measured(
  ctx: CommandContext,
  { perSecond, clients, durationMs }: PerfOptions,
  send: (client: number) => Promise<unknown>,
): Promise<LoadReport> {
  const bar = await startProgressBar(ctx, { total: durationMs / 1000, unit: 's' })
  const ticker = ctx.clock.every(1000, () => bar.advance())
  const { signal, stop } = catchInterrupts(ctx)
  try {
    return await runLoad(ctx.clock, { clients, perSecond, durationMs, send, signal })
  } finally {
    stop()
    ticker.cancel()
    bar.stop()
  }
}

/** Of the rate that was asked for. */
const enoughShare = 0.9
const slowSeconds = 0.5
const stddevSecondsMax = 0.1

export function perfVerdict(
  { perSecond, slowestSeconds, stddevSeconds, errors }: LoadReport,
  perSecondWanted: number,
): { lines: string[]; isPassed: boolean } {
  const lines = failureLines(errors)
  let isPassed = errors.size === 0
  const judge = (isGood: boolean, good: string, bad: string): void => {
    lines.push(isGood ? `PASS: ${good}` : bad)
    if (!isGood) isPassed = false
  }
  const rate = `${Math.floor(perSecond) + 1} writes/s`
  const isEnough = perSecond / perSecondWanted > enoughShare
  judge(isEnough, `Throughput is ${rate}`, `FAIL: Throughput too low: ${rate}`)
  const slowest = `${slowestSeconds.toFixed(6)}s`
  const isFast = slowestSeconds <= slowSeconds
  // No FAIL before these two: scripts look for the words as etcdctl prints them.
  judge(isFast, `Slowest request took ${slowest}`, `Slowest request took too long: ${slowest}`)
  const stddev = `${stddevSeconds.toFixed(6)}s`
  judge(stddevSeconds <= stddevSecondsMax, `Stddev is ${stddev}`, `Stddev too high: ${stddev}`)
  return { lines: [...lines, isPassed ? 'PASS' : 'FAIL'], isPassed }
}
