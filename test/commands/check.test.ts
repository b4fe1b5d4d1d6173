// check: its loads, its words, its verdicts; a minute of it on a clock that runs faster; and what
// is left of its keys.
import http from 'node:http'
import type { AddressInfo } from 'node:net'
import { describe, expect, test } from 'vitest'
import { datascaleOptions, perfOptions } from '../../src/commands/check.js'
import { perfVerdict } from '../../src/commands/check-perf.js'
import { memoryOf } from '../../src/commands/memory-metric.js'
import { barText } from '../../src/commands/progress-bar.js'
import { type Clock, systemClock } from '../../src/platform/clock.js'
import { startEmbedded } from '../support/embedded.js'
import { describeWithEtcd, startRealEtcd } from '../support/real-etcd.js'
import { liveRun } from './live-run.js'
import { failing, lastLine, type Run, run } from './run.js'

const ground = { prefix: 'p', autoCompact: true, autoDefrag: false }

test.each([
  ['s', 150, 50, 10_000, 50],
  ['small', 150, 50, 10_000, 50],
  ['m', 1000, 200, 100_000, 200],
  ['medium', 1000, 200, 100_000, 200],
  ['l', 8000, 500, 1_000_000, 500],
  ['large', 8000, 500, 1_000_000, 500],
  ['xl', 15_000, 1000, 3_000_000, 1000],
  ['xLarge', 15_000, 1000, 3_000_000, 1000],
])('the load %s', (load, perSecond, perfClients, keyCount, datascaleClients) => {
  const perf = { perSecond, clients: perfClients, durationMs: 60_000 }
  expect(perfOptions({ load, ...ground })).toEqual({ ...perf, ...ground })
  const datascale = { keyCount, clients: datascaleClients }
  expect(datascaleOptions({ load, ...ground })).toEqual({ ...datascale, ...ground })
})

test.each(['perf', 'datascale'])('check %s refuses a load that it does not know', async (word) => {
  for (const load of ['x', 'XL', 'S', 'xlarge']) {
    const result = await run(['check', word, `--load=${load}`])
    expect(result).toMatchObject({ code: 4, dialled: [] })
    expect(lastLine(result)).toBe(`Error: unknown load option ${load}`)
  }
})

const kvs = [{ key: Buffer.from('k') }]

test.each([
  [
    ['perf'],
    `prefix "/etcdctl-check-perf/" has keys. Delete with 'etcdctl del --prefix /etcdctl-check-perf/' first`,
  ],
  [
    ['perf', '--prefix=a"b'],
    `prefix "a\\"b" has keys. Delete with 'etcdctl del --prefix a"b' first`,
  ],
  [
    ['datascale'],
    'prefix "/etcdctl-check-datascale/" has keys. Delete with etcdctl del --prefix /etcdctl-check-datascale/ first',
  ],
])('check %j refuses a prefix that has keys', async (words, message) => {
  const connection = () => ({ kv: { range: async () => ({ kvs }) } })
  const result = await run(['check', ...words], { connection })
  expect(result).toMatchObject({ code: 3, closedCount: 50 })
  expect(result.stdout.toString()).toBe('')
  expect(lastLine(result)).toBe(`Error: ${message}`)
})

test('check has as many connections as clients, and not more than fifty', async () => {
  const connection = () => ({ kv: { range: failing(new Error('etcdserver: no leader')) } })
  for (const load of ['s', 'xl']) {
    const result = await run(['check', 'perf', `--load=${load}`], { connection })
    expect(result).toMatchObject({ code: 1, stderr: 'Error: etcdserver: no leader\n' })
    expect(result.dialled).toHaveLength(50)
  }
})

const good = {
  perSecond: 149.2,
  slowestSeconds: 0.0123456,
  stddevSeconds: 0.001,
  errors: new Map(),
}

test.each([
  [
    good,
    'PASS: Throughput is 150 writes/s\nPASS: Slowest request took 0.012346s\nPASS: Stddev is 0.001000s\nPASS',
  ],
  [
    { ...good, perSecond: 135 },
    'FAIL: Throughput too low: 136 writes/s\nPASS: Slowest request took 0.012346s\nPASS: Stddev is 0.001000s\nFAIL',
  ],
  [
    { ...good, slowestSeconds: 0.51 },
    'PASS: Throughput is 150 writes/s\nSlowest request took too long: 0.510000s\nPASS: Stddev is 0.001000s\nFAIL',
  ],
  [
    { ...good, slowestSeconds: 0.5, stddevSeconds: 0.1 },
    'PASS: Throughput is 150 writes/s\nPASS: Slowest request took 0.500000s\nPASS: Stddev is 0.100000s\nPASS',
  ],
  [
    { ...good, stddevSeconds: 0.11 },
    'PASS: Throughput is 150 writes/s\nPASS: Slowest request took 0.012346s\nStddev too high: 0.110000s\nFAIL',
  ],
  [
    {
      ...good,
      errors: new Map([
        ['a', 2],
        ['b', 1],
      ]),
    },
    'FAIL: too many errors\nFAIL: ERROR(a) -> 2\nFAIL: ERROR(b) -> 1\nPASS: Throughput is 150 writes/s\nPASS: Slowest request took 0.012346s\nPASS: Stddev is 0.001000s\nFAIL',
  ],
])('the verdict on %j', (report, text) => {
  const { lines, isPassed } = perfVerdict(report, 150)
  expect(lines.join('\n')).toBe(text)
  expect(isPassed).toBe(text.endsWith('\nPASS'))
})

