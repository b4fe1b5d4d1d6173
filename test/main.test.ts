// What a script sees of any command: which command a word means, help, errors, exit codes, and
// what happens to output. No server: a stand-in takes the place of the connection.
import { Writable } from 'node:stream'
import { describe, expect, test } from 'vitest'
import { PutResponse, RangeResponse, WatchResponse } from '../src/api/gen/rpc.js'
import { EtcdError } from '../src/api/rpc-errors.js'
import { argument } from '../src/commands/context.js'
import { groups } from '../src/commands/entry.js'
import { table } from '../src/commands/table.js'
import { ConnectionError, ContextError } from '../src/connection/errors.js'
import { failing, lastLine, run } from './commands/run.js'

const emptyRange = {
  rangeRaw: async () => Buffer.from(RangeResponse.encode(RangeResponse.fromPartial({})).finish()),
}

describe('which command is meant', () => {
  test('no word at all prints help', async () => {
    const { code, stdout, stderr } = await run([])
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    expect(`${stdout}`).toMatch(/^tsctl .*\n\nUsage:\n {2}tsctl \[command\]\n/)
  })

  test.each([
    [['version']],
    [['ver']],
    [['--endpoints', 'x', 'version']],
    [['-w', 'json', '--hex', 'version']],
    [['--endpoints=x', 'vers', 'ignored']],
  ])('%j is version', async (words) => {
    const { code, stdout } = await run(words)
    expect(code).toBe(0)
    expect(`${stdout}`).toBe('etcdctl version: 3.7.1\nAPI version: 3.7\n')
  })

  test('words of a group may be shortened too', async () => {
    const { stderr, code } = await run(['mem', 'rem', 'zz'])
    expect(code).toBe(128)
    expect(stderr).toMatch(/^Error: bad member ID arg/)
  })

  test('what only tsctl has must be written out, so that short forms stay etcdctl’s', async () => {
    const { code, stdout } = await run(['s'])
    expect(code).toBe(0)
    expect(`${stdout}`).toContain('Usage:\n  tsctl snapshot [command]\n')
  })

  test('an unknown word is an error with names that may have been meant', async () => {
    expect(await run(['gett', 'a'])).toMatchObject({
      code: 1,
      stdout: Buffer.of(),
      stderr:
        'Error: unknown command "gett" for "tsctl"\n\nDid you mean this?\n\tget\n\n' +
        "Run 'tsctl --help' for usage.\n",
    })
    expect(await run(['frobnicate'])).toMatchObject({
      code: 1,
      stderr: 'Error: unknown command "frobnicate" for "tsctl"\nRun \'tsctl --help\' for usage.\n',
    })
  })

  test('a beginning of several names is unknown, and each of them is offered', async () => {
    const { code, stderr } = await run(['de'])
    expect(code).toBe(1)
    expect(stderr).toContain('Did you mean this?\n\tget\n\tdel\n\tdefrag\n')
  })

  test('an unknown word below a group prints its help, as etcdctl does', async () => {
    const { code, stdout, stderr } = await run(['member', 'foo'])
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    expect(`${stdout}`).toContain('Usage:\n  tsctl member [command]\n')
    expect((await run(['member', 'foo', '--nope'])).stderr).toMatch(/^Error: unknown flag: --nope/)
  })

  test('the word behind an unknown flag is taken for its value', async () => {
    const { code, stderr } = await run(['--nope', 'version', 'get'])
    expect(code).toBe(1)
    expect(stderr).toMatch(/^Error: unknown flag: --nope\nUsage:\n {2}tsctl get /)
  })
})

