// mutation.ts: a way to break members on purpose, and the search for a seed at which it is noticed.
import type { Recovered } from '../../src/server/recovery/recover.js'
import type { Plot } from './plots.js'
import { type SimulationResult, simulate } from './simulation.js'

export interface Mutation {
  readonly name: string
  /** Takes many seeds to be found, also with its plot if it has one. */
  readonly isRare?: boolean
  /** What brings it to light sooner. */
  readonly plot?: Plot
  /** Wraps what a member recovered. */
  bend?(recovered: Recovered): void
  /** Replaces what cannot be wrapped; the function returned puts it back. */
  install?(): () => void
}

/** The first seed at which a mutation is found; undefined when none of them finds it. */
export async function findMutation(
  { bend, install }: Mutation,
  seeds: { first: number; count: number; plot?: Plot | undefined },
): Promise<SimulationResult | undefined> {
  const putBack = install?.()
  const { plot } = seeds
  const options = { ...(bend && { bend }), ...(plot && { plot }) }
  try {
    for (let seed = seeds.first; seed < seeds.first + seeds.count; seed++) {
      const result = await simulate(seed, options)
      if (result.failure !== undefined) return result
    }
    return undefined
  } finally {
    putBack?.()
  }
}