test.each([
  [0, '[>                             ] 0/60 s'],
  [29, '[==============>               ] 29/60 s'],
  [60, '[==============================] 60/60 s'],
])('the bar at %i', (done, text) => {
  expect(barText(done, 60, 's')).toBe(text)
})

test.each([
  ['a 1\nprocess_resident_memory_bytes 2.5e+07\nb 2\n', { bytes: 25_000_000 }],
  [
    '# HELP process_resident_memory_bytes Bytes.\n',
    { problem: 'could not find: process_resident_memory_bytes' },
  ],
  ['', { problem: 'could not find: process_resident_memory_bytes' }],
  ['process_resident_memory_bytes much\n', { problem: 'parse error: much is no number' }],
])('the memory in the metrics %j', (metrics, memory) => {
  expect(memoryOf(metrics)).toEqual(memory)
})

/** The machine's clock, some times faster. */
const hurried = (factor: number): Clock => ({
  now: () => systemClock.now() * factor,
  wall: () => systemClock.wall(),
  after: (delayMs, callback) => systemClock.after(delayMs / factor, callback),
  every: (intervalMs, callback) => systemClock.every(intervalMs / factor, callback),
})

interface Served extends AsyncDisposable {
  readonly endpoint: string
}

const verdict =
  /^(PASS: Throughput is|FAIL: Throughput too low:) \d+ writes\/s\n(PASS: Slowest request took|Slowest request took too long:) \d+\.\d{6}s\n(PASS: Stddev is|Stddev too high:) \d+\.\d{6}s\n(PASS|FAIL)\n$/

function perfTests(serve: () => Promise<Served>): void {
  // A minute in two seconds: the words and what is left are looked at, not the speed.
  const factor = 40
  const perf = async ({ endpoint }: Served, ...words: string[]): Promise<Run> => {
    const env = {
      ETCDCTL_ENDPOINTS: endpoint,
      // By the hurried clock; none of them is to be over.
      ETCDCTL_COMMAND_TIMEOUT: '1h',
      ETCDCTL_DIAL_TIMEOUT: '1h',
      ETCDCTL_KEEPALIVE_TIMEOUT: '1h',
    }
    const argv = ['check', 'perf', ...words]
    return run(argv, { env, clock: hurried(factor), connection: 'real' })
  }
  const revision = async ({ endpoint }: Served): Promise<number> => {
    const env = { ETCDCTL_ENDPOINTS: endpoint }
    const words = ['get', '/etcdctl-check-perf/', '--prefix', '-w', 'json']
    const { stdout } = await run(words, { env, connection: 'real' })
    const { header, count } = JSON.parse(stdout.toString())
    expect(count).toBeUndefined()
    return header.revision
  }

  test('perf judges, and leaves no keys behind', async () => {
    await using server = await serve()
    const { code, stdout, stderr } = await perf(server)
    expect(stdout.toString()).toMatch(verdict)
    expect(code).toBe(stdout.toString().endsWith('\nPASS\n') ? 0 : 1)
    expect(stderr).toBe('')
    const writes = (await revision(server)) - 2
    // 150 a second for a minute, less what a busy machine does not get done in so short a time.
    expect(writes).toBeGreaterThan(0)
    expect(writes).toBeLessThanOrEqual(9001)
  })

  test('perf compacts and defragments when asked to, and a signal makes it short', async () => {
    await using server = await serve()
    const env = { ETCDCTL_ENDPOINTS: server.endpoint }
    const words = ['check', 'perf', '--auto-compact', '--auto-defrag', '--prefix=x']
    const live = liveRun(words, env, { isTerminal: true })
    await live.shows(/ 1\/60 s/)
    live.interrupt()
    expect(await live.code).toBeLessThanOrEqual(1)
    const [, compacted, rest = ''] =
      /^Compacting with revision (\d+)\nCompacted with revision \1\n(.*)$/s.exec(live.stdout()) ??
      []
    expect(Number(compacted)).toBeGreaterThan(1)
    const defragmented = `Defragmenting "${server.endpoint}"\nDefragmented "${server.endpoint}"\n`
    expect(rest.slice(0, defragmented.length)).toBe(defragmented)
    expect(rest.slice(defragmented.length)).toMatch(verdict)
    // The bar is for a person, and stands where nobody takes it for the result.
    expect(live.stderr()).toContain('] 1/60 s')
  })
}

