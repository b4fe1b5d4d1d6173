// chaos.ts: three members as processes, clients that write and read, kills and pauses at random for
// some minutes; then the history is checked.
//
//     npx tsx scripts/chaos.ts --minutes 5 --seed 1
import { parseArgs } from 'node:util'
import { chaos } from '../test/support/chaos.js'
import { startProcessCluster } from '../test/support/cluster.js'
import { seededRandom } from '../test/support/cutting-proxy.js'

const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '5' },
    seed: { type: 'string', default: '1' },
    members: { type: 'string', default: '3' },
  },
})

const print = (line: string): void => void process.stdout.write(`${line}\n`)

const count = Number(values.members)
const flags = ['--snapshot-count=1000', '--snapshot-catchup-entries=1000', '--log-level=warn']
await using cluster = await startProcessCluster({
  programs: Array.from({ length: count }, () => 'tsctl' as const),
  flags,
})
const seconds = Number(values.minutes) * 60
const random = seededRandom(Number(values.seed))
const result = await chaos(cluster, { seconds, random, note: print })
print(`linearizable, and all members agree: ${JSON.stringify(result)}`)
