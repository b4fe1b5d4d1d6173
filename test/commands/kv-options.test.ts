// get, put, del and compaction: every check of their words, in etcdctl's texts and codes, and what
// they ask the server for.
import { Command } from 'commander'
import { describe, expect, test } from 'vitest'
import { DeleteRangeResponse, PutResponse, RangeResponse } from '../../src/api/gen/rpc.js'
import { compactionOptions } from '../../src/commands/compaction.js'
import { argument, type DefinedCommand, UsageError } from '../../src/commands/context.js'
import { delOptions } from '../../src/commands/del.js'
import { getCommand, getOptions } from '../../src/commands/get.js'
import { putOptions } from '../../src/commands/put.js'
import { newManualClock } from '../support/manual-clock.js'
import { lastLine, run } from './run.js'

/** The flags as the parser leaves them when none is given. */
function defaults(command: DefinedCommand): Record<string, unknown> {
  const { options } = command.words(new Command())
  return Object.fromEntries(options.map((one) => [one.attributeName(), one.defaultValue]))
}

type GetFlags = Parameters<typeof getOptions>[0]
const getFlags = (flags: Partial<GetFlags>): GetFlags =>
  ({ ...defaults(getCommand), ...flags }) as GetFlags

function refusal(act: () => unknown): [string, number] {
  try {
    act()
  } catch (error) {
    if (error instanceof UsageError) return [error.message, error.exitCode]
    throw error
  }
  throw new Error('nothing was refused')
}

const both = (one: string, other: string): string =>
  `\`${one}\` and \`${other}\` cannot be set at the same time, choose one`
const tooMany =
  'too many arguments, only accept one argument when `--prefix` or `--from-key` is set'

