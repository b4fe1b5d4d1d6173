// watch: its words and variables, its texts and exit codes, sessions, and a real etcd.
import { once } from 'node:events'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { Writable } from 'node:stream'
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { type DeepPartial, WatchResponse } from '../../src/api/gen/rpc.js'
import type { WatchCreate } from '../../src/connection/connect.js'
import { describeWithEtcd, type RealEtcd, startRealEtcd } from '../support/real-etcd.js'
import { type LiveRun, liveRun } from './live-run.js'
import { lastLine, run, type Surroundings } from './run.js'

/** A connection whose watches give these answers and then end. */
function answering(...answers: DeepPartial<WatchResponse>[]) {
  const creates: WatchCreate[] = []
  const watch = (create: WatchCreate) => {
    creates.push(create)
    return (async function* () {
      for (const answer of answers) yield WatchResponse.fromPartial(answer)
    })()
  }
  return { creates, connection: () => ({ watch }) }
}

const created = { created: true, header: { revision: '5' } }
const put = (key: string, value: string) => ({
  kv: { key: Buffer.from(key), value: Buffer.from(value), mod_revision: '6' },
})

/** What the words ask the server to watch, and the exit code. */
async function asked(words: readonly string[], env: Record<string, string> = {}) {
  const { creates, connection } = answering(created)
  const { code } = await run(['watch', ...words], { connection, env })
  const [{ key, range_end, ...rest } = { key: Buffer.alloc(0) }] = creates
  return { code, key: key.toString(), end: range_end?.toString(), ...rest }
}

test('a reader that goes after the first line ends the watch, though nothing more happens', async () => {
  const lines: string[] = []
  const stdout = new Writable({
    write(data: Buffer, _encoding, done) {
      if (lines.length > 0) return done(Object.assign(new Error('gone'), { code: 'EPIPE' }))
      lines.push(data.toString())
      done()
    },
  })
  // One event, and then silence until the command gives up the watch.
  const watch = async function* (_: WatchCreate, { signal }: { signal: AbortSignal }) {
    yield WatchResponse.fromPartial({ events: [put('key', 'value')] })
    if (!signal.aborted) await once(signal, 'abort')
  }
  const { code } = await run(['watch', 'key'], { stdout, connection: () => ({ watch }) })
  expect([code, lines]).toEqual([0, ['PUT\n']])
})

const keyVariable = { ETCDCTL_WATCH_KEY: 'foo' }
const bothVariables = { ...keyVariable, ETCDCTL_WATCH_RANGE_END: 'goo' }

test.each([
  [['foo'], {}, { key: 'foo', end: '' }],
  [['foo', 'goo'], {}, { key: 'foo', end: 'goo' }],
  [['foo', 'goo', 'hoo'], {}, { key: 'foo', end: '' }],
  [['foo', '--', 'true'], {}, { key: 'foo', end: '' }],
  [['foo', 'goo', '--', 'goo', 'x'], {}, { key: 'foo', end: 'goo' }],
  [['foo', '--', 'echo', 'echo'], {}, { key: 'foo', end: '' }],
  [['--prefix', 'foo'], {}, { key: 'foo', end: 'fop' }],
  [['--prefix', ''], {}, { key: '\0', end: '\0' }],
  [[''], {}, { key: '', end: '' }],
  [['--rev', '3', 'foo'], {}, { start_revision: '3' }],
  [['--rev=-1', 'foo'], {}, { start_revision: '-1' }],
  [['--prev-kv', '--progress-notify', 'foo'], {}, { prev_kv: true, progress_notify: true }],
  [[], keyVariable, { key: 'foo', end: '' }],
  [[], bothVariables, { key: 'foo', end: 'goo' }],
  [['--', 'true'], bothVariables, { key: 'foo', end: 'goo' }],
  [['--prefix'], keyVariable, { key: 'foo', end: 'fop' }],
] as const)('watch %j with %j asks for %j', async (words, env, expected) => {
  expect(await asked(words, env)).toMatchObject(expected)
})

test.each([
  [['foo', '--'], {}, 'bad number of arguments (found separator --, but no commands)'],
  [[], {}, 'bad number of arguments'],
  [['--', 'true'], {}, 'bad number of arguments'],
  [['foo'], keyVariable, 'bad number of arguments (found conflicting environment key)'],
  [
    ['foo', '--', 'true'],
    keyVariable,
    'bad number of arguments (found conflicting environment key)',
  ],
  [
    ['foo'],
    { ETCDCTL_WATCH_RANGE_END: 'x' },
    'ETCDCTL_WATCH_KEY is empty but got ETCDCTL_WATCH_RANGE_END="x"',
  ],
  [['--prefix', 'foo', 'goo'], {}, '`range_end` and `--prefix` are mutually exclusive'],
  [['--prefix'], bothVariables, '`range_end` and `--prefix` are mutually exclusive'],
] as const)('watch %j with %j is refused', async (words, env, message) => {
  const result = await run(['watch', ...words], { env })
  expect(result.code).toBe(128)
  expect(lastLine(result)).toBe(`Error: ${message}`)
  expect(result.dialled).toEqual([])
})

