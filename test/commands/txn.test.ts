// txn: the grammar of compares and operations as tables and properties, the three sections, and
// compares of leases on real servers.
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { TxnResponse } from '../../src/api/gen/rpc.js'
import { CommandError, UsageError } from '../../src/commands/context.js'
import { txnOptions } from '../../src/commands/txn.js'
import { parseCompare } from '../../src/commands/txn-compare.js'
import { parseOperation } from '../../src/commands/txn-operation.js'
import { quoted } from '../../src/output/quote.js'
import { startEmbedded } from '../support/embedded.js'
import { newManualClock } from '../support/manual-clock.js'
import { describeWithEtcd, startRealEtcd } from '../support/real-etcd.js'
import { lastLine, run } from './run.js'

const b = (text: string): Buffer => Buffer.from(text)

describe('a compare', () => {
  test.each([
    ['ver("k") = "1"', { target: 0, result: 0, version: '1' }],
    ['version("k") > "1"', { target: 0, result: 1, version: '1' }],
    ['c("k") < "1"', { target: 1, result: 2, create_revision: '1' }],
    ['create("k") != "-1"', { target: 1, result: 3, create_revision: '-1' }],
    ['m("k") = "+7"', { target: 2, result: 0, mod_revision: '7' }],
    ['mod("k") = "9223372036854775807"', { target: 2, mod_revision: '9223372036854775807' }],
    ['val("k") = "v"', { target: 3, value: b('v') }],
    ['value("k") = ""', { target: 3, value: b('') }],
    ['lease("k") = "0"', { target: 4, lease: '0' }],
    ['lease("k") != "694d81417acd4a0b"', { target: 4, lease: '7587863065422285323' }],
    ['val("k")   =   "v"', { value: b('v') }],
    ['val(  "k") = "v"', { key: b('k') }],
    ['val("k") = "v" anything', { value: b('v') }],
    ['val("k")\t=\u00a0"v"', { value: b('v') }],
    ['val(`a"b\\n`) = `c d`', { key: b('a"b\\n'), value: b('c d') }],
    [String.raw`val("a\tb\"\x00\xff\u00e9") = "\\"`, { value: b('\\') }],
    [String.raw`val("\xff\xfe") = "x"`, { key: Buffer.of(0xff, 0xfe) }],
  ])('%s', (line, expected) => {
    expect(parseCompare(line)).toMatchObject(expected)
  })

  test.each([
    ['val "k" = "v"', 'malformed comparison: val "k" = "v"'],
    ['', 'malformed comparison: '],
    ['val(k) = v', 'malformed comparison: val(k) = v; got val("")  ""'],
    ['mod("foo") >', 'malformed comparison: mod("foo") >; got mod("foo") > ""'],
    ['mod("foo") > 0', 'malformed comparison: mod("foo") > 0; got mod("foo") > ""'],
    ['mod("foo")>"0"', 'malformed comparison: mod("foo")>"0"; got mod("foo")  ""'],
    ['mod("foo" ) > "0"', 'malformed comparison: mod("foo" ) > "0"; got mod("foo")  ""'],
    ['mod("foo") >"0"', 'malformed comparison: mod("foo") >"0"; got mod("foo") >"0" ""'],
    ['mod("foo', 'malformed comparison: mod("foo; got mod("")  ""'],
    [
      String.raw`val("\q") = "v"`,
      String.raw`malformed comparison: val("\q") = "v"; got val("")  ""`,
    ],
    ['size("k") = "1"', 'malformed comparison: size("k") = "1" (unknown target size)'],
    ['VAL("k") = "1"', 'malformed comparison: VAL("k") = "1" (unknown target VAL)'],
    ['val ("k") = "1"', 'malformed comparison: val ("k") = "1" (unknown target val )'],
    ['val("k") >= "1"', 'malformed comparison: val("k") >= "1" (unknown operator >=)'],
    ['val("k") == "1"', 'malformed comparison: val("k") == "1" (unknown operator ==)'],
    ['ver("k") = "one"', 'invalid txn compare request: ver("k") = "one"'],
    ['mod("k") = "0x1"', 'invalid txn compare request: mod("k") = "0x1"'],
    [
      'c("k") = "9223372036854775808"',
      'invalid txn compare request: c("k") = "9223372036854775808"',
    ],
    ['lease("k") = "xyz"', 'invalid txn compare request: lease("k") = "xyz"'],
  ])('%s is refused', (line, message) => {
    expect(() => parseCompare(line)).toThrow(new CommandError(message, { exitCode: 3 }))
  })

  test('of any bytes is what was quoted', () => {
    const bytes = fc.uint8Array({ maxLength: 20 }).map((data) => Buffer.from(data))
    fc.assert(
      fc.property(bytes, bytes, fc.constantFrom('=', '!=', '<', '>'), (key, value, operator) => {
        const line = `val(${quoted(key)}) ${operator} ${quoted(value)}`
        expect(parseCompare(line)).toMatchObject({ target: 3, key, value })
      }),
    )
  })

  test('of anything at all is a compare or a CommandError', () => {
    const pieces = fc.constantFrom('val', '(', ')', '"', '\\', '`', ' ', '=', 'k', '\u0085', 'mod')
    const line = fc.oneof(
      fc.string(),
      fc.array(pieces).map((parts) => parts.join('')),
    )
    fc.assert(
      fc.property(line, (text) => {
        try {
          expect(parseCompare(text).key).toBeInstanceOf(Buffer)
        } catch (error) {
          expect(error).toMatchObject({ name: 'CommandError', exitCode: 3 })
        }
      }),
    )
  })
})

