// The tutorial, step by step, written once and run on three pairs: tsctl with the bundled server,
// tsctl with a real etcd, the real etcdctl with the bundled server. What is printed is compared
// with the whole text that a reader of the tutorial expects; and each step is taken twice, with
// flags and with ETCDCTL_* variables.
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { startEmbedded } from '../support/embedded.js'
import { describeWithEtcd, startRealEtcd } from '../support/real-etcd.js'
import { runTsctl, startServerProcess } from '../support/server-process.js'
import { etcdctl, type Finished, type Lasting, type Tool, tsctl } from './tools.js'

const peerUrl = 'http://localhost:2380'
const clientUrl = 'http://localhost:2379'

interface Served extends AsyncDisposable {
  readonly endpoint: string
}

const bundled = (): Promise<Served> =>
  startEmbedded({ config: { advertiseClientUrls: [clientUrl] } })

/** With the peer URL of a default member, so that it has the id of the tutorial. */
const realEtcd = (): Promise<Served> =>
  startRealEtcd({
    flags: [
      `--initial-advertise-peer-urls=${peerUrl}`,
      `--initial-cluster=default=${peerUrl}`,
      `--advertise-client-urls=${clientUrl}`,
    ],
  })

const pairs: readonly [string, Tool, () => Promise<Served>][] = [
  ['tsctl with the bundled server', tsctl, bundled],
  ['tsctl with a real etcd', tsctl, realEtcd],
  ['etcdctl with the bundled server', etcdctl, bundled],
]

const rule = `+${[18, 9, 9, 23, 23, 12].map((width) => '-'.repeat(width)).join('+')}+\n`
const row = (...cells: string[]): string => `| ${cells.join(' | ')} |\n`
const columns = [
  ...['       ID       ', 'STATUS ', ' NAME  '],
  ...['     PEER ADDRS      ', '    CLIENT ADDRS     ', 'IS LEARNER'],
]
const cells = ['8e9e05c52164694d', 'started', 'default', peerUrl, clientUrl, '     false']
const memberTable = `${rule}${row(...columns)}${rule}${row(...cells)}${rule}`
const ok = (stdout: string): Finished => ({ code: 0, stdout, lastError: '' })

