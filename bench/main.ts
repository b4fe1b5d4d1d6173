// main.ts: the benchmarks, side by side with etcd and etcdctl (`npm run bench`). Words choose
// parts: `npm run bench -- get server`. Nothing here can fail a test; what cannot be compared,
// because etcd is not installed, is skipped and says so.
import { mkdtempSync, rmSync } from 'node:fs'
import { cpus, tmpdir } from 'node:os'
import path from 'node:path'
import { clusterLoad } from './cluster.js'
import { fill } from './dataset.js'
import { lineText, type Print } from './figures.js'
import {
  type Bench,
  coldGet,
  largeGet,
  largeKeys,
  manyPuts,
  serverLoad,
  serverStart,
  snapshotSave,
  watchEvents,
} from './parts.js'
import { isInstalled } from './processes.js'
import { bundledServer, startServer } from './servers.js'
import { snapshotFiles } from './snapshot-files.js'

interface Part {
  run(bench: Bench): Promise<void>
  needsEtcd: boolean
}

const parts: Readonly<Record<string, Part>> = {
  get: { run: coldGet, needsEtcd: false },
  server: { run: serverLoad, needsEtcd: true },
  cluster: { run: clusterLoad, needsEtcd: true },
  start: { run: serverStart, needsEtcd: true },
  puts: { run: manyPuts, needsEtcd: true },
  large: { run: largeGet, needsEtcd: true },
  watch: { run: watchEvents, needsEtcd: true },
  snapshot: { run: snapshotSave, needsEtcd: true },
  files: { run: snapshotFiles, needsEtcd: true },
}

async function main(words: readonly string[]): Promise<void> {
  const unknown = words.find((word) => parts[word] === undefined)
  if (unknown !== undefined) {
    console.error(`no part is called ${unknown}; there are: ${Object.keys(parts).join(', ')}`)
    process.exitCode = 1
    return
  }
  const hasEtcd = isInstalled('etcd') && isInstalled('etcdctl')
  const dir = mkdtempSync(path.join(tmpdir(), 'tsctl-bench-files-'))
  try {
    await using server = await startServer(bundledServer)
    const print: Print = (line) => console.log(typeof line === 'string' ? line : lineText(line))
    let filling: Promise<void> | undefined
    const needLargeKeys = () => {
      filling ??= fill(server.port, largeKeys)
      return filling
    }
    const bench: Bench = { hasEtcd, dir, server, needLargeKeys, print }
    print(`Node ${process.version}, ${cpus().length} processors, data in ${tmpdir()}`)
    print('Figures are medians (smallest-largest); x is the first divided by the second.')
    for (const name of words.length > 0 ? words : Object.keys(parts)) {
      const part = parts[name]
      if (part === undefined) continue
      if (part.needsEtcd && !hasEtcd) print(`${name}: SKIPPED, etcd and etcdctl are not installed`)
      else await runPart(name, part, bench)
    }
  } finally {
    rmSync(dir, { recursive: true, force: true })
  }
}

/** A part that fails says so, and the others still run. */
async function runPart(name: string, part: Part, bench: Bench): Promise<void> {
  try {
    await part.run(bench)
  } catch (error) {
    bench.print(`${name}: FAILED, ${(error as Error).message}`)
    process.exitCode = 1
  }
}

await main(process.argv.slice(2))