/** What is said while an operation is read, and what it becomes. */
async function read(line: string) {
  const said: string[] = []
  const clock = newManualClock()
  const reading = parseOperation({ warn: (text) => void said.push(text), clock }, line)
  return { said, clock, reading }
}

describe('an operation', () => {
  test.each([
    ['put k v', { request_put: { key: b('k'), value: b('v'), lease: '0' } }],
    ['p k v --prev-kv', { request_put: { prev_kv: true } }],
    ['pu --lease=1f k v', { request_put: { lease: '31' } }],
    ['put k --ignore-value', { request_put: { ignore_value: true, value: b('') } }],
    ['put k v w', { request_put: { value: b('v') } }],
    ['put -- -k -v', { request_put: { key: b('-k'), value: b('-v') } }],
    [`put "a b" 'c\\n'`, { request_put: { key: b('a b'), value: b('c\\n') } }],
    [String.raw`put "\xff" "\n"`, { request_put: { key: Buffer.of(0xff), value: b('\n') } }],
    ['get k', { request_range: { key: b('k'), range_end: b('') } }],
    ['g k --prefix --limit 3', { request_range: { range_end: b('l'), limit: '3' } }],
    ['get a c --rev=7 --consistency=s', { request_range: { revision: '7', serializable: true } }],
    ['get k --count-only', { request_range: { count_only: true } }],
    ['get k --print-value-only', { request_range: { key: b('k') } }],
    ['del k', { request_delete_range: { key: b('k'), range_end: b('') } }],
    ['d k --from-key --prev-kv', { request_delete_range: { range_end: b('\0'), prev_kv: true } }],
    ['del a c --range', { request_delete_range: { key: b('a'), range_end: b('c') } }],
  ])('%s', async (line, expected) => {
    const { reading, said } = await read(line)
    expect(await reading).toMatchObject(expected)
    expect(said).toEqual([])
  })

  test.each([
    ['get', 3, 'invalid txn compare request: get'],
    ['"', 3, 'invalid txn compare request: "'],
    ['frobnicate k v', 3, 'invalid txn request: frobnicate k v'],
    ['putt k v', 3, 'invalid txn request: putt k v'],
    ['"" k', 3, 'invalid txn request: "" k'],
    ['txn k', 3, 'invalid txn request: txn k'],
    ['get k --bad', 3, 'invalid txn request: get k --bad'],
    ['get k --hex', 3, 'invalid txn request: get k --hex'],
    ['get k -w json', 3, 'invalid txn request: get k -w json'],
    ['get k --limit x', 3, 'invalid txn request: get k --limit x'],
    ['get --help', 3, 'invalid txn request: get --help'],
    [String.raw`put k "\q"`, 3, 'invalid syntax'],
    ['put k', 128, 'put command needs 1 argument and input from stdin or 2 arguments'],
    ['put k v --ignore-value', 128, "put command needs only 1 argument when 'ignore-value' is set"],
    [
      'put k v --lease=x',
      128,
      'bad lease ID (strconv.ParseInt: parsing "x": invalid syntax), expecting ID in Hex',
    ],
    [
      'get --prefix=true',
      128,
      'get command needs one argument as key and an optional argument as range_end',
    ],
    ['get k --sort-by=SIZE', 4, 'bad sort target SIZE'],
    ['get k --consistency=x', 4, 'unknown consistency flag "x"'],
    [
      'del a b c',
      128,
      'del command needs one argument as key and an optional argument as range_end',
    ],
  ])('%s is refused with %i', async (line, exitCode, message) => {
    const { reading } = await read(line)
    const error: unknown = await reading.catch((one: unknown) => one)
    expect(error).toMatchObject({ message, exitCode })
    expect(error instanceof CommandError || error instanceof UsageError).toBe(true)
  })

  test('a flag that is not there is named on standard error', async () => {
    const { reading, said } = await read('get k --bad')
    await expect(reading).rejects.toThrow('invalid txn request: get k --bad')
    expect(said).toEqual(['unknown flag: --bad\n'])
  })

  test('a range that may be deleted by mistake waits two seconds', async () => {
    const { reading, said, clock } = await read('del a c')
    await clock.awaited()
    expect(clock.pending()).toEqual([2000])
    expect(said[0]).toContain('Keys between "a" and "c" will be deleted')
    clock.advance(2000)
    expect(await reading).toMatchObject({ request_delete_range: { range_end: b('c') } })
  })

  test('puts the bytes that were quoted', async () => {
    const bytes = fc.uint8Array({ minLength: 1, maxLength: 20 }).map((data) => Buffer.from(data))
    await fc.assert(
      fc.asyncProperty(bytes, bytes, async (key, value) => {
        const { reading } = await read(`put -- ${quoted(key)} ${quoted(value)}`)
        expect(await reading).toMatchObject({ request_put: { key, value } })
      }),
    )
  })
})

