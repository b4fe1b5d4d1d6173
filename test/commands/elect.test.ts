// elect: words to options, and elections on a real socket, among us and with the real etcdctl: one
// leads at a time, the others wait or listen.
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { electOptions } from '../../src/commands/elect.js'
import { etcdctl } from '../conformance/tools.js'
import { startEmbedded } from '../support/embedded.js'
import { describeWithEtcd, isEtcdInstalled, startRealEtcd } from '../support/real-etcd.js'
import { liveRun } from './live-run.js'
import { queueKeys, untilQueued } from './queue-keys.js'
import { failing, lastLine, run } from './run.js'

test.each([
  [['e', 'p'], false, { name: 'e', proposal: 'p' }],
  [['e', ''], false, { name: 'e', proposal: '' }],
  [['e'], true, { name: 'e', proposal: undefined }],
])('elect %j, listening %j', (args, listen, expected) => {
  expect(electOptions({ listen }, args)).toEqual(expected)
})

const wrongCount = 'elect takes one election name argument and an optional proposal argument'

test.each([
  [[], wrongCount],
  [['-l'], wrongCount],
  [['a', 'b', 'c'], wrongCount],
  [['e1'], 'no proposal argument but -l not set'],
  [['-l', 'e1', 'p1'], 'proposal given but -l is set'],
  [['--listen', 'e1', 'p1'], 'proposal given but -l is set'],
])('elect %j is refused', async (words, message) => {
  const result = await run(['elect', ...words])
  expect(result).toMatchObject({ code: 128, dialled: [] })
  expect(lastLine(result)).toBe(`Error: ${message}`)
})

test('a listener that can read no more says so', async () => {
  const connection = () => ({ kv: { range: failing(new Error('etcdserver: permission denied')) } })
  const result = await run(['elect', '-l', 'e'], { connection })
  expect(result).toMatchObject({ code: 1, stderr: 'Error: elect: observer lost\n' })
})

interface Served extends AsyncDisposable {
  readonly endpoint: string
}

