// sim.ts: runs simulated clusters, one a seed, and prints those that broke a promise.
//
//     npm run sim -- --seed 42                one seed, with a line an event
//     npm run sim -- --seed 42 --seeds 1000   42 to 1041, quietly
//     npm run sim -- --mutations              breaks members on purpose, and looks who notices
//     npm run sim -- --mutations --only vote  those with that word in their name
import { parseArgs } from 'node:util'
import { findMutation } from '../test/simulation/mutation.js'
import { mutations } from '../test/simulation/mutations.js'
import { simulate } from '../test/simulation/simulation.js'

const { values } = parseArgs({
  options: {
    seed: { type: 'string', default: '1' },
    seeds: { type: 'string' },
    mutations: { type: 'boolean', default: false },
    only: { type: 'string', default: '' },
  },
})

const first = Number(values.seed)
const count = Number(values.seeds ?? 1)
const print = (line: string): void => void process.stdout.write(`${line}\n`)

/** A long run says now and then how far it is. */
const progressEvery = 250
/** Seeds that a mutation may need to be found. */
const mutationSeeds = 300

async function tryMutations(): Promise<void> {
  for (const mutation of mutations) {
    if (!mutation.name.includes(values.only)) continue
    const startedMs = performance.now()
    const found = await findMutation(mutation, { first, count: mutationSeeds })
    const seconds = ((performance.now() - startedMs) / 1000).toFixed(1)
    const how = found === undefined ? 'NOT FOUND' : `seed ${found.seed}: ${found.failure}`
    print(`${mutation.name}\n    ${seconds} s, ${how.split('\n')[0]}`)
    if (found === undefined) process.exitCode = 1
  }
}

async function main(): Promise<void> {
  const startedMs = performance.now()
  const totals: Record<string, number> = {}
  let failed = 0
  const summary = (done: number): string => {
    const seconds = ((performance.now() - startedMs) / 1000).toFixed(1)
    return `${done} seeds, ${failed} failed, ${seconds} s ${JSON.stringify(totals)}`
  }
  for (let done = 0; done < count; done++) {
    const seed = first + done
    const result = await simulate(seed, { keepTrace: values.seeds === undefined })
    if (values.seeds === undefined) print(result.trace.join('\n'))
    for (const [name, value] of Object.entries(result.figures)) {
      totals[name] = (totals[name] ?? 0) + value
    }
    if (result.failure !== undefined) {
      failed++
      print(`seed ${seed} failed: ${result.failure}`)
    }
    if (done % progressEvery === progressEvery - 1) print(summary(done + 1))
  }
  print(summary(count))
  process.exitCode = failed > 0 ? 1 : 0
}

await (values.mutations ? tryMutations() : main())
