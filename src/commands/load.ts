// load.ts: requests, many at a time, and how they fared: what `check` puts a cluster under.
//
// A fixed number of clients send one request after the other. With a rate, requests come due one
// by one and wait in a short line for a client that is free; what finds the line full is never
// sent, so that a server that was slow for a moment is not hit by all that piled up meanwhile.
import type { Clock } from '../platform/clock.js'

export interface Load {
  clients: number
  /** Stop after so many requests. */
  count?: number
  /** Stop after this time. */
  durationMs?: number
  /** Requests that come due in a second; absent: as fast as clients are free. */
  perSecond?: number
  /** Sends one request of one client. */
  send(client: number): Promise<unknown>
  /** Called after each request, failed or not. */
  onDone?(): void
  /** Aborted: what is under way is waited for, nothing more is sent. */
  signal: AbortSignal
}

export interface LoadReport {
  /** Requests that went well in each second of the whole time. */
  perSecond: number
  slowestSeconds: number
  stddevSeconds: number
  /** How often each text was the reason of a failure. */
  errors: ReadonlyMap<string, number>
}

/** Requests come due in small bunches, this far apart: a timer cannot count microseconds. */
const tickMs = 2

export async function runLoad(clock: Clock, load: Load): Promise<LoadReport> {
  const started = clock.now()
  const due = newDue(clock, load)
  const took: number[] = []
  const errors = new Map<string, number>()

  const client = async (index: number): Promise<void> => {
    while (await due.next()) {
      const start = clock.now()
      try {
        await load.send(index)
        took.push((clock.now() - start) / 1000)
      } catch (error) {
        const text = error instanceof Error ? error.message : String(error)
        errors.set(text, (errors.get(text) ?? 0) + 1)
      }
      load.onDone?.()
    }
  }
  await Promise.all(Array.from({ length: load.clients }, (_, index) => client(index)))
  return { ...summary(took, (clock.now() - started) / 1000), errors }
}

function summary(took: readonly number[], seconds: number): Omit<LoadReport, 'errors'> {
  const sum = took.reduce((total, one) => total + one, 0)
  const average = took.length === 0 ? 0 : sum / took.length
  const squares = took.reduce((total, one) => total + (one - average) ** 2, 0)
  return {
    perSecond: seconds === 0 ? 0 : took.length / seconds,
    slowestSeconds: took.reduce((slowest, one) => Math.max(slowest, one), 0),
    stddevSeconds: took.length === 0 ? 0 : Math.sqrt(squares / took.length),
  }
}

interface Due {
  /** Resolves when a request is due; false when there will be none. */
  next(): Promise<boolean>
}

function newDue(clock: Clock, { clients, count, durationMs, perSecond, signal }: Load): Due {
  const started = clock.now()
  const waiting: ((isDue: boolean) => void)[] = []
  let left = count ?? Number.POSITIVE_INFINITY
  let line = 0
  let isOver = false
  let cameDue = 0

  const timers = [
    ...(perSecond === undefined ? [] : [clock.every(tickMs, () => comeDue(perSecond))]),
    ...(durationMs === undefined ? [] : [clock.after(durationMs, over)]),
  ]
  signal.addEventListener('abort', over)
  if (signal.aborted) over()

  function over(): void {
    isOver = true
    for (const timer of timers) timer.cancel()
    signal.removeEventListener('abort', over)
    for (const answer of waiting.splice(0)) answer(false)
  }
  function comeDue(rate: number): void {
    const total = Math.floor(((clock.now() - started) * rate) / 1000)
    const more = total - cameDue
    cameDue = total
    for (let i = 0; i < more; i++) {
      const free = waiting.shift()
      if (free !== undefined) free(true)
      else if (line < clients) line++
      else return
    }
  }
  function isDueNow(): boolean {
    if (perSecond === undefined) return !isOver
    if (line === 0) return false
    line--
    return true
  }
  return {
    async next() {
      if (left === 0) {
        over()
        return false
      }
      if (isDueNow()) {
        left--
        return true
      }
      if (isOver) return false
      const isDue = await new Promise<boolean>((resolve) => waiting.push(resolve))
      if (isDue) left--
      return isDue
    },
  }
}
