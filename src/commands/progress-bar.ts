// progress-bar.ts: how far a long check has come, on standard error and for a person only: where
// nobody is looking nothing is written.
//
//   [==============>               ] 29/60 s
import type { CommandContext } from './context.js'

export interface ProgressBar {
  advance(count?: number): void
  stop(): void
}

const widthColumns = 30

export async function startProgressBar(
  { stderr }: Pick<CommandContext, 'stderr'>,
  { total, unit }: { total: number; unit: string },
): Promise<ProgressBar> {
  if (!stderr.isTTY) return { advance() {}, stop() {} }
  const { default: ora } = await import('ora')
  // Whether somebody is looking was decided above; ora would also ask the variable CI.
  const looks = { stream: stderr, discardStdin: false, isEnabled: true }
  const spinner = ora({ ...looks, text: barText(0, total, unit) })
  let done = 0
  spinner.start()
  return {
    advance(count = 1) {
      done = Math.min(done + count, total)
      spinner.text = barText(done, total, unit)
    },
    stop: () => void spinner.stop(),
  }
}

export function barText(done: number, total: number, unit: string): string {
  const filled = Math.floor((done / total) * widthColumns)
  const head = filled < widthColumns ? '>' : ''
  const bar = `${'='.repeat(filled)}${head}`.padEnd(widthColumns)
  return `[${bar}] ${done}/${total} ${unit}`
}
