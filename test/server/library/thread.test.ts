// The library as it is built: in a thread of its own, which a blocked event loop and fake timers do
// not touch, and as a CommonJS module. The build must be there: `npm test` makes it first.
import { execFile, execFileSync } from 'node:child_process'
import { createRequire } from 'node:module'
import path from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import type { RunningServer, StartOptions } from '../../../src/server/library/library.js'

const dist = path.join(import.meta.dirname, '../../../dist')
type Library = { startServer(options?: StartOptions): Promise<RunningServer> }
// Built code has no types beside it here; its source has these.
const load = async (): Promise<Library> => await import(path.join(dist, 'library.js'))

let server: RunningServer
const lines: string[] = []
beforeAll(async () => {
  const { startServer } = await load()
  const write = (line: string): void => void lines.push(line)
  server = await startServer({ thread: true, log: { level: 'info', write } })
})
afterAll(async () => {
  await server?.stop()
})

test('a program in a context with a process of its own, like a test of jest, is told', async () => {
  const program = `
    const vm = require('node:vm')
    const { createRequire } = require('node:module')
    const file = ${JSON.stringify(path.join(dist, 'library.cjs'))}
    const plain = vm.runInNewContext('Object.getOwnPropertyNames(globalThis)')
    const names = Object.getOwnPropertyNames(globalThis).filter((name) => !plain.includes(name))
    const context = Object.fromEntries(names.map((name) => [name, globalThis[name]]))
    context.process = Object.create(process)
    context.process._events = {}
    const text = require('node:fs').readFileSync(file, 'utf8')
    const words = ['exports', 'require', 'module', '__filename']
    const parsingContext = vm.createContext(context)
    const module_ = { exports: {} }
    vm.compileFunction(text, words, { parsingContext })
      (module_.exports, createRequire(file), module_, file)
    module_.exports.startServer().then(({ port }) => process.stdout.write(String(port)))`
  const { stdout, stderr } = await promisify(execFile)(process.execPath, ['-e', program])
  expect(stderr).toContain(`the tsctl server on port ${stdout} was not stopped`)
})

describe('in a thread', () => {
  test('it serves while this thread is busy with nothing else', () => {
    // A synchronous program is the only client that a blocked thread can have.
    const program = `
      const request = { method: 'POST', body: '{"key":"YQ=="}' }
      const answer = await fetch('${server.endpoint}/v3/kv/put', request)
      process.stdout.write(String(answer.status))`
    const args = ['--input-type=module', '-e', program]
    expect(execFileSync(process.execPath, args, { timeout: 60_000 }).toString()).toBe('200')
  })

  test('it is reset, and its clock put forward', async () => {
    const client = await server.client()
    const { ID } = await client.leaseClient.leaseGrant({ TTL: 3000 })
    await client.put('leased').value('v').lease(ID)
    const before = server.clock.now()
    await server.clock.advance('3001s')
    expect(server.clock.now() - before).toBeGreaterThan(3_001_000)
    expect(await client.getAll().keys()).not.toContain('leased')
    await server.reset()
    expect((await client.put('a').value('1')).header.revision).toBe('2')
  })

  test('a fault is in force by the next line', async () => {
    server.faults.fail('Put', { code: 'RESOURCE_EXHAUSTED' })
    const put = () =>
      fetch(`${server.endpoint}/v3/kv/put`, { method: 'POST', body: '{"key":"YQ=="}' })
    expect((await put()).status).toBe(429)
    expect((await put()).status).toBe(200)
    expect(() => server.faults.fail('Put', { code: 'nonsense' })).toThrow("'nonsense' is no gRPC")
  })

  test('fake timers are none of its business', async () => {
    vi.useFakeTimers()
    try {
      await server.reset()
      await server.clock.advance(1000)
    } finally {
      vi.useRealTimers()
    }
  })

  test('its log lines come here', () => {
    expect(lines.join('')).toContain('ready to serve client requests')
  })

  test('what cannot start says why', async () => {
    const { startServer } = await load()
    await expect(startServer({ thread: true, port: server.port })).rejects.toThrow('EADDRINUSE')
  })
})

test('CommonJS programs require it, and end though they forget it', async () => {
  const library = JSON.stringify(path.join(dist, 'library.cjs'))
  for (const thread of [false, true]) {
    const program = `
      require(${library}).startServer({ thread: ${thread} }).then(async (server) => {
        const answer = await fetch(server.endpoint + '/health')
        console.log(answer.status, server.port)
      })`
    const run = promisify(execFile)(process.execPath, ['-e', program], { timeout: 60_000 })
    const { stdout, stderr } = await run
    const [status, port] = stdout.trim().split(' ')
    expect(status).toBe('200')
    expect(stderr).toContain(`port ${port} was not stopped`)
  }
})

test('every entry that a package names is there', () => {
  const require = createRequire(import.meta.url)
  expect(Object.keys(require(path.join(dist, 'jest.cjs'))).sort()).toEqual([
    'startServer',
    'useServer',
  ])
  for (const name of ['library.js', 'vitest.js', 'jest.js', 'node-test.js', 'worker.js']) {
    expect(require.resolve(path.join(dist, name))).toContain(name)
  }
})
