// split.mjs: the command line tool as two bundles, because V8 reads the whole compiled form of a
// file at every start: tsctl.cjs is what the commonest commands run, rare.cjs all the rest.
//
//   tsctl.cjs   import() of a rare module      ──►  require('./rare.cjs')['src/commands/txn.ts']
//   rare.cjs    import of a module of tsctl    ──►  require('./tsctl.cjs').common['src/main.ts']
//
// A module is in one of the two, so that its classes and its state are there once. Codecs hold no
// state: each bundle has those that it uses.
import path from 'node:path'
import { build } from 'esbuild'

/** Modules that are loaded late and yet are common. What they import is common, too. */
const commonLate = [
  ...['get', 'put', 'del', 'version'].map((name) => `src/commands/${name}.ts`),
  'src/connection/connect.ts',
  'src/connection/codecs-kv.ts',
  'src/output/format.ts',
]

const isCodec = (name) => name.startsWith('src/api/gen/')

/** Builds both into `outdir`. `options` are esbuild's, the same for both. */
export async function buildTool({ root, outdir, options }) {
  const rare = new Set()
  const needed = new Set()
  const common = (outfile, contents) =>
    build({
      ...options,
      ...outfile,
      stdin: { contents, resolveDir: root },
      plugins: [...options.plugins, rareApart(root, rare)],
      metafile: true,
    })
  const main = "export * from './src/main.ts'\n"
  const { metafile } = await common({ write: false }, main)
  const inputs = new Set(Object.keys(metafile.inputs).filter((name) => !isCodec(name)))
  await build({
    ...options,
    outfile: path.join(outdir, 'rare.cjs'),
    stdin: { contents: `module.exports = ${lateRequires(rare)}`, resolveDir: root },
    plugins: [...options.plugins, commonApart(root, inputs, needed)],
  })
  const outfile = { outfile: path.join(outdir, 'tsctl.cjs') }
  await common(outfile, `${main}export const common = ${lateRequires(needed)}`)
}

/** An object of the modules by their names; each is run when it is asked for. */
function lateRequires(names) {
  const getters = [...names].map((name) => `get '${name}'() { return require('./${name}') }`)
  return `{ ${getters.join(', ')} }`
}

/** Notes in `rare` what is imported late and is not common, and takes it from rare.cjs. */
function rareApart(root, rare) {
  return {
    name: 'rare-apart',
    setup(context) {
      onModule(context, root, ({ name, kind }) => {
        if (kind !== 'dynamic-import' || commonLate.includes(name)) return undefined
        rare.add(name)
        return standIn(name, 'rare')
      })
      from(context, 'rare', (name) => `require('./rare.cjs')['${name}']`)
    },
  }
}

/** Notes in `needed` which of the common modules are imported, and takes them from tsctl.cjs. */
function commonApart(root, common, needed) {
  return {
    name: 'common-apart',
    setup(context) {
      onModule(context, root, ({ name }) => {
        if (!common.has(name)) return undefined
        needed.add(name)
        return standIn(name, 'common')
      })
      from(context, 'common', (name) => `require('./tsctl.cjs').common['${name}']`)
    },
  }
}

/** Asks `decide` about each module that is imported, by its path in the project. */
function onModule(context, root, decide) {
  context.onResolve({ filter: /.*/ }, async ({ path: id, pluginData, ...at }) => {
    if (pluginData === 'resolved' || at.kind === 'entry-point') return undefined
    if (at.namespace !== 'file' && at.namespace !== '') return undefined
    const { importer, kind, resolveDir } = at
    const found = await context.resolve(id, { importer, kind, resolveDir, pluginData: 'resolved' })
    if (found.external || found.namespace !== 'file') return found
    return decide({ name: path.relative(root, found.path), kind }) ?? found
  })
}

function from(context, namespace, expression) {
  context.onResolve({ filter: /^\.\/(rare|tsctl)\.cjs$/, namespace }, ({ path: id }) => {
    return { path: id, external: true }
  })
  context.onLoad({ filter: /.*/, namespace }, ({ pluginData: name }) => {
    return { contents: `module.exports = ${expression(name)}`, loader: 'js' }
  })
}

/** A module that stands for another. It is CommonJS, even for one that is called x.mjs. */
const standIn = (name, namespace) => ({ path: `${name}.cjs`, namespace, pluginData: name })
