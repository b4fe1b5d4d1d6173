// holding.ts: what lock and elect do with the time in which they hold something: they wait for a
// signal or for the loss of the session. The first signal asks for an orderly end; a second one
// ends the process at once, whatever it is waiting for.
import type { CommandContext, Interrupt } from './context.js'

export interface Interrupts {
  /** Aborted at the first signal that is nobody else's. */
  readonly signal: AbortSignal
  /** From now on signals go to the callback instead, every one of them. */
  handOver(callback: (signal: Interrupt) => void): void
  stop(): void
}

export function catchInterrupts(ctx: CommandContext): Interrupts {
  const first = new AbortController()
  let receiver: ((signal: Interrupt) => void) | undefined
  const stop = ctx.onInterrupt((signal) => {
    if (receiver !== undefined) return receiver(signal)
    stop()
    first.abort()
  })
  return {
    signal: first.signal,
    handOver(callback) {
      receiver = callback
    },
    stop,
  }
}

/** Resolves when one of the signals is aborted. */
export function anyAborted(...signals: readonly AbortSignal[]): Promise<void> {
  const either = AbortSignal.any([...signals])
  return new Promise((resolve) => {
    if (either.aborted) resolve()
    else either.addEventListener('abort', () => resolve(), { once: true })
  })
}
