// licenses.mjs: the licenses of what the bundles take in from other packages. Each of these asks
// for its text and its copyright line to go along with every copy, and minifying drops both, so
// the package has them in dist/LICENSES.txt. Prints them when it is run.
import fs from 'node:fs'
import path from 'node:path'
import { build } from 'esbuild'

const root = path.join(import.meta.dirname, '..')

/** Together they reach all that is bundled. */
const entryPoints = [
  ...['src/main.ts', 'src/index.ts', 'src/commands/server.ts'],
  ...['worker', 'vitest', 'jest', 'node-test'].map((name) => `src/server/library/${name}.ts`),
]

/** What the user has to have is no part of a bundle; of etcd3 the clients alone are. */
const usersPackages = {
  name: 'users-packages',
  setup(context) {
    context.onResolve({ filter: /^(etcd3|vitest)$/ }, ({ path: name }) => {
      return { path: name, external: true }
    })
  },
}

/** @throws Error when a package that is bundled says nothing of its license */
export async function licenses() {
  const folders = new Map()
  for (const file of await bundledFiles()) {
    // Of nested packages the innermost: node_modules/a/node_modules/@b/c/index.js.
    const folder = /^(.*node_modules\/(?:@[^/]+\/)?[^/]+)\//.exec(file)?.[1]
    if (folder !== undefined) folders.set(folder, [...(folders.get(folder) ?? []), file])
  }
  const parts = [...folders].sort().map(([folder, used]) => licenseOf(folder, used))
  return `tsctl contains parts of these packages.\n\n${parts.join(`\n\n${'-'.repeat(78)}\n\n`)}\n`
}

async function bundledFiles() {
  const { metafile } = await build({
    ...{ absWorkingDir: root, entryPoints, outdir: 'dist', plugins: [usersPackages] },
    ...{ bundle: true, platform: 'node', target: 'node20', format: 'esm' },
    ...{ write: false, metafile: true, logLevel: 'warning' },
  })
  const used = Object.values(metafile.outputs).flatMap(({ inputs }) => Object.entries(inputs))
  const names = used.filter(([, { bytesInOutput }]) => bytesInOutput > 0).map(([name]) => name)
  return [...new Set(names)].sort()
}

function licenseOf(folder, used) {
  const read = (file) => fs.readFileSync(path.join(root, file), 'utf8')
  const { name, version, license } = JSON.parse(read(`${folder}/package.json`))
  const file = fs.readdirSync(path.join(root, folder)).find((each) => /^licen[cs]e/i.test(each))
  const text = file === undefined ? headsOf(used.map(read)) : read(`${folder}/${file}`).trim()
  if (text === '') throw new Error(`${name} ${version} is bundled and has no text of a license`)
  return `${name} ${version}: ${license}\n\n${text}`
}

/** Comments at the beginning of files, where they say whose these are. */
function headsOf(texts) {
  const heads = texts.map((text) => /^(\/\/.*\n)+/.exec(text)?.[0].trim() ?? '')
  return [...new Set(heads)].filter((head) => head.includes('Copyright')).join('\n\n')
}

if (process.argv[1] === import.meta.filename) process.stdout.write(await licenses())
