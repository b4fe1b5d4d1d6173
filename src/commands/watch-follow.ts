// watch-follow.ts: a watch that runs: what is printed of its answers, and the command that runs for
// its events.
import type { WatchResponse } from '../api/gen/rpc.js'
import { cancelReason } from '../connection/cancel-reason.js'
import type { Watch } from '../connection/connect.js'
import type { CommandContext } from './context.js'

/** Prints a watch until its end, running the command for each event. */
export async function followWatch(
  ctx: CommandContext,
  watch: Watch,
  { command, onAnswer }: { command: readonly string[]; onAnswer?: () => void },
): Promise<void> {
  for await (const answer of watch) {
    onAnswer?.()
    if (answer.created && !answer.canceled) continue
    if (answer.canceled) ctx.warn(`watch was canceled (${cancelReason(answer)})\n`)
    await ctx.printLines({ kind: 'watch', response: shownAnswer(answer) })
    if (command.length > 0 && answer.events.length > 0) {
      const { runForEvents } = await import('./watch-exec.js')
      await runForEvents(ctx, command, answer)
    }
  }
}

/** A refused watch is shown without what the refusal says about the store. */
function shownAnswer(answer: WatchResponse): WatchResponse {
  if (!answer.created) return answer
  return { ...answer, header: undefined, created: false, cancel_reason: '' }
}