test('events are printed, the creation of the watch is not', async () => {
  const gone = { type: 1, kv: { key: Buffer.from('a') } } as const
  const { connection } = answering(created, { events: [put('a', '1'), gone] })
  const { stdout } = await run(['watch', 'a'], { connection })
  expect(stdout.toString()).toBe('PUT\na\n1\nDELETE\na\n\n')
})

test('progress is printed in every format', async () => {
  const { connection } = answering(created, { header: { revision: '7' } })
  const simple = await run(['watch', 'a'], { connection })
  expect(simple.stdout.toString()).toBe('progress notify: 7\n')
  const json = await run(['watch', 'a', '-w', 'json'], { connection })
  expect(json.stdout.toString()).toMatch(/^progress notify: 7\n\{"Header":\{"revision":7\}/)
})

test.each([
  [
    { created: true, cancel_reason: 'mvcc: watcher range is empty', watch_id: '-1' },
    'mvcc: watcher range is empty',
    '{"Header":{},"Events":null,"CompactRevision":0,"Canceled":true,"Created":false,"CancelReason":""}\n',
  ],
  [
    { compact_revision: '8', header: { raft_term: '2' } },
    'etcdserver: mvcc: required revision has been compacted',
    '{"Header":{"raft_term":2},"Events":null,"CompactRevision":8,"Canceled":true,"Created":false,"CancelReason":""}\n',
  ],
  [{ created: true, cancel_reason: 'etcdserver: no leader' }, 'etcdserver: no leader', undefined],
  [{ cancel_reason: 'odd' }, 'rpc error: code = FailedPrecondition desc = odd', undefined],
  [{}, 'etcdserver: mvcc: required revision is a future revision', undefined],
])('a watch cancelled with %j says why and exits with 5', async (answer, reason, json) => {
  const { connection } = answering({ ...answer, canceled: true })
  const result = await run(['watch', 'a', '-w', 'json'], { connection })
  expect(result.code).toBe(5)
  expect(result.stderr).toBe(
    `watch was canceled (${reason})\nError: watch is canceled by the server\n`,
  )
  if (json !== undefined) {
    expect(result.stdout.toString()).toBe(json)
  }
})

test.each([
  [['sh', '-c', 'exit 3'], 'command ["sh" "-c" "exit 3"] error (exit status 3)'],
  [['sh', '-c', 'kill -9 $$'], 'command ["sh" "-c" "kill -9 $$"] error (signal: killed)'],
  [
    ['no-such-program'],
    'command ["no-such-program"] error (exec: "no-such-program": executable file not found in $PATH)',
  ],
  [['./no-such'], 'command ["./no-such"] error (fork/exec ./no-such: no such file or directory)'],
  [['/tmp'], 'command ["/tmp"] error (fork/exec /tmp: permission denied)'],
])('the command %j fails after its event was printed', async (command, message) => {
  const { connection } = answering(created, { events: [put('a', '1'), put('b', '2')] })
  const env = { PATH: process.env.PATH ?? '' }
  const result = await run(['watch', 'a', '--', ...command], { connection, env })
  expect(result).toMatchObject({ code: 1, stderr: `${message}\n` })
  expect(result.stdout.toString()).toBe('PUT\na\n1\nPUT\nb\n2\n')
})

test('the command runs once for each event and sees it', async () => {
  const dir = await mkdtemp(path.join(tmpdir(), 'watch-'))
  try {
    const file = path.join(dir, 'seen')
    const script = `read -r line && exit 9; env | grep ^ETCD_WATCH | sort >> ${file}`
    const header = { revision: '6' }
    const { connection } = answering(created, { header, events: [put('a', '1'), put('\n', '"')] })
    const env = { PATH: process.env.PATH ?? '' }
    const result = await run(['watch', 'a', '--', 'sh', '-c', script], { connection, env })
    expect(result.stderr).toBe('Error: watch is canceled by the server\n')
    expect(await readFile(file, 'utf8')).toBe(
      [
        'ETCD_WATCH_EVENT_TYPE="PUT"\nETCD_WATCH_KEY="a"',
        'ETCD_WATCH_REVISION=6\nETCD_WATCH_VALUE="1"',
        'ETCD_WATCH_EVENT_TYPE="PUT"\nETCD_WATCH_KEY="\\n"',
        'ETCD_WATCH_REVISION=6\nETCD_WATCH_VALUE="\\""',
        '',
      ].join('\n'),
    )
  } finally {
    await rm(dir, { recursive: true })
  }
})

/** The messages of a session that is typed these lines and then no more. */
async function session(input: string, around: Surroundings = {}): Promise<string[]> {
  const { connection } = answering(created)
  const result = await run(['watch', '-i'], { connection, stdin: input, ...around })
  return [`${result.code}`, ...result.stderr.trimEnd().split('\n')]
}

const endOfInput = 'Error: error reading watch request line: EOF'

test.each([
  ['\n', ['Invalid command:  (watch and progress supported)']],
  ['put a b\n', ['Invalid command put a b (only support watch)']],
  ['watch\n', ['Invalid command watch (command type or key is not provided)']],
  [
    'watch --prefix a b\n',
    ['Invalid command watch --prefix a b (`range_end` and `--prefix` are mutually exclusive)'],
  ],
  ['watch a\nprogress', []],
])('in a session %j is complained about and the session goes on', async (input, complaints) => {
  expect(await session(input)).toEqual(['3', ...complaints, endOfInput])
})

test.each([
  ['watch --rev 1\n', '128', 'bad number of arguments'],
  ['watch a --\n', '128', 'bad number of arguments (found separator --, but no commands)'],
  ['watch --nosuch a\n', '128', 'unknown flag: --nosuch'],
  ['watch -x a\n', '128', "unknown shorthand flag: 'x' in -x"],
  ['watch "\\q"\n', '3', 'invalid syntax'],
])('in a session %j is the end', async (input, code, message) => {
  expect(await session(input)).toEqual([code, `Error: ${message}`])
})

test('in a session the variables give the key, and the flags of the line count', async () => {
  const { connection, creates } = answering(created)
  const env = { ETCDCTL_WATCH_KEY: 'foo' }
  await run(['watch', '-i', '--rev', '9'], { connection, env, stdin: 'watch --prefix\n' })
  expect(creates).toMatchObject([{ key: Buffer.from('foo'), start_revision: '0' }])
})

describeWithEtcd('watch on a real etcd', () => {
  let etcd: RealEtcd
  beforeAll(async () => {
    etcd = await startRealEtcd()
  })
  afterAll(async () => {
    await etcd?.[Symbol.asyncDispose]()
  })

  let count = 0
  let prefix = ''
  beforeEach(() => {
    prefix = `test-${count++}/`
  })
  const start = (...words: string[]): LiveRun =>
    liveRun(['watch', `--endpoints=${etcd.endpoint}`, ...words], { PATH: process.env.PATH ?? '' })
  const putKey = (name: string, value: string) => etcd.etcdctl(['put', prefix + name, value])

  test('three puts are three events', async () => {
    await putKey('k', '0')
    const watch = start('--rev=1', '--prefix', prefix)
    await watch.shows(/0\n$/)
    for (const value of ['1', '2', '3']) await putKey('k', value)
    await watch.shows(/3\n$/)
    const event = (value: string) => `PUT\n${prefix}k\n${value}\n`
    expect(watch.stdout()).toBe(['0', '1', '2', '3'].map(event).join(''))
    await etcd.stop('SIGKILL')
    await etcd.start()
    await putKey('k', '4')
    await watch.shows(/4\n$/)
    expect(watch.stderr()).toBe('')
  })

  test('what was compacted cannot be watched', async () => {
    await putKey('k', '1')
    const revision = /"revision":(\d+)/.exec(await etcd.etcdctl(['get', 'x', '-w', 'json']))?.[1]
    await etcd.etcdctl(['compaction', revision ?? ''])
    const watch = start('--rev=1', prefix)
    expect(await watch.code).toBe(5)
    expect(watch.stderr()).toBe(
      'watch was canceled (etcdserver: mvcc: required revision has been compacted)\n' +
        'Error: watch is canceled by the server\n',
    )
  })

  test('a session runs several watches and reports progress for each', async () => {
    const session = start('-i')
    session.type(`watch ${prefix}a\nwatch "${prefix}b" --prev-kv\nprogress\n`)
    await session.shows(/(progress notify: \d+\n){2}/)
    await putKey('b', '1')
    await session.shows(/b\n1\n/)
    await putKey('a', '2')
    await session.shows(/a\n2\n/)
    session.endInput()
    expect(await session.code).toBe(3)
    expect(session.stderr()).toBe(`${endOfInput}\n`)
    expect(session.stdout()).toMatch(
      new RegExp(`^(progress notify: \\d+\n){2}PUT\n${prefix}b\n1\nPUT\n${prefix}a\n2\n$`),
    )
  })

  test('in a session a command that fails ends it, and a cancelled watch does not', async () => {
    const session = start('-i')
    session.type('watch b a\n')
    await session.shows(/watch was canceled \(mvcc: watcher range is empty\)\n/)
    session.type(`watch ${prefix}a -- sh -c "exit 4"\n`)
    session.type('nonsense\n')
    await session.shows(/nonsense/)
    await putKey('a', '1')
    expect(await session.code).toBe(1)
    expect(session.stderr()).toMatch(/command \["sh" "-c" "exit 4"\] error \(exit status 4\)\n$/)
  })
})
