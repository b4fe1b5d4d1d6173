// lock as users run it: a process that gets real signals, or is killed before it can do anything.
// Needs the build: `npm test` makes it first.
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import path from 'node:path'
import { createInterface } from 'node:readline'
import { describe, expect, test } from 'vitest'
import { etcdctl } from '../conformance/tools.js'
import { startEmbedded } from '../support/embedded.js'
import { describeWithEtcd, isEtcdInstalled, startRealEtcd } from '../support/real-etcd.js'
import { run } from './run.js'

const program = path.join(import.meta.dirname, '../../bin/tsctl.js')

interface Started {
  child: ChildProcess
  /** Of standard output. */
  firstLine: Promise<string>
  ended: Promise<{ code: number | null; signal: NodeJS.Signals | null; stderr: string }>
}

function start(words: readonly string[], endpoint: string): Started {
  const env = { ETCDCTL_ENDPOINTS: endpoint, PATH: process.env.PATH }
  const child = spawn(process.execPath, [program, ...words], { env })
  let stderr = ''
  child.stderr.on('data', (piece) => {
    stderr += piece
  })
  const firstLine = once(createInterface({ input: child.stdout }), 'line').then(([line]) => line)
  const ended = once(child, 'close').then(([code, signal]) => ({ code, signal, stderr }))
  return { child, firstLine, ended }
}

interface Served extends AsyncDisposable {
  readonly endpoint: string
}

function processTests(serve: () => Promise<Served>): void {
  test.each(['SIGINT', 'SIGTERM'] as const)('%s reaches the command', async (signal) => {
    await using server = await serve()
    const trap = `trap 'exit 9' ${signal.slice(3)}; echo ready; while :; do sleep 0.02; done`
    const { child, firstLine, ended } = start(
      ['lock', 'n', '--', 'sh', '-c', trap],
      server.endpoint,
    )
    expect(await firstLine).toBe('ready')
    child.kill(signal)
    expect(await ended).toEqual({ code: 9, signal: null, stderr: 'Error: exit status 9\n' })
  })

  test('without a command the first signal unlocks', async () => {
    await using server = await serve()
    const { child, firstLine, ended } = start(['lock', 'n'], server.endpoint)
    expect(await firstLine).toMatch(/^n\/[0-9a-f]+$/)
    child.kill('SIGTERM')
    expect(await ended).toEqual({ code: 0, signal: null, stderr: '' })
    const env = { ETCDCTL_ENDPOINTS: server.endpoint }
    const left = await run(['get', 'n/', '--prefix'], { env, connection: 'real' })
    expect(left.stdout.toString()).toBe('')
  })

  test('the lock of a holder that is killed passes on after its TTL', async () => {
    await using server = await serve()
    const ttlSeconds = 2
    const holder = start(['lock', 'n', `--ttl=${ttlSeconds}`], server.endpoint)
    await holder.firstLine
    holder.child.kill('SIGKILL')
    await holder.ended
    const env = { ETCDCTL_ENDPOINTS: server.endpoint, PATH: process.env.PATH ?? '' }
    const words = ['lock', 'n', 'true']
    const next = [run(words, { env, connection: 'real' })]
    const theirs = isEtcdInstalled ? [etcdctl.run(words, env)] : []
    for (const { code } of await Promise.all([...next, ...theirs])) expect(code).toBe(0)
  })
}

describe('lock as a process, on the bundled server', () =>
  processTests(() => startEmbedded({ storage: 'memory' })))
describeWithEtcd('lock as a process, on a real etcd', () => processTests(() => startRealEtcd()))