describe('check on the bundled server', () => perfTests(() => startEmbedded({ storage: 'memory' })))
describeWithEtcd('check on a real etcd', () => {
  perfTests(() => startRealEtcd())

  test('datascale tells the memory that its keys take', async () => {
    await using etcd = await startRealEtcd()
    const env = { ETCDCTL_ENDPOINTS: etcd.endpoint }
    const { code, stdout } = await run(['check', 'datascale'], { env, connection: 'real' })
    expect(stdout.toString()).toMatch(
      /^Start data scale check for work load \[10000 key-value pairs, 1024 bytes per key-value, 50 concurrent clients\]\.\nPASS: Approximate system memory used : \d+\.\d\d MB\.\n$/,
    )
    expect(code).toBe(0)
    expect(await etcd.etcdctl(['get', '', '--prefix', '--limit=1'])).toBe('')
  })
})

/** A server of metrics that says this, one text a request. */
async function metricsServer(...texts: string[]) {
  const server = http.createServer((_request, response) => response.end(texts.shift()))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  return {
    endpoint: `127.0.0.1:${port}`,
    [Symbol.asyncDispose]: () => new Promise<void>((resolve) => void server.close(() => resolve())),
  }
}

const resident = (bytes: number): string => `process_resident_memory_bytes ${bytes}\n`
const start =
  'Start data scale check for work load [10000 key-value pairs, 1024 bytes per key-value, 50 concurrent clients].\n'

/** The outcome of datascale, puts and all against stand-ins, and how often what was called. */
async function scaled(endpoint: string, put: () => Promise<unknown> = async () => ({})) {
  const counts = { puts: 0, deletes: 0 }
  const kv = {
    range: async () => ({ kvs: [] }),
    put: async () => {
      counts.puts++
      return put()
    },
    deleteRange: async () => {
      counts.deletes++
      return { header: { revision: '9' } }
    },
  }
  const words = ['check', 'datascale', `--endpoints=${endpoint}`]
  const { code, stdout, stderr } = await run(words, { connection: () => ({ kv }) })
  return { code, stdout: stdout.toString(), stderr, ...counts }
}

describe('datascale', () => {
  test('is the difference of two figures', async () => {
    await using metrics = await metricsServer(resident(1_000_000), resident(4_145_728))
    const stdout = `${start}PASS: Approximate system memory used : 3.00 MB.\n`
    const counts = { puts: 10_000, deletes: 1 }
    expect(await scaled(metrics.endpoint)).toEqual({ code: 0, stdout, stderr: '', ...counts })
  })

  test('fails without the first figure, and writes nothing', async () => {
    await using metrics = await metricsServer('')
    const stdout =
      'could not find: process_resident_memory_bytes\n' +
      'FAIL: Could not read process_resident_memory_bytes before the put operations.\n'
    const counts = { puts: 0, deletes: 0 }
    expect(await scaled(metrics.endpoint)).toEqual({ code: 1, stdout, stderr: '', ...counts })
  })

  test('fails without the second figure, and tidies up', async () => {
    await using metrics = await metricsServer(resident(1), 'process_resident_memory_bytes x')
    const stdout =
      `${start}parse error: x is no number\n` +
      'FAIL: Could not read process_resident_memory_bytes after the put operations.\n'
    expect(await scaled(metrics.endpoint)).toMatchObject({ code: 1, stdout, deletes: 1 })
  })

  test('fails when there are no metrics to be had', async () => {
    const { code, stdout } = await scaled('127.0.0.1:1')
    expect(code).toBe(1)
    expect(stdout).toMatch(
      /^fetch error: connect ECONNREFUSED 127.0.0.1:1\nFAIL: Could not read .* before/,
    )
  })

  test('counts what failed', async () => {
    await using metrics = await metricsServer(resident(1), resident(2))
    const result = await scaled(metrics.endpoint, failing(new Error('etcdserver: no space')))
    const stdout = `${start}FAIL: too many errors\nFAIL: ERROR(etcdserver: no space) -> 10000\n`
    expect(result).toMatchObject({ code: 1, stdout, stderr: '', deletes: 1 })
  })

  test('needs files that are there when the endpoint speaks TLS', async () => {
    const kv = { range: async () => ({ kvs: [] }) }
    const words = ['check', 'datascale', '--endpoints=https://127.0.0.1:1', '--cacert=/none']
    const { code, stdout } = await run(words, { connection: () => ({ kv }) })
    expect(code).toBe(1)
    expect(stdout.toString()).toMatch(/^client certificate error: .*\/none.*\nFAIL: Could not read/)
  })
})

test('perf tells when its keys could not be removed', async () => {
  const kv = {
    range: async () => ({ kvs: [] }),
    put: async () => ({}),
    deleteRange: failing(new Error('etcdserver: request timed out')),
  }
  const result = await run(['check', 'perf'], { clock: hurried(100), connection: () => ({ kv }) })
  expect(result.stdout.toString()).toMatch(
    /^FAIL: Cleanup failed during key deletion: ERROR\(etcdserver: request timed out\)\n/,
  )
})