describe('get', () => {
  const noKey = 'get command needs one argument as key and an optional argument as range_end'
  test.each<[Partial<GetFlags>, string[], string, number]>([
    [{}, [], noKey, 128],
    [{ prefix: true, fromKey: true }, ['k'], both('--prefix', '--from-key'), 128],
    [{ keysOnly: true, countOnly: true }, ['k'], both('--keys-only', '--count-only'), 128],
    [{ consistency: 'x' }, ['k'], 'unknown consistency flag "x"', 4],
    [{ prefix: true }, ['k', 'e'], tooMany, 128],
    [{ fromKey: true }, ['k', 'e'], tooMany, 128],
    [{ order: 'up' }, ['k'], 'bad sort order up', 4],
    [{ sortBy: 'SIZE' }, ['k'], 'bad sort target SIZE', 4],
    [{ minCreateRev: 5n, maxCreateRev: 3n }, ['k'], 'getMinCreateRev(=5) > getMaxCreateRev(=3)', 4],
    [{ minModRev: 5n, maxModRev: 3n }, ['k'], 'getMinModRev(=5) > getMaxModRev(=3)', 4],
  ])('%o %o is refused', (flags, args, message, code) => {
    expect(refusal(() => getOptions(getFlags(flags), args))).toEqual([message, code])
  })

  test('the checks come in etcdctl’s order', () => {
    const all = { prefix: true, fromKey: true, keysOnly: true, countOnly: true, order: 'x' }
    expect(refusal(() => getOptions(getFlags(all), []))[0]).toBe(noKey)
    expect(refusal(() => getOptions(getFlags(all), ['k']))[0]).toMatch(/^`--prefix`/)
    const fewer = { ...all, fromKey: false, consistency: 'x' }
    expect(refusal(() => getOptions(getFlags(fewer), ['k', 'e']))[0]).toMatch(/^`--keys-only`/)
    const last = { prefix: true, order: 'x', sortBy: 'y' }
    expect(refusal(() => getOptions(getFlags(last), ['k', 'e']))[0]).toBe(tooMany)
    expect(refusal(() => getOptions(getFlags(last), ['k']))[0]).toBe('bad sort order x')
  })

  const nul = Buffer.of(0)
  test.each<[Partial<GetFlags>, string[], object]>([
    [{}, ['k'], { key: Buffer.from('k'), range_end: Buffer.of(), limit: '0', revision: '0' }],
    [{}, ['a', 'c', 'x'], { key: Buffer.from('a'), range_end: Buffer.from('c') }],
    [{ prefix: true }, ['ab'], { key: Buffer.from('ab'), range_end: Buffer.from('ac') }],
    [{ prefix: true }, [''], { key: nul, range_end: nul }],
    [{ prefix: true }, [argument(Buffer.of(1, 255))], { range_end: Buffer.of(2) }],
    [{ prefix: true }, [argument(Buffer.of(255))], { range_end: nul }],
    [{ fromKey: true }, [''], { key: nul, range_end: nul }],
    [{ fromKey: true }, ['k'], { key: Buffer.from('k'), range_end: nul }],
    [{ consistency: 's' }, ['k'], { serializable: true }],
    [{ order: 'descend' }, ['k'], { sort_order: 2, sort_target: 0 }],
    [{ order: 'ASCEND' }, ['k'], { sort_order: 0, sort_target: 0 }],
    [{ order: 'ascend', sortBy: 'key' }, ['k'], { sort_order: 0, sort_target: 0 }],
    [{ order: 'ascend', sortBy: 'Modify' }, ['k'], { sort_order: 1, sort_target: 3 }],
    [{ sortBy: 'CREATE' }, ['k'], { sort_order: 0, sort_target: 2 }],
    [{ sortBy: 'VERSION' }, ['k'], { sort_target: 1 }],
    [{ sortBy: 'VALUE' }, ['k'], { sort_target: 4 }],
    [{ limit: -1n }, ['k'], { limit: '-1' }],
    [{ rev: 7n }, ['k'], { revision: '7' }],
    [{ rev: -7n }, ['k'], { revision: '0' }],
    [{ minModRev: 2n, maxModRev: 2n }, ['k'], { min_mod_revision: '2', max_mod_revision: '2' }],
    [{ minCreateRev: 9n }, ['k'], { min_create_revision: '9', max_create_revision: '0' }],
    [{ keysOnly: true }, ['k'], { keys_only: true, count_only: false }],
  ])('%o %o asks for the right range', (flags, args, request) => {
    expect(getOptions(getFlags(flags), args).request).toMatchObject(request)
  })

  const message = Buffer.from(RangeResponse.encode(RangeResponse.fromPartial({})).finish())
  const connection = () => ({ rangeRaw: async () => message })
  test.each([
    [['--count-only'], '--count-only is only for `--write-out=fields`'],
    [['--count-only', '-w', 'json'], '--count-only is only for `--write-out=fields`'],
    [['--print-value-only', '-w', 'json'], 'print-value-only is only for `--write-out=simple`'],
  ])('%j is refused after the request', async (flags, message) => {
    const got = await run(['get', 'k', ...flags], { connection })
    expect({ code: got.code, last: lastLine(got) }).toEqual({
      code: 128,
      last: `Error: ${message}`,
    })
    expect(got.dialled).toHaveLength(1)
  })

  test('--count-only prints in fields', async () => {
    const got = await run(['get', 'k', '--count-only', '-w', 'fields'], { connection })
    expect(got.code).toBe(0)
    expect(`${got.stdout}`).toContain('"Count" : 0\n')
  })
})

