// lock: words to options, and locks on a real socket: who holds, who waits, what becomes of the
// command; excluded by the real etcdctl and excluding it; lost leases.
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { lockOptions } from '../../src/commands/lock.js'
import { etcdctl } from '../conformance/tools.js'
import { startCuttingProxy } from '../support/cutting-proxy.js'
import { startEmbedded } from '../support/embedded.js'
import { describeWithEtcd, isEtcdInstalled, startRealEtcd } from '../support/real-etcd.js'
import { liveRun } from './live-run.js'
import { queueKeys, untilQueued } from './queue-keys.js'
import { failing, lastLine, run } from './run.js'

test.each([
  [['name'], { ttl: 10 }, { name: 'name', command: [], ttlSeconds: 10 }],
  [[''], { ttl: 10 }, { name: '', command: [] }],
  [['name', 'echo', 'a b'], { ttl: 3 }, { command: ['echo', 'a b'], ttlSeconds: 3 }],
  [['name'], { ttl: -1 }, { ttlSeconds: -1 }],
])('lock %j %j', (args, flags, expected) => {
  expect(lockOptions(flags, args)).toMatchObject(expected)
})

test.each([
  [[], 128, 'lock takes a lock name argument and an optional command to execute'],
  [['--ttl=2'], 128, 'lock takes a lock name argument and an optional command to execute'],
])('lock %j is refused', async (words, code, message) => {
  const result = await run(['lock', ...words])
  expect(result).toMatchObject({ code, dialled: [] })
  expect(lastLine(result)).toBe(`Error: ${message}`)
})

test('a TTL that is no number is refused in the words of Go', async () => {
  const { code, stderr } = await run(['lock', 'n', '--ttl=x'])
  expect(code).toBe(1)
  expect(stderr).toMatch(
    /^Error: invalid argument "x" for "--ttl" flag: strconv.ParseInt: parsing "x": invalid syntax\n/,
  )
})

/** A connection on which the lock is free, and what is deleted on it. */
function freeLock(kv: Record<string, () => Promise<unknown>>) {
  const deleted: string[] = []
  const first = { response_range: { kvs: [{ create_revision: '5' }] } }
  const responses = [{ response_put: {} }, first]
  const connection = () => ({
    lease: { leaseGrant: async () => ({ ID: '31', TTL: '10' }) },
    async *keepAlive(_id: string, { signal }: { signal: AbortSignal }) {
      if (signal.aborted) return
      await new Promise((resolve) => signal.addEventListener('abort', resolve))
    },
    kv: {
      txn: async () => ({ header: { revision: '5' }, succeeded: true, responses }),
      deleteRange: async ({ key }: { key: Buffer }) => void deleted.push(key.toString()),
      ...kv,
    },
  })
  return { deleted, connection }
}

test('a key that vanishes at once is an error', async () => {
  const { deleted, connection } = freeLock({ range: async () => ({ kvs: [] }) })
  const result = await run(['lock', 'n'], { connection })
  expect(result).toMatchObject({ code: 1, stderr: 'Error: lock lost on init\n', closedCount: 1 })
  expect(deleted).toEqual(['n/1f'])
})

test('what fails while the lock is taken gives it back', async () => {
  const txn = failing(new Error('etcdserver: permission denied'))
  const { deleted, connection } = freeLock({ txn })
  const result = await run(['lock', 'n', 'true'], { connection })
  expect(result).toMatchObject({ code: 1, stderr: 'Error: etcdserver: permission denied\n' })
  expect(deleted).toEqual(['n/1f'])
})

test.each([
  ['true', 1, 'Error: etcdserver: no leader\n'],
  ['false', 1, 'Error: exit status 1\n'],
])('a lock that cannot be given back after %s', async (command, code, stderr) => {
  const deleteRange = failing(new Error('etcdserver: no leader'))
  const { connection } = freeLock({ deleteRange })
  const env = { PATH: process.env.PATH ?? '' }
  expect(await run(['lock', 'n', command], { connection, env })).toMatchObject({ code, stderr })
})

interface Served extends AsyncDisposable {
  readonly endpoint: string
  readonly port: number
}

