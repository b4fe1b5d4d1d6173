#!/usr/bin/env node
// tsctl.js: loads the bundle and sets the exit code, nothing else. CommonJS, because the loader of
// ES modules alone costs a short command a tenth of its time. The code cache that the build left
// beside each bundle saves compiling it; another version of V8 refuses the cache and compiles.
'use strict'
const fs = require('node:fs')
const path = require('node:path')

const dist = path.join(__dirname, '..', 'dist')

/** What the bundles export, by file name: one asks for another. */
const loaded = {}

function load(name) {
  const file = path.join(dist, name)
  const cachedData = readIfThere(`${file}.${process.versions.v8}.cache`)
  if (cachedData === undefined) {
    require('node:module').enableCompileCache?.() // Node 22.8 keeps a cache of its own
    return require(file)
  }
  const { Script } = require('node:vm')
  // The wrapper must be the one that the build compiled with: the cache is for that text.
  const text = fs.readFileSync(file, 'latin1')
  const source = `(function (exports, require, module, __filename) {${text}\n})`
  const module = { exports: {} }
  const run = new Script(source, { filename: file, cachedData }).runInThisContext()
  run(module.exports, requireBeside, module, file)
  return module.exports
}

function requireBeside(id) {
  if (!id.startsWith('./')) return require(id)
  loaded[id] ??= load(id)
  return loaded[id]
}

function readIfThere(file) {
  try {
    return fs.readFileSync(file)
  } catch {
    return undefined
  }
}

// Under the name of etcd, by a link, it is what etcd is.
const name = path.basename(process.argv[1], '.js')
const named = name === 'etcd' ? ['server'] : []
// The bundle of the server has the tool in it: who needs the server (completion: its flags, beside
// those of all other commands) reads one file.
const needsServer = named.length > 0 || /^(server|run|completion)$/.test(process.argv[2])
const { main, endProcess, processIo, processWords } = requireBeside(
  needsServer ? './server.cjs' : './tsctl.cjs',
)
const words = processWords()
takeName()
main([...named, ...words], processIo()).then(endProcess)

/** So that `pkill etcdctl` and `pgrep -f '^etcd'` find it among all that is called node. */
function takeName() {
  if (name === 'etcd') process.title = ['etcd', ...process.argv.slice(2)].join(' ')
  if (process.platform !== 'linux') return
  try {
    fs.writeFileSync('/proc/self/comm', name) // after the title, which sets it, too
  } catch {
    // It goes by the name of node then.
  }
}
