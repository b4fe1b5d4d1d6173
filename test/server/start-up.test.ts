// What keeps a server from starting: one clear line on standard error, exit code 1, and nothing
// half done. And a clean stop by a signal. By the real command where the process matters.
import { chmod, mkdir, mkdtemp, open, readdir, rm, writeFile } from 'node:fs/promises'
import net from 'node:net'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { connected, failure } from '../connection/connecting.js'
import { startEmbedded } from '../support/embedded.js'
import { runTsctl, startServerProcess } from '../support/server-process.js'

let dir: string
beforeEach(async () => {
  dir = await mkdtemp(path.join(tmpdir(), 'start-'))
})
afterEach(async () => {
  await chmod(dir, 0o700)
  await rm(dir, { recursive: true, force: true })
})

const listen = '--listen-client-urls=http://127.0.0.1:0'
const serve = (...flags: string[]) =>
  runTsctl([
    'server',
    '--log-level=error',
    listen,
    '--listen-peer-urls=',
    `--data-dir=${dir}/data`,
    ...flags,
  ])

/** Standard error is the one line, and standard output is empty. */
function expectOneLine(ended: { code: number; stdout: string; stderr: string }, line: RegExp) {
  expect(ended).toMatchObject({ code: 1, stdout: '' })
  expect(ended.stderr).toMatch(line)
  expect(ended.stderr.trimEnd().split('\n')).toHaveLength(1)
}

async function filled(): Promise<string> {
  const dataDir = `${dir}/data`
  const server = await startEmbedded({ dataDir })
  await using client = await connected(server.endpoint)
  for (let at = 0; at < 50; at++) await client.kv.put({ key: Buffer.from(`k${at}`) })
  await server.stop()
  return dataDir
}

describe('the server does not start', () => {
  test('on a port that is taken', async () => {
    const taken = net.createServer()
    await new Promise<void>((resolve) => taken.listen(0, '127.0.0.1', resolve))
    const { port } = taken.address() as net.AddressInfo
    const ended = await serve(`--listen-client-urls=http://127.0.0.1:${port}`)
    expectOneLine(ended, new RegExp(`^Error: .*address already in use.*${port}`))
    taken.close()
  })

  test.skipIf(process.getuid?.() === 0)('in a directory that it may not write', async () => {
    await chmod(dir, 0o500)
    expectOneLine(await serve(), /^Error: .*permission denied/i)
  })

  test.skipIf(process.platform !== 'linux')('where nobody may make a directory', async () => {
    const ended = await serve('--data-dir=/sys/tsctl')
    expectOneLine(ended, /^Error: .*(permission denied|not permitted|read-only).*\/sys\/tsctl/i)
  })

  test('where a file stands in the place of the directory', async () => {
    await writeFile(`${dir}/data`, 'a file')
    expectOneLine(await serve(), /^Error: .*data/)
  })

  test('in a directory of something else', async () => {
    await mkdir(`${dir}/data/proxy`, { recursive: true })
    expectOneLine(await serve(), /^Error: .*proxy/)
    expect(await readdir(`${dir}/data`)).toEqual(['proxy'])
  })

  test('on a directory that is in use', async () => {
    await using running = await startServerProcess([`--data-dir=${dir}/data`])
    expectOneLine(await serve(), new RegExp(`^Error: .*in use by process ${running.pid}`))
  })

  test('with a damaged log, and says where the damage is', async () => {
    const dataDir = await filled()
    const walDir = `${dataDir}/member/wal`
    const [name = ''] = (await readdir(walDir)).filter((each) => each.endsWith('.wal'))
    const file = await open(`${walDir}/${name}`, 'r+')
    await file.write(Buffer.from([0xff, 0xff, 0xff, 0xff]), 0, 4, 600)
    await file.close()
    expectOneLine(await serve(), new RegExp(`^Error: wal .*${name} at \\d+: .*, expected .*`))
  })

  test('with a damaged database', async () => {
    const dataDir = await filled()
    const file = await open(`${dataDir}/member/snap/db`, 'r+')
    await file.write(Buffer.alloc(8192, 0xff), 0, 8192, 0)
    await file.close()
    expectOneLine(await serve(), /^Error: .*snap\/db/)
  })

  test('when the log is there and the database is gone', async () => {
    const dataDir = await filled()
    await rm(`${dataDir}/member/snap/db`)
    expectOneLine(
      await serve(),
      /^Error: data-dir .* holds a log but no .*snap\/db, which it builds on$/m,
    )
  })

  test('when the database is there and the log is gone', async () => {
    const dataDir = await filled()
    await rm(`${dataDir}/member/wal`, { recursive: true })
    expectOneLine(await serve(), /^Error: data-dir .* holds data but no log in .*wal$/m)
  })

  test.each([
    ['--name=other', '--initial-cluster=default=http://localhost:2380'],
    ['--listen-client-urls=ftp://127.0.0.1:0'],
    ['--listen-client-urls=http://127.0.0.1'],
    ['--election-timeout=100'],
    ['--election-timeout=60000'],
    ['--initial-cluster-state=old'],
  ])('with flags that make no sense: %s %s', async (...flags) => {
    const ended = await serve(...flags.filter((flag) => flag !== undefined))
    expect(ended.code).not.toBe(0)
    expect(ended.stdout).toBe('')
    expect(ended.stderr).toMatch(/^Error: /)
    expect(await readdir(dir)).toEqual([])
  })
})

test('a start that fails leaves nothing open, and the directory to others', async () => {
  const dataDir = await filled()
  const taken = net.createServer()
  await new Promise<void>((resolve) => taken.listen(0, '127.0.0.1', resolve))
  const { port } = taken.address() as net.AddressInfo
  const config = { listenClientUrls: [`http://127.0.0.1:${port}`] }
  expect((await failure(startEmbedded({ dataDir, config }))).message).toMatch(
    /address already in use/,
  )
  taken.close()
  const server = await startEmbedded({ dataDir })
  await using client = await connected(server.endpoint)
  expect((await client.kv.range({ key: Buffer.from('k49') })).count).toBe('1')
  await server.stop()
})

test.each(['SIGTERM', 'SIGINT'] as const)(
  '%s stops it cleanly, with all in the database',
  async (signal) => {
    const server = await startServerProcess([`--data-dir=${dir}/data`])
    await using client = await connected(server.endpoint)
    await client.kv.put({ key: Buffer.from('k'), value: Buffer.from('v') })
    // A watch under way does not keep the server from stopping.
    const ending = new AbortController()
    const watch = client.watch({ key: Buffer.from('k') }, ending)[Symbol.asyncIterator]()
    await watch.next()
    const next = watch.next()
    expect(await server.stop(signal)).toBe(0)
    ending.abort()
    expect(await next).toMatchObject({ done: true })
    const snaps = await readdir(`${dir}/data/member/snap`)
    expect(snaps).toContain('db')
    expect(snaps.some((name) => name.endsWith('.snap'))).toBe(true)
    expect(await readdir(`${dir}/data/member`)).not.toContain('tsctl.lock')
  },
)
