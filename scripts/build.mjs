// build.mjs: makes dist/ from src/. Plain JavaScript, so that it runs with node alone.
//
//   tsctl.cjs            what the commonest commands need
//   rare.cjs             the other commands; split.mjs says how the two hang together
//   server.cjs           the whole tool with the server, for `tsctl server` and `tsctl run`
//   *.cache              V8's compiled form of a file, for the Node that builds
//   chalk.cjs, ...       packages that few commands need
//   index.js, types/     the library (types only for a package: `--types`, or npm pack)
//   LICENSES.txt         those of packages that are bundled (only for a package)
//   library.js           the server for programs and tests, worker.js for one in its own thread;
//                        vitest.js, jest.js and node-test.js beside it; library.cjs and jest.cjs
//                        for those that require()
//
// How a `get` starts is what the form was chosen by. Processor time of whole processes, smallest
// of 25 runs, where `node -e 0` takes 61 ms and 20 lines of node:http2 by hand take 79:
//
//   one CommonJS file                      112 ms
//   the same with a code cache              93      chosen; 90 with lazy builtins
//   split into chunks, CommonJS            116      27 files to find and read
//   split into chunks with a code cache     93      a short `version` gains 6 ms, a `get` nothing
//   ES modules instead of CommonJS          +4      the loader
//
// Minified, because a cache that is refused (another V8) means that all of it is parsed.
import { spawnSync } from 'node:child_process'
import { once } from 'node:events'
import fs from 'node:fs'
import http2 from 'node:http2'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { PassThrough, Readable } from 'node:stream'
import vm from 'node:vm'
import { build } from 'esbuild'
import { licenses } from './licenses.mjs'
import { buildTool } from './split.mjs'

const root = path.join(import.meta.dirname, '..')
const dist = path.join(root, 'dist')
/** Where the build puts things first, so that a running tsctl never meets half of a build. */
const next = path.join(dist, `.next-${process.pid}`)

/**
 * Builtins that most commands never use, though something they import names them: loaded at the
 * first use of a name instead. Saves a `get` 3 ms of start-up.
 */
const lazyBuiltins = {
  name: 'lazy-builtins',
  setup(context) {
    const names = /^(node:)?(child_process|crypto|fs\/promises|https?|tls)$/
    context.onResolve({ filter: names }, ({ path: name, namespace }) => {
      if (namespace === 'lazy') return { path: name, external: true }
      return { path: name.replace('node:', ''), namespace: 'lazy' }
    })
    context.onLoad({ filter: /.*/, namespace: 'lazy' }, async ({ path: name }) => {
      const keys = Object.keys(await import(`node:${name}`)).filter((key) => key !== 'default')
      const getters = keys.map((key) => `get ${key}() { return require('node:${name}').${key} }`)
      return { contents: `module.exports = { ${getters.join(', ')} }`, loader: 'js' }
    })
  },
}

/** The door of this package brings along what generated code does not use, some 20 KB. */
const wireAlone = {
  name: 'wire-alone',
  setup(context) {
    context.onResolve({ filter: /^@bufbuild\/protobuf\/wire$/ }, async () => {
      const wire = await context.resolve('./binary-encoding.js', {
        kind: 'import-statement',
        resolveDir: path.join(root, 'node_modules/@bufbuild/protobuf/dist/esm/wire'),
      })
      return { ...wire, sideEffects: false }
    })
  },
}

/** Packages that few commands need, each a bundle of its own. */
const rarePackages = ['chalk', 'cli-table3', 'ora', 'yaml']

const packagesApart = {
  name: 'packages-apart',
  setup(context) {
    context.onResolve({ filter: new RegExp(`^(${rarePackages.join('|')})$`) }, ({ path: name }) => {
      return { path: `./${name}.cjs`, external: true }
    })
  },
}

/** One such package as CommonJS: the default export, with the others as its properties. */
function packageBundle(name) {
  const contents = `const all = require('${name}')
    module.exports = Object.assign(all.default ?? all, all)`
  const stdin = { contents, resolveDir: root }
  return build({ ...commonJs, stdin, outfile: path.join(next, `${name}.cjs`) })
}

/** The server is a bundle of its own: what `get` never runs, it must not read. */
const serverApart = {
  name: 'server-apart',
  setup(context) {
    context.onResolve({ filter: /^\.\/server\.js$/ }, ({ importer }) => {
      if (path.basename(importer) !== 'table.ts') return undefined
      return { path: './server.cjs', external: true }
    })
  },
}

