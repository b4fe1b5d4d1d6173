// make-mirror: words to options, and mirrors between the bundled server and a real etcd, both ways.
import { describe, expect, test } from 'vitest'
import { makeMirrorOptions } from '../../src/commands/make-mirror.js'
import { tsctl } from '../conformance/tools.js'
import { startCuttingProxy } from '../support/cutting-proxy.js'
import { startEmbedded } from '../support/embedded.js'
import { newManualClock } from '../support/manual-clock.js'
import { describeWithEtcd, startRealEtcd } from '../support/real-etcd.js'
import { lastLine, run } from './run.js'

const defaults = {
  prefix: '',
  rev: 0n,
  maxTxnOps: 128n,
  destPrefix: '',
  noDestPrefix: false,
  destCert: '',
  destKey: '',
  destCacert: '',
  destInsecureTransport: true,
  destUser: '',
  destPassword: '',
}
const b = (text: string): Buffer => Buffer.from(text)

test.each([
  [{}, { prefix: b(''), destinationPrefix: b(''), fromRevision: 0n, opsMax: 128 }],
  [{ prefix: 'a/' }, { prefix: b('a/'), destinationPrefix: b('a/') }],
  [
    { prefix: 'a/', destPrefix: 'b/' },
    { prefix: b('a/'), destinationPrefix: b('b/') },
  ],
  [{ destPrefix: 'b/' }, { prefix: b(''), destinationPrefix: b('b/') }],
  [
    { prefix: 'a/', noDestPrefix: true },
    { prefix: b('a/'), destinationPrefix: b('') },
  ],
  [{ rev: 1n }, { fromRevision: 0n }],
  [{ rev: -5n }, { fromRevision: 0n }],
  [{ rev: 2n }, { fromRevision: 2n }],
  [
    { rev: 2n, prefix: 'a/' },
    { prefix: b('a/'), destinationPrefix: b('a/') },
  ],
  [{ maxTxnOps: 5n }, { opsMax: 5 }],
])('make-mirror with %o', (flags, expected) => {
  expect(makeMirrorOptions({ ...defaults, ...flags }, ['d']).mirror).toMatchObject(expected)
})

test('the destination has settings of its own', () => {
  const flags = { destCert: 'c', destKey: 'k', destCacert: 'a', destInsecureTransport: false }
  const { destination } = makeMirrorOptions({ ...defaults, ...flags }, ['host:1'])
  expect(destination).toEqual({
    endpoints: ['host:1'],
    tls: {
      ...{ cert: 'c', key: 'k', cacert: 'a' },
      insecureSkipVerify: false,
      insecureTransport: false,
    },
  })
  expect(makeMirrorOptions(defaults, ['host:1']).destination.tls).toEqual({
    ...{ cert: undefined, key: undefined, cacert: undefined },
    insecureSkipVerify: false,
    insecureTransport: true,
  })
})

test.each([
  [[], 'make-mirror takes one destination argument'],
  [['a', 'b'], 'make-mirror takes one destination argument'],
  [
    ['a', '--dest-prefix=x', '--no-dest-prefix'],
    '`--dest-prefix` and `--no-dest-prefix` cannot be set at the same time, choose one',
  ],
])('make-mirror %j is refused', async (words, message) => {
  const result = await run(['make-mirror', ...words])
  expect(result).toMatchObject({ code: 128, dialled: [] })
  expect(lastLine(result)).toBe(`Error: ${message}`)
})

test.each([
  [['--dest-user=root:secret'], { name: 'root', password: 'secret' }],
  [['--dest-user=ro:ot', '--dest-password=secret'], { name: 'ro:ot', password: 'secret' }],
  [['--dest-user=root'], { name: 'root', password: 'typed' }],
  [[], undefined],
])('make-mirror %j logs in at the destination', async (words, user) => {
  const argv = ['make-mirror', 'there', ...words, '--user=here:here', '--endpoints=here']
  const result = await run(argv, { stdin: 'typed\n', connection: () => ({}) })
  const [destination, source] = result.dialled
  expect(destination).toMatchObject({ endpoints: ['there'], token: undefined })
  expect(destination?.user).toEqual(user)
  expect(source).toMatchObject({ endpoints: ['here'], user: { name: 'here', password: 'here' } })
  expect(result.stdout.toString()).toBe(
    user?.password === 'typed' ? 'Destination Password: \n' : '',
  )
})

test('the destination takes time limits and sizes from the global flags and variables', async () => {
  const env = { ETCDCTL_DIAL_TIMEOUT: '7s', ETCDCTL_KEEPALIVE_TIME: '11s' }
  const words = ['make-mirror', 'there', '--max-request-bytes=5000']
  const { dialled } = await run(words, { env, connection: () => ({}) })
  const limits = { dialTimeoutMs: 7000, keepaliveTimeMs: 11_000, maxSendBytes: 5000 }
  expect(dialled).toMatchObject([limits, limits])
})

