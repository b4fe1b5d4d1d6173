// snapshot-files.ts: what is done with a snapshot of a gigabyte: saved from an etcd that holds it,
// looked into, verified, restored. Memory has to stay flat whatever the size, so the peak of each
// command stands beside that of a command that does nothing.
import { rmSync } from 'node:fs'
import path from 'node:path'
import { writeBigSnapshot } from '../scripts/big-snapshot.js'
import { compared } from './figures.js'
import { type Bench, sideBySide } from './parts.js'
import { clientEnv, etcdctl, measured, type Program, tsctl } from './processes.js'
import { etcd, startServer } from './servers.js'

const snapshotBytes = 1e9
const env = clientEnv(0)

export async function snapshotFiles(bench: Bench): Promise<void> {
  const { dir, print } = bench
  const file = path.join(dir, 'big.db')
  await writeBigSnapshot(file, snapshotBytes)
  await sideBySide('snapshot status of 1 GB', print, {
    goals: { wall: 1, peak: undefined },
    measure: (program) => measured(program, ['snapshot', 'status', file], { env }),
  })
  await sideBySide('snapshot restore of 1 GB', print, {
    goals: { wall: 1, peak: undefined },
    measure: (program) => restored(program, file, path.join(dir, 'restored')),
  })
  await verifyAlone(bench, file)
  await saveBig(bench, file)
  rmSync(file)
}

async function restored(program: Program, file: string, dataDir: string) {
  rmSync(dataDir, { recursive: true, force: true })
  const words = ['snapshot', 'restore', file, `--data-dir=${dataDir}`]
  return await measured(program, words, { env })
}

/** etcdctl cannot verify; its check of the pages is what comes next to it. */
async function verifyAlone({ print }: Bench, file: string): Promise<void> {
  const idle = await measured(tsctl, ['version'], { env })
  const ours = await measured(tsctl, ['snapshot', 'verify', file], { env })
  const theirs = await measured(etcdctl, ['snapshot', 'status', file], { env })
  const sides = [
    { name: 'tsctl', samples: [ours.wallMs] },
    { name: 'etcdctl status', samples: [theirs.wallMs] },
  ] as const
  print(compared('snapshot verify of 1 GB', ...sides, { digits: 0, unit: 'ms' }))
  const peaks = [ours, idle].map(({ peakBytes }) => (peakBytes / 2 ** 20).toFixed(0))
  print(`  (its peak memory is ${peaks[0]} MiB, where tsctl version has ${peaks[1]})`)
}

/** From a real etcd, on a directory that etcdctl restored. */
async function saveBig({ dir, print }: Bench, file: string): Promise<void> {
  const dataDir = path.join(dir, 'served')
  await restored(etcdctl, file, dataDir)
  type At = Parameters<typeof etcd.args>[0]
  const there = { ...etcd, args: (at: At) => etcd.args({ ...at, dataDir }) }
  await using server = await startServer(there)
  await sideBySide('snapshot save of 1 GB from etcd', print, {
    goals: { wall: 1, peak: undefined },
    measure: async (program) => {
      const target = path.join(dir, 'saved.db')
      const run = await measured(program, ['snapshot', 'save', target], {
        env: clientEnv(server.port),
      })
      rmSync(target)
      return run
    },
  })
  rmSync(dataDir, { recursive: true })
}