const common = {
  absWorkingDir: root,
  bundle: true,
  platform: 'node',
  target: 'node20',
  minify: true,
  legalComments: 'none',
  logLevel: 'warning',
}

/** import() of what is in the bundle becomes a function call, of server.cjs a require. */
const commonJs = { ...common, format: 'cjs', supported: { 'dynamic-import': false } }

/** Bundled CommonJS packages ask for builtins by require(), which an ES module does not have. */
const requireInModule =
  "import { createRequire } from 'node:module';" + 'const require = createRequire(import.meta.url);'

/** Packages that the user has to have: a client for the library, the test runner of a test. */
const usersPackages = {
  name: 'users-packages',
  setup(context) {
    context.onResolve({ filter: /^(etcd3|vitest)$/ }, ({ path: name }) => {
      return { path: name, external: true }
    })
  },
}

/** What stands on the library shares the one that is there. */
const libraryApart = (extension) => ({
  name: 'library-apart',
  setup(context) {
    context.onResolve({ filter: /^\.\/(server\/library\/)?library\.js$/ }, () => {
      return { path: `./library.${extension}`, external: true }
    })
  },
})

/** Where a CommonJS bundle is: an ES module knows it by import.meta. */
const importMetaUrl = {
  define: { 'import.meta.url': 'moduleUrl' },
  banner: { js: "const moduleUrl = require('url').pathToFileURL(__filename).href;" },
}

/** The server as a library, and what test runners need of it. */
function doorBundles() {
  const esm = { ...common, format: 'esm', banner: { js: requireInModule } }
  const cjs = { ...commonJs, ...importMetaUrl }
  const entry = (name, options, plugins) => {
    const extension = options.format === 'esm' ? 'js' : 'cjs'
    const outfile = path.join(next, `${name}.${extension}`)
    return build({ ...options, entryPoints: [`src/server/library/${name}.ts`], outfile, plugins })
  }
  return [
    entry('library', esm, [usersPackages]),
    entry('library', cjs, [usersPackages]),
    ...['worker', 'vitest', 'jest', 'node-test'].map((name) =>
      entry(name, esm, [usersPackages, libraryApart('js')]),
    ),
    entry('jest', commonJs, [usersPackages, libraryApart('cjs')]),
  ]
}

/** Exports what both bin/tsctl.js and the table of commands ask for. */
const toolWithServer = `export * from './src/main.ts'
  export * from './src/commands/server.ts'`

async function bundle() {
  await Promise.all([
    ...doorBundles(),
    buildTool({
      root,
      outdir: next,
      options: { ...commonJs, plugins: [lazyBuiltins, serverApart, packagesApart, wireAlone] },
    }),
    ...rarePackages.map(packageBundle),
    build({
      ...commonJs,
      stdin: { contents: toolWithServer, resolveDir: root },
      outfile: path.join(next, 'server.cjs'),
      plugins: [lazyBuiltins, packagesApart, wireAlone, usersPackages],
      ...importMetaUrl,
    }),
    build({
      ...common,
      entryPoints: ['src/index.ts'],
      outfile: path.join(next, 'index.js'),
      format: 'esm',
      banner: { js: requireInModule },
      plugins: [libraryApart('js')],
    }),
  ])
}

/**
 * Compiles the bundles as bin/tsctl.js does and runs the commonest commands in them, so that the
 * functions they need are compiled when the caches are taken.
 */
async function cacheCode() {
  const loaded = new Map()
  const { createRequire } = await import('node:module')
  const requireBuiltin = createRequire(path.join(next, 'tsctl.cjs'))
  const load = (id) => {
    if (!/^\.\/(tsctl|rare|server)\.cjs$/.test(id)) return requireBuiltin(id)
    if (!loaded.has(id)) loaded.set(id, compiled(path.join(next, id), load))
    return loaded.get(id).exports
  }
  const tool = load('./tsctl.cjs')
  await warmUp(tool)
  const stopServer = await warmUpServer(load('./server.cjs'), tool)
  for (const { file, script } of loaded.values()) {
    fs.writeFileSync(`${file}.${process.versions.v8}.cache`, script.createCachedData())
  }
  await stopServer()
}