const bundled = (): Promise<Served> => startEmbedded({ storage: 'memory' })

/** The tests of a lock, on each kind of server. Each test has a lock of its own. */
function lockTests(serve: () => Promise<Served>): void {
  let server: Served
  let dir: string
  let env: Record<string, string>
  let name: string
  let count = 0
  beforeAll(async () => {
    server = await serve()
    dir = await mkdtemp(path.join(tmpdir(), 'lock-'))
    env = { ETCDCTL_ENDPOINTS: server.endpoint, PATH: process.env.PATH ?? '' }
  })
  afterAll(async () => {
    await server?.[Symbol.asyncDispose]()
    await rm(dir, { recursive: true, force: true })
  })
  beforeEach(() => {
    count++
    name = `lock${count}`
  })

  const tsctl = (...words: string[]) => run(words, { env, connection: 'real' })
  const keys = () => queueKeys({ name, env })
  const untilKeys = (wanted: number) => untilQueued(wanted, { name, env })
  const sh = (script: string): string[] => ['--', 'sh', '-c', script]

  test.each(['SIGINT', 'SIGTERM'] as const)('holds the lock until %s', async (signal) => {
    const lock = liveRun(['lock', name], env)
    await lock.shows(/\n\n/)
    const [key] = await keys()
    expect(lock.stdout()).toBe(`${key}\n\n`)
    expect(key).toMatch(new RegExp(`^${name}/[1-9a-f][0-9a-f]*$`))
    lock.interrupt(signal)
    expect(await lock.code).toBe(0)
    expect(await keys()).toEqual([])
    expect(lock.stderr()).toBe('')
  })

  test('the key has the TTL of the flag, and says so as JSON', async () => {
    const lock = liveRun(['lock', name, '--ttl=33', '-w', 'json'], env)
    await lock.shows(/\n/)
    const { kvs } = JSON.parse(lock.stdout().replace(/"lease":(\d+)/, '"lease":"$1"'))
    expect(Buffer.from(kvs[0].key, 'base64').toString()).toBe(
      `${name}/${BigInt(kvs[0].lease).toString(16)}`,
    )
    const lease = BigInt(kvs[0].lease).toString(16)
    expect((await tsctl('lease', 'timetolive', lease)).stdout.toString()).toMatch(/TTL\(33s\)/)
    lock.interrupt()
    expect(await lock.code).toBe(0)
  })

  test('a TTL that makes no sense is replaced aloud', async () => {
    const result = await tsctl('lock', name, '--ttl=0', ...sh('exit 0'))
    expect(result).toMatchObject({
      code: 0,
      stderr: '--ttl=0 is not positive: 60 is used instead\n',
    })
  })

  test('a signal while waiting takes the own key back', async () => {
    const holder = liveRun(['lock', name], env)
    await holder.shows(/\n\n/)
    const waiter = liveRun(['lock', name], env)
    await untilKeys(2)
    waiter.interrupt()
    expect(await waiter.code).toBe(1)
    expect(waiter.stderr()).toBe('Error: context canceled\n')
    expect(waiter.stdout()).toBe('')
    expect(await keys()).toHaveLength(1)
    holder.interrupt()
    await holder.code
  })

  test('who comes first gets the lock first', async () => {
    const order = path.join(dir, name)
    const holder = liveRun(['lock', name], env)
    await holder.shows(/\n\n/)
    const waiting: Promise<unknown>[] = []
    for (const number of [1, 2, 3]) {
      waiting.push(tsctl('lock', name, ...sh(`echo ${number} >> ${order}`)))
      await untilKeys(number + 1)
    }
    holder.interrupt()
    await Promise.all(waiting)
    expect(await readFile(order, 'utf8')).toBe('1\n2\n3\n')
  })

  test('a waiter between two that gives up lets the last one wait for the first', async () => {
    const holder = liveRun(['lock', name], env)
    await holder.shows(/\n\n/)
    const second = liveRun(['lock', name], env)
    await untilKeys(2)
    const third = liveRun(['lock', name], env)
    await untilKeys(3)
    second.interrupt()
    await second.code
    await tsctl('put', 'a later event', '1')
    expect(third.stdout()).toBe('')
    holder.interrupt()
    await third.shows(/\n\n/)
    third.interrupt()
    expect(await third.code).toBe(0)
  })

  test('a command sees key and revision, and the lock is free when it is done', async () => {
    const seen = path.join(dir, name)
    const script = `echo "$ETCD_LOCK_KEY $ETCD_LOCK_REV" > ${seen}; cat >> ${seen}`
    expect(await tsctl('lock', name, ...sh(script))).toMatchObject({ code: 0, stderr: '' })
    const [, revision] = /^lock\d+\/[0-9a-f]+ (\d+)\n$/.exec(await readFile(seen, 'utf8')) ?? []
    const { stdout } = await tsctl('get', 'nothing', '-w', 'json')
    // The lock, and its end.
    expect(JSON.parse(stdout.toString()).header.revision).toBe(Number(revision) + 1)
    expect(await keys()).toEqual([])
  })

  test('a variable that is there already wins', async () => {
    const seen = path.join(dir, name)
    const words = ['lock', name, ...sh(`echo $ETCD_LOCK_KEY > ${seen}`)]
    await run(words, { env: { ...env, ETCD_LOCK_KEY: 'mine' }, connection: 'real' })
    expect(await readFile(seen, 'utf8')).toBe('mine\n')
  })

  test.each([
    ['exit 7', 7, 'exit status 7'],
    ['kill -KILL $$', 255, 'signal: killed'],
    ['kill -TERM $$', 255, 'signal: terminated'],
  ])('a command that ends with %s', async (script, code, message) => {
    const result = await tsctl('lock', name, ...sh(script))
    expect(result).toMatchObject({ code, stderr: `Error: ${message}\n` })
    expect(await keys()).toEqual([])
  })

  test('a command that is not there', async () => {
    const result = await tsctl('lock', name, 'no-such-command-zz')
    expect(result).toMatchObject({
      code: 1,
      stderr: 'Error: exec: "no-such-command-zz": executable file not found in $PATH\n',
    })
    expect(await keys()).toEqual([])
  })

  test('SIGTERM is passed on, and the answer to it is the exit code', async () => {
    const ready = path.join(dir, name)
    const script = `trap 'exit 9' TERM; echo $$ > ${ready}; while :; do sleep 0.02; done`
    const lock = liveRun(['lock', name, ...sh(script)], env)
    await pidIn(ready)
    lock.interrupt('SIGTERM')
    expect(await lock.code).toBe(9)
    expect(lock.stderr()).toBe('Error: exit status 9\n')
    expect(await keys()).toEqual([])
  })

  test('a command that does not mind the signal goes on, and so does the lock', async () => {
    const ready = path.join(dir, name)
    const script = `trap 'echo stay >> ${ready}' TERM; echo $$ > ${ready}
      until grep -q go ${ready}; do sleep 0.02; done`
    const lock = liveRun(['lock', name, ...sh(script)], env)
    await pidIn(ready)
    for (const times of [1, 2]) {
      lock.interrupt('SIGTERM')
      while ((await readFile(ready, 'utf8')).split('stay').length <= times);
    }
    expect(await keys()).toHaveLength(1)
    await writeFile(ready, 'go')
    expect(await lock.code).toBe(0)
  })

  test('without a command, a lost lease ends it', async () => {
    const lock = liveRun(['lock', name, '--ttl=2'], env)
    await lock.shows(/\n\n/)
    await tsctl('lease', 'revoke', leaseOf(await keys()))
    expect(await lock.code).toBe(1)
    expect(lock.stderr()).toBe('Error: session expired\n')
  })

  test('a waiter whose lease is lost does not wait any longer', async () => {
    const holder = liveRun(['lock', name], env)
    await holder.shows(/\n\n/)
    const [held] = await keys()
    const waiter = liveRun(['lock', name, '--ttl=2'], env)
    await untilKeys(2)
    await tsctl('lease', 'revoke', leaseOf((await keys()).filter((key) => key !== held)))
    expect(await waiter.code).toBe(1)
    expect(waiter.stderr()).toBe('Error: mutex: session is expired\n')
    holder.interrupt()
    expect(await holder.code).toBe(0)
  })

  test.each([
    ['at once', ''],
    // What the child does is the same, whatever the server is.
    ...(serve === bundled ? [['by force when it does not listen', "trap '' TERM;"]] : []),
  ])('a command is ended %s when the lease is lost', async (_how, trap) => {
    const ready = path.join(dir, name)
    const script = `${trap} echo $$ > ${ready}; while :; do sleep 0.02; done`
    const lock = liveRun(['lock', name, '--ttl=2', ...sh(script)], env)
    const pid = await pidIn(ready)
    await tsctl('lease', 'revoke', leaseOf(await keys()))
    expect(await lock.code).toBe(1)
    expect(lock.stderr()).toBe('Error: session expired\n')
    expect(isAlive(pid)).toBe(false)
  })

  test('a command is ended when the server is out of reach for longer than the TTL', async () => {
    await using proxy = await startCuttingProxy({
      target: { host: '127.0.0.1', port: server.port },
    })
    const ready = path.join(dir, name)
    const script = `echo $$ > ${ready}; while :; do sleep 0.02; done`
    const far = { ...env, ETCDCTL_ENDPOINTS: `127.0.0.1:${proxy.port}` }
    const lock = liveRun(['lock', name, '--ttl=2', ...sh(script)], far)
    const pid = await pidIn(ready)
    proxy.refuse()
    expect(await lock.code).toBe(1)
    expect(lock.stderr()).toBe('Error: session expired\n')
    expect(isAlive(pid)).toBe(false)
  })

  describe.skipIf(!isEtcdInstalled)('with etcdctl', () => {
    const etcdctlEnv = () => ({ ETCDCTL_ENDPOINTS: server.endpoint })

    test('etcdctl waits for us', async () => {
      const ours = liveRun(['lock', name], env)
      await ours.shows(/\n\n/)
      const theirs = etcdctl.start(['lock', name], etcdctlEnv())
      await untilKeys(2)
      expect(theirs.stdout()).toBe('')
      ours.interrupt()
      await theirs.shows(/\n\n/)
      expect(await ours.code).toBe(0)
      await theirs.end()
      expect(await keys()).toEqual([])
    })

    test('we wait for etcdctl', async () => {
      const theirs = etcdctl.start(['lock', name], etcdctlEnv())
      await theirs.shows(/\n\n/)
      const ours = liveRun(['lock', name], env)
      await untilKeys(2)
      expect(ours.stdout()).toBe('')
      await theirs.end()
      await ours.shows(/\n\n/)
      ours.interrupt()
      expect(await ours.code).toBe(0)
    })

    test('of twenty contenders none loses the update of another', async () => {
      const file = path.join(dir, name)
      await writeFile(file, '0')
      // Whoever reads while another one is between reading and writing undoes its work.
      const increment = sh(`n=$(cat ${file}); sleep 0.01; echo $((n+1)) > ${file}`)
      const rounds = 2
      const contender = async (index: number): Promise<void> => {
        for (let round = 0; round < rounds; round++) {
          const words = ['lock', name, ...increment]
          const isOurs = index % 2 === 0
          const { code } = isOurs ? await tsctl(...words) : await etcdctl.run(words, etcdctlEnv())
          expect(code).toBe(0)
        }
      }
      await Promise.all(Array.from({ length: 20 }, (_, index) => contender(index)))
      expect(await readFile(file, 'utf8')).toBe(`${20 * rounds}\n`)
      expect(await keys()).toEqual([])
    })
  })

  async function pidIn(file: string): Promise<number> {
    for (;;) {
      const text = await readFile(file, 'utf8').catch(() => '')
      if (text.endsWith('\n')) return Number(text)
    }
  }
}

const leaseOf = ([key]: readonly string[]): string => key?.split('/')[1] ?? ''

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}

describe('lock on the bundled server', () => lockTests(bundled))
describeWithEtcd('lock on a real etcd', () => lockTests(() => startRealEtcd()))