for (const [name, client, serve] of pairs) {
  const isNew = client === tsctl && serve === bundled
  const suite = isNew ? describe : describeWithEtcd
  suite(`the tutorial: ${name}`, () => {
    let server: Served
    let dir: string
    beforeAll(async () => {
      server = await serve()
      dir = await mkdtemp(path.join(tmpdir(), 'tutorial-'))
    })
    afterAll(async () => {
      await server?.[Symbol.asyncDispose]()
      await rm(dir, { recursive: true, force: true })
    })

    describe.each(['flags', 'variables'] as const)('by %s', (how) => {
      const isByFlags = how === 'flags'
      const flags = () => (isByFlags ? [`--endpoints=${server.endpoint}`] : [])
      const env = () => (isByFlags ? {} : { ETCDCTL_ENDPOINTS: server.endpoint })
      const run = (...words: string[]) => client.run([...flags(), ...words], env())
      const start = (...words: string[]) => client.start([...words, ...flags()], env())
      const runTable = (...words: string[]) =>
        isByFlags
          ? run(...words, '--write-out=table')
          : client.run(words, { ...env(), ETCDCTL_WRITE_OUT: 'table' })

      test('member list draws the table', async () => {
        expect(await runTable('member', 'list')).toMatchObject(ok(memberTable))
        expect((await run('member', 'list')).stdout).toBe(
          `8e9e05c52164694d, started, default, ${peerUrl}, ${clientUrl}, false\n`,
        )
      })

      test('what is put can be got, and is gone after del', async () => {
        expect(await run('put', 'mykey', 'myvalue')).toMatchObject(ok('OK\n'))
        expect(await run('get', 'mykey')).toMatchObject(ok('mykey\nmyvalue\n'))
        expect(await run('get', 'mykey', '--print-value-only')).toMatchObject(ok('myvalue\n'))
        expect(await run('del', 'mykey')).toMatchObject(ok('1\n'))
        expect(await run('get', 'mykey')).toMatchObject(ok(''))
      })

      test('bytes of any kind go in and come out', async () => {
        const value = Buffer.from('a\0b\n\xff\xfe', 'latin1')
        const put = await client.run([...flags(), 'put', 'binary'], env(), value)
        expect(put).toMatchObject(ok('OK\n'))
        const { stdout } = await run('get', 'binary', '--write-out=json')
        const { kvs } = JSON.parse(stdout)
        expect(Buffer.from(kvs[0].value, 'base64').equals(value)).toBe(true)
      })

      test('a watch in another terminal shows three puts', async () => {
        const watch = start('watch', 'watched')
        await untilWatching(watch, () => run('put', 'watched', 'not yet'))
        for (const value of ['1', '2', '3']) await run('put', 'watched', value)
        await watch.shows(/PUT\nwatched\n3\n/)
        await watch.end()
        const shown = watch.stdout().replace(/^(PUT\nwatched\nnot yet\n)+/, '')
        expect(shown).toBe('PUT\nwatched\n1\nPUT\nwatched\n2\nPUT\nwatched\n3\n')
      })

      test('a lease is granted, listed, used, kept alive and revoked', async () => {
        const granted = await run('lease', 'grant', '60')
        const [line, id = ''] = /^lease ([0-9a-f]{16}) granted with TTL\(60s\)\n$/.exec(
          granted.stdout,
        ) ?? ['nothing like it']
        expect(granted.stdout).toBe(line)
        expect(await run('lease', 'list')).toMatchObject(ok(`found 1 leases\n${id}\n`))
        expect(await run('put', 'mykey', 'myvalue', `--lease=${id}`)).toMatchObject(ok('OK\n'))
        const keeping = start('lease', 'keep-alive', id)
        await keeping.shows(new RegExp(`^lease ${id} keepalived with TTL\\(60\\)\n`))
        await keeping.end()
        const left = await run('lease', 'timetolive', id, '--keys')
        const remaining = `remaining\\(\\d+s\\), attached keys\\(\\[mykey\\]\\)`
        expect(left.stdout).toMatch(
          new RegExp(`^lease ${id} granted with TTL\\(60s\\), ${remaining}\n$`),
        )
        expect(await run('get', 'mykey')).toMatchObject(ok('mykey\nmyvalue\n'))
        expect(await run('lease', 'revoke', id)).toMatchObject(ok(`lease ${id} revoked\n`))
        expect(await run('get', 'mykey')).toMatchObject(ok(''))
        expect(await run('lease', 'list')).toMatchObject(ok('found 0 leases\n'))
        const again = await run('lease', 'revoke', id)
        expect(again.code).toBe(1)
        expect(again.lastError).toMatch(/etcdserver: requested lease not found/)
      })

      test('a snapshot is saved and can be read', async () => {
        const file = path.join(dir, `${how}.db`)
        const saved = await run('snapshot', 'save', file)
        expect(saved.code).toBe(0)
        // etcdctl before 3.6 does not tell, and a server before 3.6 is not able to.
        const version = isNew ? 'Server version 3.7.0\n' : ''
        expect(saved.stdout).toBe(`Snapshot saved at ${file}\n${version}`)
        expect((await readFile(file)).length % 512).toBe(32)
      })

      test('an empty key and a future revision are refused in the words of etcd', async () => {
        const empty = await run('put', '', 'v')
        expect(empty.code).toBe(1)
        expect(empty.lastError).toMatch(/etcdserver: key is not provided/)
        const future = await run('get', 'mykey', '--rev=1000000')
        expect(future.code).toBe(1)
        expect(future.lastError).toMatch(/mvcc: required revision is a future revision/)
      })
    })

    test('a lease that runs out takes its keys; one that is kept alive does not', async () => {
      const env = { ETCDCTL_ENDPOINTS: server.endpoint }
      const run = (...words: string[]) => client.run(words, env)
      const grant = async (ttl: string): Promise<string> => {
        const { stdout } = await run('lease', 'grant', ttl)
        expect(stdout).toContain(` granted with TTL(${ttl}s)\n`)
        return /^lease (\S+) /.exec(stdout)?.[1] ?? ''
      }
      const kept = await grant('5')
      const keeping = client.start(['lease', 'keep-alive', kept], env)
      await run('put', 'kept', 'v', `--lease=${kept}`)
      const watch = client.start(['watch', 'ending', '--rev=1'], env)
      await run('put', 'ending', 'v', `--lease=${await grant('3')}`)
      await watch.shows(/DELETE\nending\n\n/)
      await watch.end()
      expect(watch.stdout()).toBe('PUT\nending\nv\nDELETE\nending\n\n')
      await keeping.shows(/(keepalived with TTL\(5\)\n.*){3}/s)
      expect(await run('get', 'kept')).toMatchObject(ok('kept\nv\n'))
      expect(await run('get', 'ending')).toMatchObject(ok(''))
      await run('lease', 'revoke', kept)
      await keeping.shows(/expired or revoked/)
      await keeping.end()
    })
  })
}

