// spinner.ts: what a person at a terminal sees of work that takes a while: how far it is, how fast
// and for how long still. It stands on standard error, and only when that is a terminal.
import { humanSize } from '../output/humanize.js'
import type { CommandContext } from './context.js'

export interface Amount {
  doneBytes: number
  totalBytes: number
}

/** Runs the work; whoever does it tells `show` how far it has come, as often as it likes. */
export async function withSpinner<T>(
  ctx: Pick<CommandContext, 'stderr' | 'clock'>,
  title: string,
  work: (show: (amount: Amount) => void) => Promise<T>,
): Promise<T> {
  if (!ctx.stderr.isTTY) return work(() => {})
  const { default: ora } = await import('ora')
  // Whether somebody is looking was decided above; ora would also ask the variable CI.
  const looks = { stream: ctx.stderr, discardStdin: false, isEnabled: true }
  const spinner = ora({ ...looks, text: title })
  const startedAt = ctx.clock.now()
  spinner.start()
  try {
    return await work((amount) => {
      spinner.text = `${title}: ${amountText(amount, ctx.clock.now() - startedAt)}`
    })
  } finally {
    spinner.stop()
  }
}

/** `12 MB of 1.1 GB, 96 MB/s, 11 s left` */
export function amountText({ doneBytes, totalBytes }: Amount, elapsedMs: number): string {
  const size = `${humanSize(doneBytes)} of ${humanSize(totalBytes)}`
  if (elapsedMs <= 0 || doneBytes === 0) return size
  const bytesPerSecond = Math.round((doneBytes / elapsedMs) * 1000)
  const leftBytes = Math.max(totalBytes - doneBytes, 0)
  const secondsLeft = Math.ceil(leftBytes / Math.max(bytesPerSecond, 1))
  return `${size}, ${humanSize(bytesPerSecond)}/s, ${secondsLeft} s left`
}