test('the running total is printed every thirty seconds', async () => {
  const clock = newManualClock()
  const kvs = ['a', 'b', 'c'].map((key) => ({ key: b(key), value: b('v') }))
  const header = { revision: '5' }
  let end = (): void => {}
  const ended = new Promise<void>((resolve) => {
    end = resolve
  })
  const connection = () => ({
    kv: {
      range: async () => ({ kvs, header, more: false }),
      txn: async () => ({}),
    },
    watch: async function* () {
      clock.advance(29_999)
      yield { events: [{ type: 0, kv: { key: b('a'), value: b('w'), mod_revision: '6' } }] }
      clock.advance(1)
      clock.advance(30_000)
      end()
      yield { events: [], canceled: true, compact_revision: '0', cancel_reason: 'enough' }
    },
  })
  const result = await run(['make-mirror', 'there'], { clock, connection })
  await ended
  expect(result.stdout.toString()).toBe('4\n4\n')
  expect(lastLine(result)).toBe('Error: rpc error: code = FailedPrecondition desc = enough')
})

interface Served extends AsyncDisposable {
  readonly endpoint: string
  readonly port: number
}

type Serve = () => Promise<Served>

/** One command line after the other on one server. */
const client =
  ({ endpoint }: Served) =>
  async (...words: string[]): Promise<string> => {
    const env = { ETCDCTL_ENDPOINTS: endpoint }
    const { code, stdout, stderr } = await run(words, { env, connection: 'real' })
    if (code !== 0) throw new Error(`${words.join(' ')}: ${stderr}`)
    return stdout.toString()
  }

const everything = ['get', '', '--prefix'] as const

/** A mirror of the one in the other, until the end of the block. */
function mirrored(
  [source, destination]: readonly [{ endpoint: string }, Served],
  words: readonly string[],
): AsyncDisposable {
  const env = { ETCDCTL_ENDPOINTS: source.endpoint }
  const running = tsctl.start(['make-mirror', destination.endpoint, ...words], env)
  return { [Symbol.asyncDispose]: () => running.end() }
}

/** Waits for that key; looks again when it was not there. */
async function untilThere(there: ReturnType<typeof client>, key: string): Promise<void> {
  while ((await there('get', key)) === '');
}

