// backoff.ts: how long to wait before all addresses are tried again. Short at first, since a
// server is often only restarting, and never so long that a person thinks the program hangs.
import type { Random } from '../platform/random.js'

const baseMs = 100
const factor = 1.6
const maxMs = 5000
const jitter = 0.2 // a crowd that lost one server must not come back in step

/** `failures` counts the rounds that failed in a row, from 1. */
export function backoffMs(failures: number, random: Random): number {
  const ms = Math.min(maxMs, baseMs * factor ** (failures - 1))
  return ms * (1 - jitter + (2 * jitter * random.below(1001)) / 1000)
}
