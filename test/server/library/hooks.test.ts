// A server for a whole test file, as the entry for each test runner gives it: here for vitest, in
// programs of their own for node:test and, by its globals, for jest.
import { execFile } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type RunningServer, startServer, useServer } from '../../../src/server/library/vitest.js'

const server = useServer()
const ports = new Set<number>()

describe('with vitest', () => {
  test('the server is there, and the store is empty', async () => {
    const client = await server.client()
    expect(await client.getAll().count()).toBe(0)
    await client.put('left').value('over')
    ports.add(server.port)
  })

  test('the next test has the same server, and an empty store again', async () => {
    const client = await server.client()
    expect(await client.getAll().count()).toBe(0)
    expect(server.env().ETCDCTL_ENDPOINTS).toBe(server.endpoint)
    ports.add(server.port)
    expect(ports.size).toBe(1)
  })
})

describe('a server of one test', () => {
  const said: string[] = []
  const listen = ({ message }: Error): void => void said.push(message)
  beforeAll(() => void process.on('warning', listen))
  afterAll(() => void process.off('warning', listen))
  let forgotten: RunningServer

  test('that stops it is not named', async () => {
    await using stopped = await startServer()
    expect(stopped.isRunning).toBe(true)
  })

  test('that forgets it', async () => {
    forgotten = await startServer()
  })

  test('is named', async () => {
    if (said.length === 0) await once(process, 'warning')
    expect(said).toEqual([
      `the tsctl server on port ${forgotten.port} was not stopped; ` +
        'started by the test "a server of one test > that forgets it"',
    ])
    await forgotten.stop()
  })
})

describe('without emptying', () => {
  const kept = useServer({ resetBeforeEach: false })
  test('one test puts', async () => {
    await (await kept.client()).put('a').value('1')
  })
  test('the next finds', async () => {
    expect(await (await kept.client()).get('a').string()).toBe('1')
  })
})

describe('with other runners', () => {
  const source = path.join(import.meta.dirname, '../../../src/server/library')
  let dir: string
  beforeAll(async () => {
    dir = await mkdtemp(path.join(import.meta.dirname, '../../../node_modules/.hooks-'))
  })
  afterAll(() => rm(dir, { recursive: true, force: true }))

  async function run(program: string): Promise<{ code: unknown; stdout: string }> {
    const file = path.join(dir, 'some.test.ts')
    await writeFile(file, program)
    const args = ['--import', 'tsx', '--test-reporter=tap', file]
    return new Promise((resolve) => {
      const { NODE_TEST_CONTEXT: _, ...env } = process.env
      execFile(process.execPath, args, { env, timeout: 60_000 }, (error, stdout) => {
        resolve({ code: error === null ? 0 : error.code, stdout })
      })
    })
  }

  const tests = `
    test('puts', async () => { await (await server.client()).put('a').value('1') })
    test('finds nothing', async () => {
      assert.equal(await (await server.client()).get('a').string(), null)
    })`

  test('node:test runs it, and ends', async () => {
    const { code, stdout } = await run(`
      import assert from 'node:assert'
      import { test } from 'node:test'
      import { useServer } from ${JSON.stringify(path.join(source, 'node-test.ts'))}
      const server = useServer()
      ${tests}`)
    expect(stdout).toContain('# pass 2')
    expect(code).toBe(0)
  })

  test('a runner with the globals of jest runs it', async () => {
    const { code, stdout } = await run(`
      import assert from 'node:assert'
      import { after, before, beforeEach, test } from 'node:test'
      import { useServer } from ${JSON.stringify(path.join(source, 'jest.ts'))}
      Object.assign(globalThis, { beforeAll: before, beforeEach, afterAll: after })
      const server = useServer()
      ${tests}`)
    expect(stdout).toContain('# pass 2')
    expect(code).toBe(0)
  })
})
