// load.ts: holds a thousand watchers and ten thousand leases while a hundred thousand writes pass,
// checks that every watcher was told everything, once and in order, and prints what it cost: for
// the bundled server as a process of its own, beside a real etcd where one is installed.
//
//     npx tsx scripts/load.ts [--watchers 1000] [--leases 10000] [--writes 100000]
//
// Processor time is the server's alone. What a phase leaves behind is compacted, and the memory
// that is resident then is held against that after a small store was compacted at the start.
import { parseArgs } from 'node:util'
import { compared, lineText } from '../bench/figures.js'
import { isInstalled } from '../bench/processes.js'
import { bundledServer, etcd, startServer } from '../bench/servers.js'
import { type Figures, type Load, measureLoad } from '../test/support/load-phases.js'

const { values } = parseArgs({
  options: {
    watchers: { type: 'string', default: '1000' },
    leases: { type: 'string', default: '10000' },
    writes: { type: 'string', default: '100000' },
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
  return await measureLoad(server, load, (line) => print(`${server.name}: ${line}`))
}

const ours = await measured(bundledServer)
if (isInstalled('etcd')) {
  const theirs = await measured(etcd)
  for (const [what, { value, digits, unit }] of Object.entries(ours)) {
    const line = compared(
      what,
      { name: 'tsctl', samples: [value] },
      { name: 'etcd', samples: [theirs[what]?.value ?? Number.NaN] },
      { digits, unit },
    )
    print(lineText(line))
  }
} else {
  print('etcd is not installed: nothing to compare with')
  for (const [what, { value, digits, unit }] of Object.entries(ours)) {
    print(`${what.padEnd(40)} ${value.toFixed(digits)} ${unit}`)
  }
}
