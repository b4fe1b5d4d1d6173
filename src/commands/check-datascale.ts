// check-datascale.ts: a great number of keys at once, and how much more memory the first endpoint
// uses with them than without.
import {
  type CheckGround,
  clearGround,
  failureLines,
  openGround,
  putSomewhere,
} from './check-ground.js'
import { tlsSettings } from './connecting.js'
import { type CommandContext, CommandError } from './context.js'
import { catchInterrupts } from './holding.js'
import { type LoadReport, runLoad } from './load.js'
import { residentMemory } from './memory-metric.js'
import { startProgressBar } from './progress-bar.js'

export interface DatascaleOptions extends CheckGround {
  keyCount: number
  clients: number
}

const keyBytes = 512
const valueBytes = 512

/** A signal ends the load early; what it left is removed and judged all the same. */
export async function runDatascale(ctx: CommandContext, options: DatascaleOptions): Promise<void> {
  const { prefix, clients, keyCount } = options
  const hint = `etcdctl del --prefix ${prefix}`
  const connections = await openGround(ctx, options, { clients, hint })
  const [first] = connections
  if (first === undefined) throw new Error('a check has a client')
  const before = await memory(ctx, 'before')
  const pairs = `${keyCount} key-value pairs, ${keyBytes + valueBytes} bytes per key-value`
  await ctx.write(
    `Start data scale check for work load [${pairs}, ${clients} concurrent clients].\n`,
  )
  const { errors } = await filled(ctx, options, (client) => {
    const connection = connections[client % connections.length] ?? first
    return putSomewhere(ctx, connection, { prefix, keyBytes, valueBytes })
  })
  const after = await memory(ctx, 'after').finally(() => clearGround(ctx, first, options))
  if (errors.size > 0) {
    await ctx.write(
      failureLines(errors)
        .map((line) => `${line}\n`)
        .join(''),
    )
    throw new CommandError('', { exitCode: 1 })
  }
  const megabytes = ((after - before) / (1024 * 1024)).toFixed(2)
  await ctx.write(`PASS: Approximate system memory used : ${megabytes} MB.\n`)
}

async function filled(
  ctx: CommandContext,
  { keyCount, clients }: DatascaleOptions,
  send: (client: number) => Promise<unknown>,
): Promise<LoadReport> {
  const bar = await startProgressBar(ctx, { total: keyCount, unit: 'keys' })
  const { signal, stop } = catchInterrupts(ctx)
  const onDone = (): void => bar.advance()
  try {
    return await runLoad(ctx.clock, { clients, count: keyCount, send, onDone, signal })
  } finally {
    stop()
    bar.stop()
  }
}

/** Of the first endpoint, in bytes. */
async function memory(ctx: CommandContext, when: 'before' | 'after'): Promise<number> {
  const { endpoints } = ctx.globals
  const found = await residentMemory(endpoints[0] ?? '', tlsSettings(ctx.globals))
  if ('bytes' in found && found.bytes > 0) return found.bytes
  if ('problem' in found) await ctx.write(`${found.problem}\n`)
  await ctx.write(
    `FAIL: Could not read process_resident_memory_bytes ${when} the put operations.\n`,
  )
  throw new CommandError('', { exitCode: 1 })
}