function mirrorTests(serveSource: Serve, serveDestination: Serve): void {
  test('what was there and what comes is copied, below the new prefix', async () => {
    await using source = await serveSource()
    await using destination = await serveDestination()
    const [here, there] = [client(source), client(destination)]
    for (const key of ['m/1', 'm/2', 'm/m/3', 'other']) await here('put', key, `v of ${key}`)
    await using _mirror = mirrored([source, destination], ['--prefix=m/', '--dest-prefix=copy/'])
    await untilThere(there, 'copy/m/3')
    await here('put', 'other', 'still not')
    await here('put', 'm/4', 'new')
    await here('del', 'm/1')
    await here('put', 'm/2', 'changed')
    while (!(await there('get', 'copy/2')).includes('changed'));
    expect(await there(...everything)).toBe('copy/2\nchanged\ncopy/4\nnew\ncopy/m/3\nv of m/m/3\n')
  })

  test('without a prefix all keys are copied under their own names', async () => {
    await using source = await serveSource()
    await using destination = await serveDestination()
    const [here, there] = [client(source), client(destination)]
    await here('put', '\x00first', '1')
    await here('put', 'z', '2')
    await using _mirror = mirrored([source, destination], [])
    await untilThere(there, 'z')
    await here('put', 'last', '3')
    await untilThere(there, 'last')
    expect(await there(...everything)).toBe(await here(...everything))
  })

  test('more keys than an answer holds are all copied, and those of one revision together', async () => {
    await using source = await serveSource()
    await using destination = await serveDestination()
    const [here, there] = [client(source), client(destination)]
    const txn = async (keys: readonly string[]): Promise<void> => {
      const puts = keys.map((key) => `put ${key} ${key}\n`).join('')
      const env = { ETCDCTL_ENDPOINTS: source.endpoint }
      await run(['txn'], { env, stdin: `\n${puts}\n\n`, connection: 'real' })
    }
    const numbered = Array.from({ length: 2010 }, (_, i) => `k${String(i).padStart(4, '0')}`)
    for (let at = 0; at < numbered.length; at += 100) await txn(numbered.slice(at, at + 100))
    await using _mirror = mirrored(
      [source, destination],
      ['--prefix=k', '--no-dest-prefix', '--max-txn-ops=4'],
    )
    await untilThere(there, '2009')
    await txn(Array.from({ length: 10 }, (_, i) => `knew${i}`))
    await untilThere(there, 'new9')
    const { kvs } = JSON.parse(await there('get', 'new', '--prefix', '-w', 'json'))
    const revisions = kvs.map((kv: { mod_revision: number }) => kv.mod_revision)
    const [first] = revisions
    // Ten changes of one revision, four at a time.
    const together = [0, 0, 0, 0, 1, 1, 1, 1, 2, 2]
    expect(revisions).toEqual(together.map((part) => first + part))
    const base = JSON.parse(await there('get', '000', '--prefix', '-w', 'json')).kvs
    expect(base.map((kv: { mod_revision: number }) => kv.mod_revision)).toEqual([
      ...[2, 2, 2, 2, 3, 3, 3, 3, 4, 4],
    ])
    const copy = await there(...everything)
    const original = await here('get', 'k', '--prefix')
    expect(copy).toBe(original.replace(/^k(.*)\n(.*)\n/gm, '$1\n$2\n'))
  })

  test('values that are too large for one transaction together are copied', async () => {
    await using source = await serveSource()
    await using destination = await serveDestination()
    const [here, there] = [client(source), client(destination)]
    for (const key of ['a', 'b', 'c', 'd', 'e', 'f']) await here('put', key, key.repeat(400_000))
    await using _mirror = mirrored([source, destination], [])
    await untilThere(there, 'f')
    expect(await there(...everything)).toBe(await here(...everything))
  })

  test('a mirror resumes at a revision without copying what was before', async () => {
    await using source = await serveSource()
    await using destination = await serveDestination()
    const [here, there] = [client(source), client(destination)]
    await here('put', 'p/old', '1')
    const at = JSON.parse(await here('put', 'p/missed', '2', '-w', 'json')).header.revision
    await here('del', 'p/old')
    await here('put', 'p/new', '3')
    await using _mirror = mirrored([source, destination], ['--prefix=p/', `--rev=${at}`])
    await untilThere(there, 'p/new')
    expect(await there(...everything)).toBe('p/missed\n2\np/new\n3\n')
  })
}

/** What becomes of a mirror when something is in its way. */
function trouble(serveSource: Serve, serveDestination: Serve): void {
  test('a mirror goes on where it was when its connections break', async () => {
    await using source = await serveSource()
    await using destination = await serveDestination()
    await using near = await startCuttingProxy({ target: { host: '127.0.0.1', port: source.port } })
    const [here, there] = [client(source), client(destination)]
    await here('put', 'a', '1')
    await using _mirror = mirrored([{ endpoint: `127.0.0.1:${near.port}` }, destination], [])
    await untilThere(there, 'a')
    for (const value of ['2', '3', '4']) {
      near.cut()
      await here('put', value, value)
      await untilThere(there, value)
    }
    expect(await there(...everything)).toBe(await here(...everything))
  })

  test('a revision that is compacted ends it', async () => {
    await using source = await serveSource()
    await using destination = await serveDestination()
    const here = client(source)
    for (const value of ['1', '2', '3', '4']) await here('put', 'k', value)
    await here('compaction', '4')
    const env = { ETCDCTL_ENDPOINTS: source.endpoint }
    const words = ['make-mirror', destination.endpoint, '--rev=2']
    const { code, stderr } = await run(words, { env, connection: 'real' })
    const message = 'etcdserver: mvcc: required revision has been compacted'
    expect({ code, stderr }).toEqual({ code: 1, stderr: `Error: ${message}\n` })
  })

  test('a destination that refuses ends it', async () => {
    await using source = await serveSource()
    await using destination = await serveDestination()
    await client(source)('put', 'k', 'v'.repeat(1_200_000))
    const small = ['make-mirror', destination.endpoint, '--max-request-bytes=1000000']
    const env = { ETCDCTL_ENDPOINTS: source.endpoint }
    const { code, stderr } = await run(small, { env, connection: 'real' })
    expect(code).toBe(1)
    expect(stderr).toMatch(/^Error: rpc error: code = ResourceExhausted desc = /)
  })
}

const bundled: Serve = () => startEmbedded({ storage: 'memory' })

describe('make-mirror from one bundled server to another', () => {
  mirrorTests(bundled, bundled)
  trouble(bundled, bundled)
})
describeWithEtcd('make-mirror from the bundled server to a real etcd', () =>
  mirrorTests(bundled, () => startRealEtcd()),
)
describeWithEtcd('make-mirror from a real etcd to the bundled server', () =>
  mirrorTests(() => startRealEtcd(), bundled),
)