/** A watch does not say that it has begun; its first event does. */
async function untilWatching(watch: Lasting, change: () => Promise<unknown>): Promise<void> {
  let isWatching = false
  const first = watch.shows(/PUT/).then(() => {
    isWatching = true
  })
  // Each to its end: none may come after what the test does next.
  while (!isWatching) await change()
  await first
}

describeWithEtcd('the tutorial with users of a real etcd', () => {
  test('root puts and gets with its password, by flag and by variable', async () => {
    await using etcd = await startRealEtcd()
    await etcd.etcdctl(['user', 'add', 'root:PASSWORD'])
    await etcd.etcdctl(['user', 'grant-role', 'root', 'root']).catch(() => '')
    await etcd.etcdctl(['auth', 'enable'])
    const env = { ETCDCTL_ENDPOINTS: etcd.endpoint }
    const user = '--user=root:PASSWORD'
    expect(await tsctl.run([user, 'put', '/message', 'Hello'], env)).toMatchObject(ok('OK\n'))
    expect(await tsctl.run([user, 'get', '/message'], env)).toMatchObject(ok('/message\nHello\n'))
    const withUser = { ...env, ETCDCTL_USER: 'root:PASSWORD' }
    expect(await tsctl.run(['get', '/message'], withUser)).toMatchObject(ok('/message\nHello\n'))
    for (const wrong of [[], ['--user=root:wrong']]) {
      const words = [...wrong, 'get', '/message']
      const [ours, theirs] = [await tsctl.run(words, env), await etcdctl.run(words, env)]
      expect(ours.code).toBe(theirs.code)
      expect(theirs.lastError).toContain(ours.lastError.replace(/^Error: /, ''))
    }
  })
})

describe('the real processes', () => {
  test('server and client of the built command do what the tutorial says', async () => {
    await using server = await startServerProcess(['--data-dir='])
    const env = { ETCDCTL_ENDPOINTS: server.endpoint }
    const run = (...words: string[]) => runTsctl(words, { env })
    expect(await run('put', 'mykey', 'myvalue')).toEqual({ code: 0, stdout: 'OK\n', stderr: '' })
    expect((await run('get', 'mykey')).stdout).toBe('mykey\nmyvalue\n')
    expect((await run('member', 'list')).stdout).toBe(
      `8e9e05c52164694d, started, default, ${peerUrl}, http://${server.endpoint}, false\n`,
    )
    expect(await server.stop('SIGTERM')).toBe(0)
  })
})