function compiled(file, load) {
  const text = fs.readFileSync(file, 'latin1')
  const source = `(function (exports, require, module, __filename) {${text}\n})`
  const script = new vm.Script(source, { filename: file })
  const module = { exports: {} }
  script.runInThisContext()(module.exports, load, module, file)
  return { file, script, exports: module.exports }
}

async function warmUp(tool) {
  const { endpoint, close } = await standIn()
  const common = ['version', 'get k', 'put k v', 'del k', 'get k -w json']
  const rare = ['member list', 'lease list', 'lease grant 1', 'get k -w fields', 'txn']
  for (const line of [...common, ...rare]) {
    await run(tool, `${line} --endpoints ${endpoint}`, { stdout: new PassThrough() })
  }
  await close()
}

/** Starts a server and writes one key. It is stopped by the function returned. */
async function warmUpServer(server, tool) {
  const dir = fs.mkdtempSync(path.join(tmpdir(), 'tsctl-build-'))
  const stdout = new PassThrough({ encoding: 'utf8' })
  let interrupt = () => undefined
  const onInterrupt = (callback) => {
    interrupt = callback
    return () => undefined
  }
  const at = `--data-dir=${path.join(dir, 'data')} --listen-client-urls=http://127.0.0.1:0`
  const line = `server ${at} --listen-peer-urls= --log-level=warn`
  const running = run(server, line, { stdout, onInterrupt })
  const [text] = await Promise.race([once(stdout, 'data'), running])
  const endpoint = text.trim().split(' ').at(-1)
  await run(tool, `put k v --endpoints ${endpoint}`, { stdout: new PassThrough() })
  return async () => {
    interrupt('SIGINT')
    await running
    fs.rmSync(dir, { recursive: true })
  }
}

async function run({ main, processIo }, line, io) {
  const stderr = new PassThrough()
  const stdin = Readable.from([Buffer.from('\n\n\n')])
  const given = { leavesConnections: false, stdin, stderr, env: {}, ...io }
  const code = await main(line.split(' '), { ...processIo(), ...given })
  if (code !== 0) throw new Error(`${line} exits with ${code}: ${stderr.read()}`)
}

/**
 * Puts what was built in its place. V8 knows the text that a cache is for by nothing but its
 * length, so the old cache goes before the new text comes, and the new cache comes last.
 */
function publish() {
  for (const name of fs.readdirSync(dist)) {
    if (name.endsWith('.cache')) fs.rmSync(path.join(dist, name))
  }
  const names = fs.readdirSync(next).sort((a, b) => a.length - b.length)
  for (const name of names) fs.renameSync(path.join(next, name), path.join(dist, name))
  fs.rmSync(next, { recursive: true })
}

/** Answers every call with one message that RangeResponse and PutResponse both understand. */
async function standIn() {
  const header = [0x0a, 0x02, 0x18, 0x01] // header { revision: 1 }
  const message = Buffer.from([0, 0, 0, 0, header.length, ...header])
  const server = http2.createServer()
  server.on('stream', (stream) => {
    stream.respond(
      { ':status': 200, 'content-type': 'application/grpc' },
      { waitForTrailers: true },
    )
    stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }))
    stream.resume()
    stream.on('end', () => stream.end(message))
  })
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    endpoint: `127.0.0.1:${server.address().port}`,
    close: () => new Promise((resolve) => server.close(resolve)),
  }
}

function declareTypes() {
  const tsc = path.join(root, 'node_modules', 'typescript', 'bin', 'tsc')
  const project = path.join(import.meta.dirname, 'types.tsconfig.json')
  // Those of files that have moved since would go into the package, too.
  fs.rmSync(path.join(dist, 'types'), { recursive: true, force: true })
  const { status } = spawnSync(process.execPath, [tsc, '-p', project], { stdio: 'inherit' })
  if (status !== 0) throw new Error('the declarations of the library could not be written')
}

try {
  await bundle()
  await cacheCode()
  publish()
} finally {
  fs.rmSync(next, { recursive: true, force: true })
}
if (process.argv.includes('--types') || process.env.npm_lifecycle_event === 'prepack') {
  declareTypes()
  fs.writeFileSync(path.join(dist, 'LICENSES.txt'), await licenses())
}
fs.chmodSync(path.join(root, 'bin', 'tsctl.js'), 0o755)
