// `npm start`: the tutorial, run for real. Starts the bundled server on a free port with its data
// in a temporary directory, types the commands of the tutorial one after the other and shows what
// each prints, then cleans up. With --keep the server stays, and the last lines say how to use it.
import { spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { ensureBuilt, ensureInstalled, root } from './prepare.mjs'

const keep = process.argv.includes('--keep')
const isTerminal = process.stdout.isTTY === true
const dim = (text) => (isTerminal ? `\u001b[2m${text}\u001b[22m` : text)
const bold = (text) => (isTerminal ? `\u001b[1m${text}\u001b[22m` : text)
const say = (text) => process.stdout.write(`${text}\n`)

ensureInstalled()
ensureBuilt()

const directory = mkdtempSync(path.join(os.tmpdir(), 'tsctl-tutorial-'))
const tsctl = path.join(root, 'bin/tsctl.js')
const children = new Set()
let endpoint = ''

process.once('SIGINT', () => stop(130))
process.once('SIGTERM', () => stop(143))
try {
  const server = await startServer()
  await tutorial()
  if (keep) keepServing(server)
  else await finish(0)
} catch (error) {
  say(`\nthe tutorial stopped: ${error.message}`)
  await finish(1)
}

async function tutorial() {
  say(`\n${bold('Who is there?')}`)
  await typed('member list --write-out=table')

  say(`\n${bold('Store a key, read it back.')}`)
  await typed('put mykey myvalue')
  await typed('get mykey')

  say(`\n${bold('Watch the key in a second terminal while it changes in the first.')}`)
  await watchThreePuts()

  say(`\n${bold('A lease: its keys live as long as somebody keeps it alive.')}`)
  const granted = await typed('lease grant 60')
  const id = /^lease ([0-9a-f]{16}) granted/.exec(granted)?.[1]
  if (id === undefined) throw new Error(`no lease id in: ${granted}`)
  await typed('lease list')
  await typed(`put mykey myvalue --lease=${id}`)
  await keepAliveOnce(id)
  await typed(`lease revoke ${id}`)
  await typed('get mykey')
  say(dim('(nothing: the key went with its lease)'))

  say(`\n${bold('A lease that runs out takes its keys with it.')}`)
  await leaseRunsOut()

  say(`\n${bold('Save everything into a file.')}`)
  await typed('snapshot save snapshot.db')
}

async function startServer() {
  const listen = '--listen-client-urls http://127.0.0.1:0 --listen-peer-urls http://127.0.0.1:0'
  const words = `server ${listen} --data-dir data --log-level warn`
  say(`${dim('$')} tsctl ${words}`)
  const server = start(words.split(' '), { stderr: 'inherit', detached: keep })
  const line = await server.line((text) => text.startsWith('serving clients on '))
  endpoint = line.slice('serving clients on '.length).trim()
  say(line)
  return server
}

async function watchThreePuts() {
  say(`${dim('second terminal $')} tsctl watch mykey`)
  const watch = start(['watch', 'mykey'])
  // The watch is there once it shows a change; what was changed before that does not count.
  for (let tries = 0; !watch.text().includes('PUT'); tries++) {
    if (tries > 100) throw new Error('the watch shows nothing')
    await quiet(['put', 'mykey', 'ready?'])
  }
  await watch.settled()
  watch.forget()
  for (const value of ['one', 'two', 'three']) await typed(`put mykey ${value}`)
  await watch.line((text) => text === 'three')
  await watch.stop()
  say(dim('second terminal:'))
  say(watch.text().trimEnd())
}

async function keepAliveOnce(id) {
  say(`${dim('$')} tsctl lease keep-alive ${id}`)
  const keeper = start(['lease', 'keep-alive', id])
  say(await keeper.line((text) => text.includes('keepalived')))
  say(dim('(again and again, until it is stopped: ^C)'))
  await keeper.stop()
}

async function leaseRunsOut() {
  const granted = await typed('lease grant 2')
  const id = /^lease ([0-9a-f]{16})/.exec(granted)?.[1]
  await typed(`put session alive --lease=${id}`)
  const [, revision] = /"revision":(\d+)/.exec(await quiet(['get', 'session', '-w', 'json'])) ?? []
  say(`${dim('$')} tsctl watch session --rev ${revision}`)
  const watch = start(['watch', 'session', '--rev', revision])
  await watch.line((text) => text === 'DELETE')
  await watch.stop()
  say(watch.text().trimEnd())
}

/** Shows a command as it is typed, runs it to its end, shows what it prints, and returns that. */
async function typed(words) {
  say(`${dim('$')} tsctl ${words}`)
  const output = await quiet(words.split(' '), { stderr: 'inherit' })
  if (output !== '') say(output.trimEnd())
  return output
}

async function quiet(args, options) {
  const child = start(args, options)
  const code = await child.ended
  if (code !== 0) throw new Error(`tsctl ${args.join(' ')} ended with ${code}`)
  return child.text()
}

/** A tsctl process whose standard output is collected. */
function start(args, { stderr = 'pipe', detached = false } = {}) {
  const child = spawn(process.execPath, [tsctl, ...args], {
    cwd: directory,
    env: { ...process.env, ...(endpoint === '' ? {} : { ETCDCTL_ENDPOINTS: endpoint }) },
    stdio: ['ignore', 'pipe', stderr],
    detached,
  })
  children.add(child)
  let output = ''
  let onOutput = () => {}
  child.stdout.setEncoding('utf8').on('data', (text) => {
    output += text
    onOutput()
  })
  const ended = new Promise((resolve, reject) => {
    child.once('error', reject)
    child.once('close', (code, signal) => {
      children.delete(child)
      resolve(code ?? signal)
      onOutput()
    })
  })
  return {
    child,
    ended,
    text: () => output,
    forget() {
      output = ''
    },
    /** Resolves with the first whole line that fits. */
    line(fits) {
      return new Promise((resolve, reject) => {
        onOutput = () => {
          const found = output.split('\n').slice(0, -1).find(fits)
          if (found !== undefined) resolve(found)
          else if (!children.has(child)) reject(new Error(`tsctl ${args.join(' ')} ended early`))
        }
        onOutput()
      })
    },
    /** Resolves when a whole number of three-line events has been shown. */
    settled() {
      return new Promise((resolve) => {
        onOutput = () => {
          if ((output.split('\n').length - 1) % 3 === 0) resolve()
        }
        onOutput()
      })
    },
    async stop() {
      child.kill('SIGINT')
      await ended
    },
  }
}

function keepServing({ child }) {
  say(`\n${bold('The server goes on.')} Talk to it:`)
  say(`  export ETCDCTL_ENDPOINTS=${endpoint}`)
  say(`  node ${path.relative(process.cwd(), tsctl) || tsctl} get --prefix ''`)
  say(`Stop it with: kill ${child.pid}   (its data is in ${directory})`)
  child.stdout.destroy()
  child.unref()
}

async function finish(code) {
  for (const child of children) child.kill('SIGTERM')
  await Promise.all([...children].map((child) => new Promise((end) => child.once('close', end))))
  rmSync(directory, { recursive: true, force: true })
  process.exitCode = code
}

function stop(code) {
  for (const child of children) child.kill('SIGKILL')
  rmSync(directory, { recursive: true, force: true })
  process.exit(code)
}