/** The tests of an election, on each kind of server. Each test has an election of its own. */
function electionTests(serve: () => Promise<Served>): void {
  let server: Served
  let env: Record<string, string>
  let name: string
  let count = 0
  beforeAll(async () => {
    server = await serve()
    env = { ETCDCTL_ENDPOINTS: server.endpoint }
  })
  afterAll(() => server?.[Symbol.asyncDispose]())
  beforeEach(() => {
    count++
    name = `election${count}`
  })

  const tsctl = (...words: string[]) => run(words, { env, connection: 'real' })
  const keys = () => queueKeys({ name, env })
  const untilKeys = (wanted: number) => untilQueued(wanted, { name, env })

  test.each(['SIGINT', 'SIGTERM'] as const)('leads until %s, then resigns', async (signal) => {
    const leader = liveRun(['elect', name, 'p1'], env)
    await leader.shows(/p1\n/)
    const [key] = await keys()
    expect(leader.stdout()).toBe(`${key}\np1\n`)
    const { stdout } = await tsctl('lease', 'timetolive', key?.split('/')[1] ?? '')
    expect(stdout.toString()).toMatch(/TTL\(60s\)/)
    leader.interrupt(signal)
    expect(await leader.code).toBe(0)
    expect(leader.stderr()).toBe('')
    expect(await keys()).toEqual([])
  })

  test('a signal while waiting takes the own key back', async () => {
    const leader = liveRun(['elect', name, 'p1'], env)
    await leader.shows(/p1\n/)
    const waiter = liveRun(['elect', name, 'p2'], env)
    await untilKeys(2)
    waiter.interrupt()
    expect(await waiter.code).toBe(1)
    expect(waiter.stderr()).toBe('Error: context canceled\n')
    expect(await keys()).toHaveLength(1)
    leader.interrupt()
    expect(await leader.code).toBe(0)
  })

  test('a listener hears of each leader and each proposal', async () => {
    const listener = liveRun(['elect', '-l', name], env)
    const first = liveRun(['elect', name, 'p1'], env)
    await listener.shows(/p1\n/)
    const [key] = await keys()
    await tsctl('put', key ?? '', 'p1, changed', '--ignore-lease')
    await listener.shows(/p1, changed\n/)
    const second = liveRun(['elect', name, 'p2'], env)
    await untilKeys(2)
    first.interrupt()
    await second.shows(/p2\n/)
    await listener.shows(/p2\n/)
    second.interrupt()
    expect(await second.code).toBe(0)
    const third = liveRun(['elect', name, 'p3'], env)
    await listener.shows(/p3\n/)
    third.interrupt()
    await third.code
    listener.interrupt()
    expect(await listener.code).toBe(0)
    const values = listener
      .stdout()
      .split('\n')
      .filter((_, index) => index % 2 === 1)
    expect(values).toEqual(['p1', 'p1, changed', 'p2', 'p3'])
    expect(listener.stderr()).toBe('')
  })

  test('a listener without a leader prints nothing and ends well', async () => {
    const listener = liveRun(['elect', '-l', name, '-w', 'json'], env)
    const leader = liveRun(['elect', name, 'p'], env)
    await listener.shows(/\n/)
    const [key] = await keys()
    const { kvs, count: counted } = JSON.parse(listener.stdout())
    expect(Buffer.from(kvs[0].key, 'base64').toString()).toBe(key)
    expect(counted).toBeUndefined()
    leader.interrupt()
    listener.interrupt()
    expect([await leader.code, await listener.code]).toEqual([0, 0])
  })

  describe.skipIf(!isEtcdInstalled)('with etcdctl', () => {
    const etcdctlEnv = () => ({ ETCDCTL_ENDPOINTS: server.endpoint })

    test('etcdctl waits until we resign, and hears of us', async () => {
      const ours = liveRun(['elect', name, 'ours'], env)
      await ours.shows(/ours\n/)
      const theirs = etcdctl.start(['elect', name, 'theirs'], etcdctlEnv())
      const listener = etcdctl.start(['elect', '-l', name], etcdctlEnv())
      await untilKeys(2)
      await listener.shows(/ours\n/)
      expect(theirs.stdout()).toBe('')
      ours.interrupt()
      await theirs.shows(/theirs\n/)
      await listener.shows(/theirs\n/)
      await Promise.all([theirs.end(), listener.end()])
    })

    test('we wait until etcdctl resigns, and hear of it', async () => {
      const theirs = etcdctl.start(['elect', name, 'theirs'], etcdctlEnv())
      await theirs.shows(/theirs\n/)
      const ours = liveRun(['elect', name, 'ours'], env)
      const listener = liveRun(['elect', '-l', name], env)
      await untilKeys(2)
      await listener.shows(/theirs\n/)
      expect(ours.stdout()).toBe('')
      await theirs.end()
      await ours.shows(/ours\n/)
      await listener.shows(/ours\n/)
      ours.interrupt()
      listener.interrupt()
      expect([await ours.code, await listener.code]).toEqual([0, 0])
    })

    test('of twenty candidates one leads at a time', async () => {
      const started = Array.from({ length: 20 }, (_, index) => {
        const words = ['elect', name, `candidate${index}`]
        if (index % 2 === 0) {
          const run = liveRun(words, env)
          return { ...run, end: () => run.interrupt() }
        }
        return etcdctl.start(words, etcdctlEnv())
      })
      await untilKeys(started.length)
      for (let left = started.length; left > 0; left--) {
        await Promise.race(running().map((one) => one.shows(/candidate/)))
        const leaders = running().filter((one) => one.stdout() !== '')
        expect(leaders).toHaveLength(1)
        const [leader] = leaders
        if (leader !== undefined) ended.add(leader)
        await leader?.end()
        await untilKeys(left - 1)
      }
      function running() {
        return started.filter((one) => !ended.has(one))
      }
    })
    const ended = new Set<unknown>()
  })
}

describe('elections on the bundled server', () =>
  electionTests(() => startEmbedded({ storage: 'memory' })))
describeWithEtcd('elections on a real etcd', () => electionTests(() => startRealEtcd()))