describe('help', () => {
  test.each([
    [['get', '--help']],
    [['get', '-h', 'a', 'b']],
    [['help', 'get']],
    [['--help', 'get']],
  ])('%j', async (words) => {
    const { code, stdout, stderr } = await run(words)
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    const text = `${stdout}`
    expect(text).toMatch(/^Prints a key or a range of keys\n\nUsage:\n {2}tsctl get <key>/)
    expect(text).toContain(
      '      --consistency string   l: linearizable, s: serializable (default "l")\n',
    )
    expect(text).not.toContain('--endpoints')
    expect(text).toMatch(/[^\n]\nUse "tsctl options" for a list of global command-line options/)
  })

  test('groups of commands are listed, each by name', async () => {
    const text = `${(await run(['help'])).stdout}`
    const titles = text.split('\n').filter((line) => / commands$/.test(line))
    const known = table.map(({ group }) => group)
    expect(titles).toEqual(groups.filter((group) => known.includes(group)))
    const kv = /Key-value commands\n((?: .*\n)*)/.exec(text)?.[1]?.match(/^ {2}\S+/gm)
    const named = table.filter(({ group }) => group === 'Key-value commands')
    expect(kv).toEqual(named.map(({ name }) => `  ${name}`).sort())
  })

  test('flags of a group are shown below it', async () => {
    const text = `${(await run(['help', 'endpoint', 'hashkv'])).stdout}`
    expect(text).toContain('Flags:\n  -h, --help      help for hashkv\n      --rev int')
    expect(text).toContain('Global Flags:\n      --cluster   ')
  })

  test('a topic that does not exist is told on standard error', async () => {
    const { code, stdout, stderr } = await run(['help', 'bogus'])
    expect({ code, stdout: `${stdout}` }).toEqual({ code: 0, stdout: '' })
    expect(stderr).toMatch(/^Unknown help topic \[`bogus`\]\nUsage:\n/)
  })

  test('options lists every global flag', async () => {
    const text = `${(await run(['options'])).stdout}`
    expect(text).toMatch(/^The following options can be passed to any command:\n\n/)
    expect(text).toContain('      --endpoints strings            ')
    expect(text).toContain('(default [127.0.0.1:2379])')
    expect(text).toContain('  -w, --write-out string             ')
    expect(text.split('\n')).toHaveLength(2 + 23 + 1)
  })
})

describe('words that cannot be taken apart', () => {
  test('the error, the usage and an empty line go to standard error', async () => {
    const { code, stdout, stderr } = await run(['get', 'a', '-w'])
    expect({ code, stdout: `${stdout}` }).toEqual({ code: 1, stdout: '' })
    expect(stderr).toMatch(/^Error: flag needs an argument: 'w' in -w\nUsage:\n {2}tsctl get/)
    expect(stderr).toMatch(/\n\n$/)
    expect(stderr).not.toContain('tsctl options')
  })

  test('help is not given for a line that is wrong elsewhere', async () => {
    expect((await run(['get', '--help', '--nope'])).code).toBe(1)
  })
})

describe('exit codes', () => {
  test.each([
    [['put'], 128, 'put command needs 1 argument and input from stdin or 2 arguments'],
    [['get', 'a', '--consistency', 'x'], 4, 'unknown consistency flag "x"'],
    [['get', 'a', '-w', 'nope'], 4, 'unsupported output format'],
    [['compaction', 'abc'], 1, 'strconv.ParseInt: parsing "abc": invalid syntax'],
  ])('%j', async (words, code, message) => {
    const got = await run(words, { connection: () => emptyRange })
    expect({ code: got.code, last: lastLine(got) }).toEqual({ code, last: `Error: ${message}` })
    expect(got.dialled).toEqual([])
  })

  test('an error of the server is a 1, in its own words', async () => {
    const rangeRaw = failing(new EtcdError('emptyKey'))
    const got = await run(['get', ''], { connection: () => ({ rangeRaw }) })
    expect(got).toMatchObject({ code: 1, stderr: 'Error: etcdserver: key is not provided\n' })
    expect(got.closedCount).toBe(1)
  })

  test('a connection that cannot be made is a 2', async () => {
    const connection = (): never => {
      throw new ConnectionError('etcdserver: authentication failed, invalid user ID or password')
    }
    const got = await run(['get', 'a', '--user', 'a:b'], { connection })
    expect(got.code).toBe(2)
    expect(lastLine(got)).toMatch(/^Error: etcdserver: authentication failed/)
  })

  test('a time limit that is over says why above the error', async () => {
    const cause = new Error('127.0.0.1:1: connection refused')
    const rangeRaw = failing(new ContextError('deadlineExceeded', { cause }))
    expect(await run(['get', 'a'], { connection: () => ({ rangeRaw }) })).toMatchObject({
      code: 1,
      stderr:
        'no endpoint was reached: 127.0.0.1:1: connection refused\n' +
        'Error: context deadline exceeded\n',
    })
  })

  test('--debug tells the way down to the first cause', async () => {
    const cause = new Error('the first cause')
    const rangeRaw = failing(new EtcdError('noLeader', { cause }))
    const got = await run(['get', 'a', '--debug'], { connection: () => ({ rangeRaw }) })
    expect(got.stderr).toMatch(/\nError: the first cause\n {4}at /)
    expect(lastLine(got)).toBe('Error: etcdserver: no leader')
  })

  test('a format that cannot print the answer is refused after the request', async () => {
    const requests: unknown[] = []
    const kv = {
      put: async (request: unknown) => {
        requests.push(request)
        return PutResponse.fromPartial({})
      },
    }
    const got = await run(['put', 'k', 'v', '-w', 'table'], { connection: () => ({ kv }) })
    expect(got.code).toBe(4)
    expect(lastLine(got)).toBe('Error: table not supported as output format')
    expect(requests).toHaveLength(1)
    expect(got.stdout).toHaveLength(0)
  })
})

