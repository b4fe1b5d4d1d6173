// cluster.ts: three members on this machine, ours against etcd's: puts with many in flight and one
// after the other, sent to the leader. A put counts when two of three disks have it.
import { execFile } from 'node:child_process'
import path from 'node:path'
import { promisify } from 'node:util'
import {
  leaderOf,
  type ProcessCluster,
  type Program,
  startProcessCluster,
} from '../test/support/cluster.js'
import { compared } from './figures.js'
import type { LoadResult } from './load.js'
import type { Bench } from './parts.js'

const run = promisify(execFile)
const seconds = 2
const rounds = 3

const loads = [
  { name: 'put to three members, 128 in flight', inFlight: 128, connections: 8 },
  { name: 'put to three members, one at a time', inFlight: 1, connections: 1 },
] as const

export async function clusterLoad({ print }: Bench): Promise<void> {
  await using ours = await start('tsctl')
  await using theirs = await start('etcd')
  for (const { name, ...load } of loads) {
    const results: { ours: LoadResult; theirs: LoadResult }[] = []
    for (const cluster of [ours, theirs]) await puts(cluster, load) // warms both up
    for (let i = 0; i < rounds; i++) {
      results.push({ ours: await puts(ours, load), theirs: await puts(theirs, load) })
    }
    const sides = (figure: (result: LoadResult) => number) =>
      [
        { name: 'tsctl', samples: results.map((each) => figure(each.ours)) },
        { name: 'etcd', samples: results.map((each) => figure(each.theirs)) },
      ] as const
    const time = { digits: 2, unit: 'ms' }
    print(compared(name, ...sides(rateOf), { digits: 0, unit: '/s' }))
    print(compared(`${name}: latency, median`, ...sides(({ p50Ms }) => p50Ms), time))
    print(compared(`${name}: latency, 99 of 100`, ...sides(({ p99Ms }) => p99Ms), time))
  }
}

const rateOf = ({ calls, seconds }: LoadResult): number => calls / seconds

/** With the defaults of both: every member syncs its log. */
function start(program: Program): Promise<ProcessCluster> {
  return startProcessCluster({
    programs: [program, program, program],
    ownFlags: ['--log-level=warn'],
  })
}

async function puts(
  cluster: ProcessCluster,
  { inFlight, connections }: { inFlight: number; connections: number },
): Promise<LoadResult> {
  const leader = await leaderOf(cluster.members)
  const generator = path.join(import.meta.dirname, 'load.ts')
  const port = new URL(leader.clientUrl).port
  const settings = [port, 'put', seconds, inFlight, connections].map(String)
  const { stdout } = await run(process.execPath, ['--import', 'tsx', generator, ...settings])
  return JSON.parse(stdout) as LoadResult
}
