// check perf, check datascale: puts a cluster under load and judges how it does.
import type { Command } from 'commander'
import { type DatascaleOptions, runDatascale } from './check-datascale.js'
import type { CheckGround } from './check-ground.js'
import { type PerfOptions, runPerf } from './check-perf.js'
import { defineCommand, defineGroup, UsageError } from './context.js'

export interface CheckFlags {
  load: string
  prefix: string
  autoCompact: boolean
  autoDefrag: boolean
}

type LoadName = 'small' | 'medium' | 'large' | 'huge'

/** Loads by each of their names. */
const loadNames: ReadonlyMap<string, LoadName> = new Map([
  ['s', 'small'],
  ['small', 'small'],
  ['m', 'medium'],
  ['medium', 'medium'],
  ['l', 'large'],
  ['large', 'large'],
  ['xl', 'huge'],
  ['xLarge', 'huge'],
])

type Loads<Options> = Readonly<Record<LoadName, Omit<Options, keyof CheckGround>>>

const perfLoads: Loads<PerfOptions> = {
  small: { perSecond: 150, clients: 50, durationMs: 60_000 },
  medium: { perSecond: 1000, clients: 200, durationMs: 60_000 },
  large: { perSecond: 8000, clients: 500, durationMs: 60_000 },
  huge: { perSecond: 15_000, clients: 1000, durationMs: 60_000 },
}

const datascaleLoads: Loads<DatascaleOptions> = {
  small: { keyCount: 10_000, clients: 50 },
  medium: { keyCount: 100_000, clients: 200 },
  large: { keyCount: 1_000_000, clients: 500 },
  huge: { keyCount: 3_000_000, clients: 1000 },
}

const words =
  (prefix: string) =>
  (command: Command): Command =>
    command
      .option('--load <string>', 's(mall), m(edium), l(arge) or xl (xLarge)', 's')
      .option('--prefix <string>', 'what the keys of the check begin with', prefix)
      .option('--auto-compact', 'compact the history of these keys afterwards', false)
      .option('--auto-defrag', 'defragment the endpoints afterwards', false)

/** Which of the loads is meant; further words are let pass, as etcdctl does. */
function loadOf<L>(loads: Readonly<Record<LoadName, L>>, text: string): L {
  const name = loadNames.get(text)
  if (name === undefined) throw new UsageError(`unknown load option ${text}`, 4)
  return loads[name]
}

export function perfOptions({ load, ...ground }: CheckFlags): PerfOptions {
  return { ...loadOf(perfLoads, load), ...ground }
}

export function datascaleOptions({ load, ...ground }: CheckFlags): DatascaleOptions {
  return { ...loadOf(datascaleLoads, load), ...ground }
}

export const checkCommand = defineGroup({
  datascale: {
    summary: 'Checks how much memory the server takes for a number of keys',
    command: defineCommand({
      words: words('/etcdctl-check-datascale/'),
      options: datascaleOptions,
      run: runDatascale,
    }),
  },
  perf: {
    summary: 'Checks how many writes the cluster takes, and how fast it answers',
    command: defineCommand({
      words: words('/etcdctl-check-perf/'),
      options: perfOptions,
      run: runPerf,
    }),
  },
})