/** The request that the input becomes, and how the command ends. */
async function typed(stdin: string, words: readonly string[] = []) {
  const requests: unknown[] = []
  const txn = async (request: unknown) => {
    requests.push(request)
    return TxnResponse.fromPartial({ succeeded: true })
  }
  const result = await run(['txn', ...words], { stdin, connection: () => ({ kv: { txn } }) })
  return { ...result, request: requests[0] }
}

const whole = 'val("a") = "1"\nmod("b") > "2"\n\nput c 3\n\nget d\ndel e\n\n'

describe('the three sections', () => {
  test.each([
    whole,
    whole.replaceAll('\n', '\r\n'),
    whole.replaceAll('\n', ' \t\n').replaceAll(/^/gm, '  '),
    whole.replaceAll('\n\n', '\n\u0085\u00a0\u3000\n'),
    `${whole}left over\nand more`,
  ])('become one request: %j', async (stdin) => {
    const { code, stdout, request } = await typed(stdin)
    expect({ code, stdout: stdout.toString() }).toEqual({ code: 0, stdout: 'SUCCESS\n' })
    expect(request).toMatchObject({
      compare: [{ key: b('a') }, { key: b('b') }],
      success: [{ request_put: { key: b('c') } }],
      failure: [{ request_range: { key: b('d') } }, { request_delete_range: { key: b('e') } }],
    })
  })

  test('may all be empty', async () => {
    const { request } = await typed('\n\n\n')
    expect(request).toEqual({ compare: [], success: [], failure: [] })
  })

  test('are asked for with -i, and not without', async () => {
    const prompts =
      'compares:\nsuccess requests (get, put, del):\nfailure requests (get, put, del):\n'
    for (const flag of ['-i', '--interactive']) {
      const { stdout } = await typed('\n\n\n', [flag])
      expect(stdout.toString()).toBe(`${prompts}SUCCESS\n`)
    }
  })

  test.each(['', '\n\n', 'val("k") = "v"\n', '\nget k\n\nget m\n', '\n\n\t', 'val("k") = "v"'])(
    'must all end: %j',
    async (stdin) => {
      const result = await typed(stdin)
      expect(result.code).toBe(3)
      expect(lastLine(result)).toBe('Error: EOF')
      expect(result.request).toBeUndefined()
    },
  )

  test('nothing is sent when a line is bad', async () => {
    const result = await typed('\nput a 1\nputt b 2\n\n\n')
    expect(result.code).toBe(3)
    expect(lastLine(result)).toBe('Error: invalid txn request: putt b 2')
    expect(result.request).toBeUndefined()
  })
})

test('txn takes no arguments', async () => {
  expect(() => txnOptions({ interactive: false }, ['x'])).toThrow(UsageError)
  const result = await run(['txn', 'foo'])
  expect(result.code).toBe(128)
  expect(lastLine(result)).toBe('Error: txn command does not accept argument')
  expect(result.dialled).toEqual([])
})

async function comparesLeases({ endpoint }: { endpoint: string }): Promise<void> {
  const env = { ETCDCTL_ENDPOINTS: endpoint }
  const tsctl = async (words: string[], stdin = '') =>
    (await run(words, { env, stdin, connection: 'real' })).stdout.toString()
  const [, id] = /^lease (\w+) /.exec(await tsctl(['lease', 'grant', '60'])) ?? []
  await tsctl(['put', 'bound', 'v', `--lease=${id}`])
  const holds = (compare: string) => tsctl(['txn'], `${compare}\n\n\n\n`)
  expect(await holds(`lease("bound") = "${id}"`)).toBe('SUCCESS\n')
  expect(await holds(`lease("bound") != "0"`)).toBe('SUCCESS\n')
  expect(await holds(`lease("bound") = "0"`)).toBe('FAILURE\n')
  expect(await holds(`lease("unbound") = "0"`)).toBe('SUCCESS\n')
}

test('leases are compared, where etcdctl crashes', async () => {
  await using server = await startEmbedded({ storage: 'memory' })
  await comparesLeases(server)
})

describeWithEtcd('txn on a real etcd', () => {
  test('leases are compared there, too', async () => {
    await using etcd = await startRealEtcd()
    await comparesLeases(etcd)
  })
})
