// load.ts: holds a thousand watchers and ten thousand leases while a hundred thousand writes pass,
// checks that every watcher was told everything, once and in order, and prints what it cost: for
// the bundled server as a process of its own, beside a real etcd where one is installed.
//
//     npx tsx scripts/load.ts [--watchers 1000] [--leases 10000] [--writes 100000] [--heap]
//
// Processor time is the server's alone. What a phase leaves behind is compacted, and the memory
// that is resident then is held against that after a small store was compacted at the start. With
// --heap the server runs in this process and its memory is counted in objects that are reachable:
// what is resident also holds what no collection has looked at yet.
import { setTimeout } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { compared, lineText } from '../bench/figures.js'
import { isInstalled, residentBytes } from '../bench/processes.js'
import { bundledServer, etcd, startServer } from '../bench/servers.js'
import { startEmbedded } from '../test/support/embedded.js'
import { type Figures, type Load, measureLoad } from '../test/support/load-phases.js'

/** As long as a server gets to give memory back: V8 looks for garbage after 8 idle seconds. */
const restMs = 15_000

const { values } = parseArgs({
  options: {
    watchers: { type: 'string', default: '1000' },
    leases: { type: 'string', default: '10000' },
    writes: { type: 'string', default: '100000' },
    heap: { type: 'boolean', default: false },
  },
})
const print = (line: string): void => void process.stdout.write(`${line}\n`)
const load: Load = {
  watchers: Number(values.watchers),
  leases: Number(values.leases),
  writes: Number(values.writes),
}

async function measured(kind: typeof etcd): Promise<Figures> {
  await using server = await startServer(kind)
  const { name, port, pid } = server
  const memoryBytes = async () => {
    await setTimeout(restMs)
    return residentBytes(pid)
  }
  return await measureLoad({ port, pid, memoryBytes }, load, (line) => print(`${name}: ${line}`))
}

/** Here the processor time is that of both ends, so that only the memory says anything. */
async function measuredHeap(): Promise<void> {
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('gc') as () => void
  await using server = await startEmbedded()
  const memoryBytes = async () => {
    collect()
    await setTimeout(100) // what was collected may have handles, which go a little later
    collect()
    const { heapUsed, external } = process.memoryUsage()
    return heapUsed + external
  }
  const { port } = server
  const figures = await measureLoad({ port, pid: process.pid, memoryBytes }, load, print)
  for (const what of ['memory after the first compaction', 'memory after the last compaction']) {
    print(`${what}: ${figures[what]?.value.toFixed(1)} MiB in use`)
  }
}

async function measuredSideBySide(): Promise<void> {
  const ours = await measured(bundledServer)
  const theirs = isInstalled('etcd') ? await measured(etcd) : undefined
  if (theirs === undefined) print('etcd is not installed: nothing to compare with')
  for (const [what, { value, digits, unit }] of Object.entries(ours)) {
    const other = theirs?.[what]?.value
    if (other === undefined) print(`${what.padEnd(44)} ${value.toFixed(digits)} ${unit}`)
    else {
      const us = { name: 'tsctl', samples: [value] }
      const them = { name: 'etcd', samples: [other] }
      print(lineText(compared(what, us, them, { digits, unit })))
    }
  }
}

await (values.heap ? measuredHeap() : measuredSideBySide())