describe('put', () => {
  const none = { lease: '0', prevKv: false, ignoreValue: false, ignoreLease: false }
  const parsing = (text: string, why: string) =>
    `bad lease ID (strconv.ParseInt: parsing "${text}": ${why}), expecting ID in Hex`
  test.each<[Partial<typeof none>, string[], string]>([
    [{}, [], 'put command needs 1 argument and input from stdin or 2 arguments'],
    [
      { ignoreValue: true },
      ['k', 'v'],
      "put command needs only 1 argument when 'ignore-value' is set",
    ],
    [{ lease: 'zz' }, ['k', 'v'], parsing('zz', 'invalid syntax')],
    [{ lease: '0x1' }, ['k', 'v'], parsing('0x1', 'invalid syntax')],
    [{ lease: '' }, ['k', 'v'], parsing('', 'invalid syntax')],
    [{ lease: '1_0' }, ['k', 'v'], parsing('1_0', 'invalid syntax')],
    [{ lease: '8000000000000000' }, ['k', 'v'], parsing('8000000000000000', 'value out of range')],
  ])('%o %o is refused', (flags, args, message) => {
    expect(refusal(() => putOptions({ ...none, ...flags }, args))).toEqual([message, 128])
  })

  test('a lease is a signed hexadecimal number', () => {
    const leaseId = (lease: string) => putOptions({ ...none, lease }, ['k', 'v']).leaseId
    expect(leaseId('7FFFFFFFFFFFFFFF')).toBe(0x7fffffffffffffffn)
    expect(leaseId('-1')).toBe(-1n)
  })

  /** What put sends, with the words and the input given. */
  async function sent(words: string[], stdin?: Buffer): Promise<unknown> {
    const requests: unknown[] = []
    const put = async (request: unknown) => {
      requests.push(request)
      return PutResponse.fromPartial({})
    }
    const around = { connection: () => ({ kv: { put } }), ...(stdin && { stdin }) }
    expect((await run(['put', ...words], around)).code).toBe(0)
    return requests[0]
  }

  test('the value is a word, and an empty one is a value', async () => {
    expect(await sent(['k', 'v'])).toMatchObject({ key: Buffer.from('k'), value: Buffer.from('v') })
    expect(await sent(['k', ''])).toMatchObject({ value: Buffer.of() })
    expect(await sent(['k', '--', '-x'])).toMatchObject({ value: Buffer.from('-x') })
    expect(await sent(['k', 'v', 'more', '--lease=1f'])).toMatchObject({ lease: '31' })
  })

  test('without a word standard input is the value, byte for byte', async () => {
    const value = Buffer.of(0, 255, 10, 13, 10)
    expect(await sent(['k'], value)).toMatchObject({ value })
  })

  test('a key of any bytes arrives', async () => {
    const key = Buffer.of(0xff, 0x0a, 0x80)
    expect(await sent([argument(key), 'v'])).toMatchObject({ key })
  })

  test('no input at all is refused, and nothing is sent', async () => {
    const got = await run(['put', 'k'])
    expect(got).toMatchObject({ code: 128, dialled: [] })
  })

  test('--ignore-value reads no input', async () => {
    expect(await sent(['k', '--ignore-value'])).toMatchObject({
      value: Buffer.of(),
      ignore_value: true,
    })
  })
})

describe('del', () => {
  const none = { prefix: false, fromKey: false, prevKv: false, range: false }
  const count = 'del command needs one argument as key and an optional argument as range_end'
  test.each<[Partial<typeof none>, string[], string]>([
    [{}, [], count],
    [{}, ['a', 'b', 'c'], count],
    [{ prefix: true, fromKey: true }, ['a'], both('--prefix', '--from-key')],
    [{ prefix: true }, ['a', 'b'], tooMany],
  ])('%o %o is refused', (flags, args, message) => {
    expect(refusal(() => delOptions({ ...none, ...flags }, args))).toEqual([message, 128])
  })

  test('a range that is not confirmed waits two seconds, with a warning', async () => {
    const clock = newManualClock()
    const deleteRange = async () => DeleteRangeResponse.fromPartial({ deleted: '2' })
    const connection = () => ({ kv: { deleteRange } })
    const running = run(['del', 'a', 'b'], { connection, clock })
    await clock.awaited()
    expect(clock.pending()).toEqual([2000])
    clock.advance(2000)
    const got = await running
    expect(got.stderr).toBe(
      'Warning: Keys between "a" and "b" will be deleted. Please interrupt the command within ' +
        'next 2 seconds to cancel. You can provide `--range` flag to avoid the delay.\n',
    )
    expect(`${got.stdout}`).toBe('2\n')
  })

  test.each([[['a', 'b', '--range']], [['a']], [['a', '--prefix']]])(
    '%j deletes at once',
    async (words) => {
      const clock = newManualClock()
      const deleteRange = async () => DeleteRangeResponse.fromPartial({})
      const connection = () => ({ kv: { deleteRange } })
      const got = await run(['del', ...words], { connection, clock })
      expect(got).toMatchObject({ code: 0, stderr: '' })
    },
  )
})

describe('compaction', () => {
  const parsing = (text: string) => `strconv.ParseInt: parsing "${text}": invalid syntax`
  test.each<[string[], string, number]>([
    [[], 'compaction command needs 1 argument', 128],
    [['1', '2'], 'compaction command needs 1 argument', 128],
    [['abc'], parsing('abc'), 1],
    [['0x10'], parsing('0x10'), 1],
  ])('%j is refused', (args, message, code) => {
    expect(refusal(() => compactionOptions({ physical: false }, args))).toEqual([message, code])
  })

  test('it prints the revision as understood', async () => {
    const kv = { compact: async () => ({}) }
    const got = await run(['compaction', '007', '--physical'], { connection: () => ({ kv }) })
    expect(`${got.stdout}`).toBe('compacted revision 7\n')
  })
})
