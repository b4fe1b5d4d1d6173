// golden.ts: refreshes the recorded transcripts of a real etcdctl under fixtures/golden/.
//
// The recordings are kept beside the project, in ../shared/golden, one folder a version. When that
// folder is not there, nothing is done: the copies in fixtures/ are all that the tests need.

import { existsSync } from 'node:fs'
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const project = dirname(dirname(fileURLToPath(import.meta.url)))
const recorded = join(project, '..', 'shared', 'golden')
const kept = join(project, 'fixtures', 'golden')

const origin = (version: string): string =>
  `Recorded runs of a real ${version.replace('-', ' ')} client against servers of that version.
Copied by \`npx tsx scripts/golden.ts\`; README.md describes the servers, the cases and the remarks.
Facts, not expectations of this project: where 3.7 differs, the case says so in differs_3_7.
`

async function refresh(version: string): Promise<void> {
  const target = join(kept, version)
  await mkdir(target, { recursive: true })
  const files = await readdir(join(recorded, version))
  // Not copyFile: it would take over that the recordings are read-only.
  for (const file of files) {
    await writeFile(join(target, file), await readFile(join(recorded, version, file)))
  }
  await writeFile(join(target, 'ORIGIN'), origin(version))
  process.stdout.write(`${version}: ${files.length} files\n`)
}

if (existsSync(recorded)) {
  for (const version of await readdir(recorded)) await refresh(version)
} else {
  process.stdout.write(`no recordings at ${recorded}, nothing to refresh\n`)
}
