// A few hundred random histories. A failure names its seed; `RAFT_SEED=42` runs that one alone and
// shows what happened in it.
import { expect, test } from 'vitest'
import { RandomNetwork } from './random-network.js'

const only = process.env.RAFT_SEED
const seeds = only ? [Number(only)] : Array.from({ length: 300 }, (_, at) => at + 1)
const acts = 2_000

test(`${seeds.length} random histories of five members keep the promises of raft`, () => {
  let applied = 0
  let reads = 0
  for (const seed of seeds) {
    const network = new RandomNetwork(seed, { keepTrace: only !== undefined })
    try {
      network.disturb(acts)
      network.settle()
      network.checkLogs()
    } catch (cause) {
      throw new Error(`seed ${seed}: ${String(cause)}\n${network.trace}`, { cause })
    }
    applied += network.appliedCount
    reads += network.readCount
  }
  // The histories must not be so bad that nothing ever happens in them.
  expect(applied / seeds.length).toBeGreaterThan(10)
  expect(reads / seeds.length).toBeGreaterThan(5)
})
