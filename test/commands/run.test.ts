// run -- command: the command finds a server, gets our signals, and its end is ours.
import { watch } from 'node:fs'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { UsageError } from '../../src/commands/context.js'
import { runOptions } from '../../src/commands/run.js'
import { startEmbedded } from '../support/embedded.js'
import { runTsctl } from '../support/server-process.js'
import { liveRun } from './live-run.js'
import { lastLine, run } from './run.js'

let dir: string
beforeAll(async () => {
  dir = await mkdtemp(path.join(tmpdir(), 'run-'))
})
afterAll(() => rm(dir, { recursive: true, force: true }))

const env = { PATH: process.env.PATH ?? '' }
/** Words that run a program of JavaScript. */
const node = (program: string) => ['run', '--', process.execPath, '-e', program]
const result = (name: string) => JSON.stringify(path.join(dir, name))

describe('words', () => {
  const options = (flags: Record<string, unknown>, args: string[], env = {}) =>
    runOptions({ port: 0, ...flags }, args, { env })

  test('a command is needed', () => {
    expect(() => options({}, [])).toThrow(UsageError)
    expect(() => options({}, [])).toThrow(
      'run needs a command: tsctl run [flags] -- command args...',
    )
  })

  test('settings of the server may be given, as flags or variables', () => {
    const given = options({ maxTxnOps: '7' }, ['x'], { ETCD_MAX_REQUEST_BYTES: '1000' })
    expect(given.config).toMatchObject({ maxTxnOps: 7, maxRequestBytes: 1000 })
  })

  test('where it keeps its data may not: variables that say so are for another server', () => {
    const given = options({}, ['x'], {
      ETCD_DATA_DIR: '/data',
      ETCD_LISTEN_CLIENT_URLS: 'http://h:1',
      ETCD_DISCOVERY_SRV: 'example.com',
      ETCD_PEER_AUTO_TLS: 'true',
      ETCD_EXPERIMENTAL_ENABLE_LEASE_CHECKPOINT_PERSIST: 'true',
    })
    expect(given.config).not.toHaveProperty('dataDir')
    expect(given.config).not.toHaveProperty('listenClientUrls')
    expect(given.config).not.toHaveProperty('leaseCheckpointPersist')
  })
})

describe('a cluster', () => {
  test('has one member or more, on ports of its own', () => {
    const options = (flags: Record<string, unknown>) =>
      runOptions({ port: 0, ...flags }, ['x'], { env: {} })
    expect(options({}).members).toBe(1)
    expect(options({ members: 3 }).members).toBe(3)
    expect(() => options({ members: 0 })).toThrow('run needs at least one member')
    expect(() => options({ members: 3, port: 2379 })).toThrow('--port is for a single member')
  })

  test('is found by its variables, all members', async () => {
    const program = `
      const urls = process.env.ETCDCTL_ENDPOINTS.split(',')
      Promise.all(urls.map((url) => fetch(url + '/health'))).then((answers) => {
        process.exitCode = answers.every(({ ok }) => ok) ? 40 + answers.length : 1
      })`
    const words = ['run', '--members', '3', '--', process.execPath, '-e', program]
    expect((await run(words, { env })).code).toBe(43)
  })
})

describe('the command', () => {
  test('finds the server by its variables, and nothing that leads elsewhere', async () => {
    const program = `
      const { ETCDCTL_ENDPOINTS: url, ETCDCTL_USER: user = 'nobody' } = process.env
      fetch(url + '/health').then((answer) => answer.json()).then(({ health }) => {
        const same = url === process.env.TSCTL_SERVER_URL
        require('fs').writeFileSync(${result('found')}, [health, same, user].join(' '))
      })`
    const outer = { ...env, ETCDCTL_USER: 'root:x', ETCDCTL_CACERT: '/no/such/file' }
    expect((await run(node(program), { env: outer })).code).toBe(0)
    expect(await readFile(path.join(dir, 'found'), 'utf8')).toBe('true true nobody')
  })

  test('gets its words as they are, flags included', async () => {
    const program = `require('fs').writeFileSync(${result('argv')}, process.argv.slice(1).join('|'))`
    const words = [...node(program), '--', '--port', 'a b', '-w', 'json']
    expect((await run(words, { env })).code).toBe(0)
    expect(await readFile(path.join(dir, 'argv'), 'utf8')).toBe('--port|a b|-w|json')
  })

  test.each([
    ['its code', 'process.exit(7)', 7],
    ['success', '', 0],
    [
      'the signal that killed it, as a shell would say',
      'process.kill(process.pid, "SIGKILL")',
      137,
    ],
  ])('ends, and we end with %s', async (_what, program, code) => {
    const { code: ours, stderr } = await run(node(program), { env })
    expect(ours).toBe(code)
    expect(stderr).toBe('')
  })

  test('that is not there is said', async () => {
    const answer = await run(['run', '--', 'no-such-command'], { env })
    expect(answer.code).toBe(127)
    expect(lastLine(answer)).toBe(
      'Error: cannot run no-such-command: exec: "no-such-command": executable file not found in $PATH',
    )
  })

  test('that may not be run is said', async () => {
    const file = path.join(dir, 'plain.txt')
    await writeFile(file, 'no program')
    const answer = await run(['run', '--', file], { env })
    expect(answer.code).toBe(126)
    expect(lastLine(answer)).toContain('permission denied')
  })

  test('gets our signals, and may take its time', async () => {
    const program = `
      process.on('SIGTERM', () => setTimeout(() => process.exit(9), 20))
      require('fs').writeFileSync(${result('ready')}, '')
      setInterval(() => {}, 1000)`
    const ready = appears('ready')
    const live = liveRun(node(program), env)
    await ready
    live.interrupt('SIGTERM')
    expect(await live.code).toBe(9)
  })

  test('gets Ctrl-C from the terminal, not twice', async () => {
    const program = `
      let count = 0
      process.on('SIGINT', () => count++)
      process.on('SIGTERM', () => process.exit(count))
      require('fs').writeFileSync(${result('listening')}, '')
      setInterval(() => {}, 1000)`
    const ready = appears('listening')
    const live = liveRun(node(program), env, { isTerminal: true })
    await ready
    live.interrupt('SIGINT')
    live.interrupt('SIGTERM')
    expect(await live.code).toBe(0)
  })
})

test('a port that is taken is said before the command runs', async () => {
  await using other = await startEmbedded({ storage: 'memory' })
  const answer = await run(['run', `--port=${other.port}`, '--', 'no-such-command'], { env })
  expect(answer.code).toBe(1)
  expect(lastLine(answer)).toContain('EADDRINUSE')
})

test('as a process: input, output and the end pass through', async () => {
  const script = '"$0" "$1" put k v && "$0" "$1" get k && exit 3'
  const tsctl = path.join(import.meta.dirname, '../../bin/tsctl.js')
  const words = ['run', '--', 'sh', '-c', script, process.execPath, tsctl]
  expect(await runTsctl(words, { env })).toEqual({ code: 3, stdout: 'OK\nk\nv\n', stderr: '' })
})

/** Resolves when a file of that name is made in the directory. */
function appears(name: string): Promise<void> {
  return new Promise((resolve) => {
    const watcher = watch(dir, (_event, file) => {
      if (file !== name) return
      watcher.close()
      resolve()
    })
  })
}
