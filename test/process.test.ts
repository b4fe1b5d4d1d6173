// The tool as it is installed: the bundle, as a process of its own. What only a process shows:
// words that are no text, pipes that close, signals, and an end that comes by itself.
import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { describeWithEtcd, type RealEtcd, startRealEtcd } from './support/real-etcd.js'

const root = path.join(import.meta.dirname, '..')
const tool = path.join(root, 'bin', 'tsctl.js')

beforeAll(() => {
  execFileSync(process.execPath, [path.join(root, 'scripts', 'build.mjs')])
})

interface Ended {
  code: number | null
  signal: NodeJS.Signals | null
  stdout: Buffer
  stderr: string
}

async function ended(child: ChildProcess): Promise<Ended> {
  const out: Buffer[] = []
  const err: Buffer[] = []
  child.stdout?.on('data', (piece: Buffer) => out.push(piece))
  child.stderr?.on('data', (piece: Buffer) => err.push(piece))
  const [code, signal] = await once(child, 'close')
  return { code, signal, stdout: Buffer.concat(out), stderr: Buffer.concat(err).toString() }
}

const shell = (script: string, endpoint = ''): Promise<Ended> =>
  ended(
    spawn(
      'bash',
      ['--norc', '-c', `tsctl() { '${process.execPath}' '${tool}' "$@"; }\n${script}`],
      {
        env: { PATH: process.env.PATH, ETCDCTL_ENDPOINTS: endpoint },
      },
    ),
  )

test('the exit code is the command’s', async () => {
  expect(await shell('tsctl version')).toMatchObject({ code: 0, stderr: '' })
  expect(await shell('tsctl put')).toMatchObject({ code: 128 })
  expect(await shell('tsctl nothing')).toMatchObject({ code: 1 })
})

test.runIf(process.platform === 'linux')('a password leaves the list of processes', async () => {
  const words = ['user', 'passwd', 'ann', '--user=root:sesame', '--password', 'sesame']
  const child = spawn(process.execPath, [tool, ...words], { stdio: ['pipe', 'pipe', 'ignore'] })
  await once(child.stdout, 'data') // it asks, so it runs
  const title = readFileSync(`/proc/${child.pid}/cmdline`, 'latin1')
  child.stdin.end()
  await once(child, 'close')
  expect(title).toMatch(/^tsctl \(arguments hidden\)\0*$/)
})

test('a closed standard output is quiet', async () => {
  const got = await shell('set -o pipefail; tsctl options | true')
  expect(got).toMatchObject({ code: 0, stderr: '' })
})

test('without a code cache, or with a broken one, it works the same', async () => {
  const lines = { tsctl: 'tsctl version', server: 'tsctl server --help' }
  try {
    for (const [name, line] of Object.entries(lines)) {
      const cache = path.join(root, 'dist', `${name}.cjs.${process.versions.v8}.cache`)
      const withCache = await shell(line)
      expect(withCache).toMatchObject({ code: 0, stderr: '' })
      writeFileSync(cache, 'not a cache')
      expect(await shell(line)).toEqual(withCache)
      rmSync(cache)
      expect(await shell(line)).toEqual(withCache)
    }
  } finally {
    execFileSync(process.execPath, [path.join(root, 'scripts', 'build.mjs')])
  }
})

test('the server is the same from either of the bundles that know it', async () => {
  const fromItsOwn = await shell('tsctl server --help')
  expect(fromItsOwn).toMatchObject({ code: 0, stderr: '' })
  expect(await shell('tsctl --debug server --help')).toEqual(fromItsOwn)
  expect(await shell('tsctl server too much')).toEqual(await shell('tsctl --debug server too much'))
})

describeWithEtcd('against a real etcd', () => {
  let etcd: RealEtcd
  beforeAll(async () => {
    etcd = await startRealEtcd()
  })
  afterAll(() => etcd[Symbol.asyncDispose]())

  test('keys and values of any bytes go in and come out', async () => {
    const script = "tsctl put $'\\xff\\n\\x80k' $'v\\xc3'; tsctl get $'\\xff\\n\\x80k'"
    const { stdout, stderr } = await shell(script, etcd.endpoint)
    expect(stderr).toBe('')
    const kv = [0xff, 0x0a, 0x80, 0x6b, 0x0a, 0x76, 0xc3, 0x0a]
    expect(stdout).toEqual(Buffer.concat([Buffer.from('OK\n'), Buffer.from(kv)]))
    const real = await etcd.etcdctl(['get', '', '--prefix', '--keys-only', '-w', 'json'])
    expect(real).toContain(Buffer.of(0xff, 0x0a, 0x80, 0x6b).toString('base64'))
  })

  test('a value of standard input keeps its NUL bytes', async () => {
    const script = "printf 'a\\0b\\n' | tsctl put nul; tsctl get nul --print-value-only"
    const { stdout } = await shell(script, etcd.endpoint)
    expect(`${stdout}`).toBe('OK\na\0b\n\n')
  })

  test('an answer far larger than a pipe arrives whole, and half of it is no error', async () => {
    const value = 'x'.repeat(300_000)
    for (let i = 0; i < 10; i++) await etcd.etcdctl(['put', `large/${i}`], value)
    const whole = await shell('tsctl get large/ --prefix | wc -c', etcd.endpoint)
    expect(`${whole.stdout}`.trim()).toBe(String(10 * (300_000 + 'large/0\n\n'.length)))
    const script = 'set -o pipefail; tsctl get large/ --prefix | head -1'
    expect(await shell(script, etcd.endpoint)).toMatchObject({
      code: 0,
      stdout: Buffer.from('large/0\n'),
      stderr: '',
    })
  })

  test('it ends by itself though standard input stays open', async () => {
    const child = spawn(process.execPath, [tool, 'put', 'k', 'v', '--endpoints', etcd.endpoint])
    const { code, stdout } = await ended(child)
    expect({ code, stdout: `${stdout}` }).toEqual({ code: 0, stdout: 'OK\n' })
  })

  test('Ctrl-C ends it as the signal does by default', async () => {
    const child = spawn(process.execPath, [tool, 'watch', 'sig', '--endpoints', etcd.endpoint])
    const end = ended(child)
    // Changes are made until the first one shows: then the watch runs for certain.
    const isRunning = once(child.stdout, 'data')
    let isSeen = false
    void isRunning.then(() => {
      isSeen = true
    })
    while (!isSeen) await etcd.etcdctl(['put', 'sig', 'v'])
    child.kill('SIGINT')
    expect(await end).toMatchObject({ code: null, signal: 'SIGINT', stderr: '' })
  })
})