describe('output', () => {
  const manyKeys = RangeResponse.encode(
    RangeResponse.fromPartial({
      kvs: Array.from({ length: 5000 }, (_, i) => ({
        key: Buffer.from(`k${i}`),
        value: Buffer.alloc(100, i),
      })),
    }),
  ).finish()
  const connection = () => ({ rangeRaw: async () => Buffer.from(manyKeys) })
  const expected = Buffer.concat(
    Array.from({ length: 5000 }, (_, i) => [
      Buffer.from(`k${i}\n`),
      Buffer.alloc(100, i),
      Buffer.from('\n'),
    ]).flat(),
  )

  test('a slow reader gets every byte', async () => {
    const got: Buffer[] = []
    const stdout = new Writable({
      highWaterMark: 1,
      write(piece, _encoding, done) {
        setImmediate(() => {
          got.push(Buffer.from(piece))
          done()
        })
      },
    })
    expect((await run(['get', '', '--prefix'], { connection, stdout })).code).toBe(0)
    expect(Buffer.concat(got).equals(expected)).toBe(true)
  })

  test.each(['simple', 'json'])('a reader that leaves ends a %s answer quietly', async (format) => {
    let byteCount = 0
    const stdout = new Writable({
      write(piece: Buffer, _encoding, done) {
        byteCount += piece.length
        done(byteCount > 1 ? Object.assign(new Error('write EPIPE'), { code: 'EPIPE' }) : null)
      },
    })
    const got = await run(['get', '', '--prefix', '-w', format], { connection, stdout })
    expect(got).toMatchObject({ code: 0, stderr: '', closedCount: 1 })
  })

  test('what a command that waits makes of a reader that leaves is no error', async () => {
    const event = { kv: { key: Buffer.from('k'), value: Buffer.from('v') } }
    const connection = (_options: unknown, { signal }: { signal?: AbortSignal | undefined }) => ({
      async *watch() {
        yield WatchResponse.fromPartial({ events: [event] })
        if (!signal?.aborted)
          await new Promise((resolve) => signal?.addEventListener('abort', resolve))
        throw new ContextError('canceled')
      },
    })
    const stdout = new Writable({
      write: (_piece, _encoding, done) =>
        done(Object.assign(new Error('write EPIPE'), { code: 'EPIPE' })),
    })
    expect(await run(['watch', 'k'], { connection, stdout })).toMatchObject({ code: 0, stderr: '' })
  })

  test('a disk that is full is an error', async () => {
    const stdout = new Writable({
      write: (_piece, _encoding, done) =>
        done(Object.assign(new Error('no space left on device'), { code: 'ENOSPC' })),
    })
    const got = await run(['version'], { stdout })
    expect(got.code).toBe(6)
    expect(got.stderr).toBe('Error: write to standard output: no space left on device\n')
  })

  test('bytes that are no text come out as they went in', async () => {
    const got = await run(['frob\udcff'])
    expect(got.stderr).toContain('unknown command')
    const shown = await run(['move-leader', argument(Buffer.of(0x7a, 0xff))])
    expect(shown.stderr).toBe('Error: strconv.ParseUint: parsing "z\\xff": invalid syntax\n')
  })
})
